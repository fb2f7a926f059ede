import AlignmentCore

/// All pairing schemes; a new one is one file and one line here.
package enum PairingRegistry {
  package static let all: [any PairingScheme.Type] = [
    FirstRound.self,
    Tournament.self,
    MaxMin.self,
    RandomPairs.self,
    MinimumGap.self,
    AllPairs.self,
    BestOfN.self,
    BestRandom.self,
  ]

  package static var names: [String] { all.map { $0.name } }

  /// The options that any scheme has.
  package static var optionNames: Set<String> { Set(all.flatMap { $0.options.map(\.name) }) }

  /// Makes the scheme of a name; options of the others are left aside.
  ///
  /// - Parameters:
  ///   - section: the recipe's section, for messages.
  /// - Throws: ``Fault`` for an unknown name or an option that no scheme has.
  package static func make(_ name: String, settings: [String: String] = [:], in section: String = "pairing") throws
    -> any PairingScheme
  {
    guard let type = all.first(where: { $0.name == name }) else {
      throw Fault(
        .configuration, "there is no pairing scheme \"\(name)\"", at: "\(section).name",
        hint: "schemes are \(names.joined(separator: ", "))")
    }
    let foreign = optionNames.subtracting(type.options.map(\.name))
    let own = settings.filter { !foreign.contains($0.key) }
    return type.init(options: try OptionValues(own, for: type.options, of: "pairing scheme \(name)", in: section))
  }
}
