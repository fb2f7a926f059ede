import AlignmentCore

/// All weightings that are computed in the step; a new one is one file and one line here.
package enum StepWeightingRegistry {
  package static let all: [any StepWeighting.Type] = [
    WPO.self,
    ISDAA.self,
  ]

  /// What `objective.weighting` is where there is none.
  package static let none = "none"

  /// All that `objective.weighting` can be.
  package static var names: [String] { [none] + all.map { $0.name } }

  /// The options that any weighting has.
  package static var optionNames: Set<String> { Set(all.flatMap { $0.options }.map(\.name)) }

  /// The weighting type of a name, or nil.
  package static func type(named name: String) -> (any StepWeighting.Type)? { all.first { $0.name == name } }

  /// Makes the weighting of a name from the settings that are its options; nil for `none`.
  ///
  /// - Throws: ``Fault`` for a value that an option cannot have.
  package static func make(_ name: String, settings: [String: String]) throws -> (any StepWeighting)? {
    guard let type = type(named: name) else { return nil }
    let own = Set(type.options.map(\.name))
    let settings = settings.filter { own.contains($0.key) }
    return type.init(options: try OptionValues(settings, for: type.options, of: "weighting \(name)", in: "objective"))
  }
}
