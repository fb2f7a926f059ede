import AlignmentCore

/// All optimisers; a new one is one file and one line here.
package enum OptimizerRegistry {
  package static let all: [any Optimizer.Type] = [
    AdamW.self,
    Adafactor.self,
    Lion.self,
    RMSProp.self,
    SGD.self,
  ]

  /// - Throws: ``Fault`` that names the optimisers there are.
  package static func type(named name: String) throws -> any Optimizer.Type {
    guard let type = all.first(where: { $0.name == name }) else {
      throw Fault(
        .configuration, "there is no optimizer \"\(name)\"", at: "optimizer.name",
        hint: "optimizers are \(all.map { $0.name }.joined(separator: ", "))")
    }
    return type
  }

  /// The names of the options of all optimisers, in alphabetical order.
  package static var optionNames: [String] { Set(all.flatMap { $0.options.map(\.name) }).sorted() }

  /// A value for every option of an optimiser.
  ///
  /// Options of other optimisers are left aside, so that one recipe can serve several by `optimizer.name=…`.
  ///
  /// - Throws: ``Fault`` for an option that no optimiser has, or a value out of range.
  package static func options(_ settings: [String: String], for type: any Optimizer.Type) throws -> OptionValues {
    let own = Set(type.options.map(\.name))
    let settings = settings.filter { own.contains($0.key) || !optionNames.contains($0.key) }
    return try OptionValues(settings, for: type.options, of: "optimizer \(type.name)", in: "optimizer")
  }
}
