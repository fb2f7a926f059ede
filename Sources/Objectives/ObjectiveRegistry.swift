import AlignmentCore

/// All objectives; a new one is one file and one line here.
package enum ObjectiveRegistry {
  package static let all: [any Objective.Type] = [
    SFT.self,
    ConditionalSFT.self,
    DPO.self,
    RobustDPO.self,
    IPO.self,
    Hinge.self,
    SLiC.self,
    SimPO.self,
    ORPO.self,
    CPO.self,
    KTO.self,
    BCO.self,
    BCOPair.self,
    APOZero.self,
    APODown.self,
    NCA.self,
    EXO.self,
    SPPO.self,
    DiscoPOP.self,
    AOT.self,
    AOTUnpaired.self,
    SigmoidNorm.self,
    BradleyTerry.self,
    RewardRegression.self,
    RewardClassification.self,
  ]

  /// The objective type of a name, or nil.
  package static func type(named name: String) -> (any Objective.Type)? { all.first { $0.name == name } }

  /// Makes the objective of a name with the given settings.
  ///
  /// Options of other objectives are left aside, so that one recipe can serve several by `objective.name=…`.
  ///
  /// - Throws: ``Fault`` for an unknown name or an option that no objective has.
  package static func make(_ name: String, settings: [String: String] = [:]) throws -> any Objective {
    guard let type = type(named: name) else {
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
