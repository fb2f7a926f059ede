import AlignmentCore

/// All objectives; a new one is one file and one line here.
package enum ObjectiveRegistry {
  package static let all: [any Objective.Type] = [
    SFT.self,
    DPO.self,
  ]

  /// Makes the objective of a name with the given settings.
  ///
  /// Options of other objectives are left aside, so that one recipe can serve several by `objective.name=…`.
  ///
  /// - Throws: ``Fault`` for an unknown name or an option that no objective has.
  package static func make(_ name: String, settings: [String: String] = [:]) throws -> any Objective {
    guard let type = all.first(where: { $0.name == name }) else {
      throw Fault(
        .configuration, "there is no objective \"\(name)\"", at: "objective.name",
        hint: "objectives are \(all.map { $0.name }.joined(separator: ", "))")
    }
    let own = Set(type.options.map(\.name))
    let foreign = Set(all.flatMap { $0.options.map(\.name) }).subtracting(own)
    let settings = settings.filter { !foreign.contains($0.key) }
    return type.init(options: try OptionValues(settings, for: type.options, of: "objective \(name)", in: "objective"))
  }
}
