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

  /// Names of all objectives, those of policy optimisation last.
  package static var names: [String] { all.map { $0.name } + PolicyObjectiveRegistry.all.map { $0.name } }

  /// The options that any objective has.
  static var optionNames: Set<String> {
    Set((all.flatMap { $0.options } + PolicyObjectiveRegistry.all.flatMap { $0.options }).map(\.name))
  }

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
        hint: "objectives are \(names.joined(separator: ", "))")
    }
    let own = Set(type.options.map(\.name))
    let foreign = optionNames.subtracting(own)
    let settings = settings.filter { !foreign.contains($0.key) }
    return type.init(options: try OptionValues(settings, for: type.options, of: "objective \(name)", in: "objective"))
  }
}
