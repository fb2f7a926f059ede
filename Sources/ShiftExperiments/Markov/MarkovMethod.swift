import Adaptation

/// A way to train a reward model for the target from what a trial offers.
package struct MarkovMethod: Sendable {
  /// What a reward model is trained on, and the weights that made it.
  struct Training {
    var rows: ComparisonRows
    var fit: WeightFit?

    init(_ rows: ComparisonRows, _ fit: WeightFit? = nil) {
      self.rows = rows
      self.fit = fit
    }
  }

  /// Sections of the tables.
  package enum Group: String, Sendable, CaseIterable {
    case reference = "Reference"
    case exact = "Closed-form ratio of sequences"
    case estimated = "Ratio estimated from token counts"
    case labels = "Pseudo-labels on target pairs"
    case combined = "Both"
    case control = "Control: a reward model that can express the gold reward"
  }

  package let name: String
  package let group: Group
  /// What the reward model sees.
  let student: MarkovRewardClass
  /// Makes the training data.
  let prepare: @Sendable (MarkovTrial) throws -> Training

  init(
    _ name: String, _ group: Group, student: MarkovRewardClass = .unigrams,
    _ prepare: @escaping @Sendable (MarkovTrial) throws -> Training
  ) {
    self.name = name
    self.group = group
    self.student = student
    self.prepare = prepare
  }

  /// The method whose gap to the oracle is to be closed.
  package static func baseline(of group: Group) -> String { group == .control ? "complete, uniform" : "uniform" }
  /// The method that closes it.
  package static func oracle(of group: Group) -> String { group == .control ? "complete, oracle" : "oracle" }
}

extension WeightGates {
  /// Gates that never refuse: the experiment is to see what happens then.
  package static let open: WeightGates = {
    var gates = WeightGates()
    for gate in [
      \WeightGates.effectiveShare, \.maxShare, \.paretoShape, \.auc, \.balance, \.lengthCorrelation, \.meanRatio,
    ] {
      gates[keyPath: gate].refuse = GateBounds()
    }
    return gates
  }()
}

extension WeightSettings {
  /// Settings with open gates.
  static func ungated(_ flattening: Flattening, _ change: (inout WeightSettings) -> Void = { _ in }) -> WeightSettings {
    var settings = WeightSettings()
    settings.flattening = flattening
    settings.gates = .open
    change(&settings)
    return settings
  }

  package static let raw = ungated(.none)

  /// Tempered to an effective sample size.
  static func effective(_ share: Double) -> WeightSettings { ungated(.ess) { $0.effectiveShare = share } }
}
