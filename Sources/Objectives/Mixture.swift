import AlignmentCore

/// A weighted sum of objectives on the same groups, such as DPO and the likelihood of the chosen completion (RPO; Pang et
/// al. 2024, arXiv 2404.19733, eq. 1) or mixed preference optimisation (Wang et al. 2024, arXiv 2411.10442, eq. 1).
struct Mixture: Objective {
  static let name = "mixture"
  static let summary = "a weighted sum of objectives"
  static let options: [OptionDescription] = []

  private var terms: [(objective: any Objective, weight: Double)]
  let traits: ObjectiveTraits

  /// - Throws: ``Fault`` if the objectives want different data.
  init(_ terms: [(objective: any Objective, weight: Double)]) throws {
    self.terms = terms
    traits = try terms.dropFirst().reduce(terms[0].objective.traits) { try Self.merge($0, $1.objective) }
  }

  init(options: OptionValues) { preconditionFailure("made from other objectives") }

  private static func merge(_ a: ObjectiveTraits, _ objective: any Objective) throws -> ObjectiveTraits {
    let b = objective.traits
    guard let kind = merge(a.groupKind, b.groupKind), a.output == b.output,
      a.survey == b.survey || a.survey == .none || b.survey == .none
    else {
      throw Fault(
        .configuration, "\(type(of: objective).name) wants other data than the objectives before it",
        at: "objective.name",
        hint: "mix objectives on pairs with each other and with sft, or objectives on labelled completions")
    }
    return ObjectiveTraits(
      kind, needsReference: a.needsReference || b.needsReference, output: a.output,
      survey: a.survey == .none ? b.survey : a.survey)
  }

  /// SFT learns from the first completion of a pair, or from a desirable one.
  private static func merge(_ a: GroupKind, _ b: GroupKind) -> GroupKind? {
    if a == b || b == .preferred && a != .conditioned { return a }
    return a == .preferred && b != .conditioned ? b : nil
  }

  func loss(of group: ObjectiveGroup) -> Dual {
    var sum: Dual = 0
    for term in terms { sum = sum + term.weight * term.objective.loss(of: group) }
    return sum
  }

  var magnitude: Double { terms.reduce(1) { max($0, $1.weight * $1.objective.magnitude) } }

  /// That of the first objective.
  func reward(_ completion: ScoredCompletion) -> Double { terms[0].objective.reward(completion) }

  mutating func prepare(for batch: [ObjectiveGroup]) {
    for index in terms.indices { terms[index].objective.prepare(for: batch) }
  }

  mutating func observe(_ batch: [ObjectiveGroup]) {
    for index in terms.indices { terms[index].objective.observe(batch) }
  }

  var metrics: [(name: String, value: Double)] { terms.flatMap { $0.objective.metrics } }

  var state: [Double] {
    get { terms.flatMap { $0.objective.state } }
    set {
      var rest = newValue[...]
      for index in terms.indices {
        let own = rest.prefix(terms[index].objective.state.count)
        terms[index].objective.state = Array(own)
        rest = rest.dropFirst(own.count)
      }
    }
  }
}
