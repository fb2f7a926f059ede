import AlignmentCore

/// All density estimators; a new one is one file and one line here.
package enum DensityRegistry {
  package static let all: [any DensityEstimator.Type] = [
    CachedEstimator.self,
    DiscriminatorEstimator.self,
    EntropyBalanceEstimator.self,
    ImportanceEstimator.self,
    KLIEPEstimator.self,
    KMMEstimator.self,
    RSOEstimator.self,
    RuLSIFEstimator.self,
    UniformEstimator.self,
  ]

  package static var names: [String] { all.map { $0.name } }

  /// The options that any estimator has.
  package static var optionNames: Set<String> { Set(all.flatMap { $0.options.map(\.name) }) }

  /// - Throws: ``Fault`` for an unknown name.
  package static func type(named name: String) throws -> any DensityEstimator.Type {
    if let type = all.first(where: { $0.name == name }) { return type }
    throw Fault(
      .configuration, "there is no density estimator \"\(name)\"", at: "weights.estimator",
      hint: "estimators are \(names.joined(separator: ", "))")
  }

  /// Makes the estimator of a name; options of the others are left aside.
  ///
  /// - Throws: ``Fault`` for an unknown name or an option that no estimator has.
  package static func make(_ name: String, settings: [String: String] = [:]) throws -> any DensityEstimator {
    let type = try type(named: name)
    let foreign = optionNames.subtracting(type.options.map(\.name))
    let own = settings.filter { !foreign.contains($0.key) }
    return type.init(options: try OptionValues(own, for: type.options, of: "estimator \(name)", in: "weights"))
  }
}
