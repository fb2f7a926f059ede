import Adaptation

/// A way to learn what the target prefers from what a trial offers: a list of pairs with labels and weights, from which a reward
/// model or the policy itself learns.
package struct PolicyMethod: Sendable {
  /// Sections of the tables.
  package enum Group: String, Sendable, CaseIterable {
    case reference = "Reference"
    case exact = "True ratio of the generators"
    case estimated = "Ratio estimated from features"
    case labels = "Pseudo-labels on target pairs"
    case combined = "Both"
  }

  package let name: String
  package let group: Group
  /// Whether policies are trained by it, too, which takes longer than a linear reward model.
  package let trainsPolicy: Bool
  let prepare: @Sendable (PolicyTrial) throws -> PairLessons

  private init(
    _ name: String, _ group: Group, policy: Bool = false,
    _ prepare: @escaping @Sendable (PolicyTrial) throws -> PairLessons
  ) {
    (self.name, self.group, trainsPolicy, self.prepare) = (name, group, policy, prepare)
  }

  /// The method whose gap to the oracle is to be closed.
  package static let uniform = PolicyMethod("uniform", .reference, policy: true) { $0.sourceLessons() }
  /// The method that closes it: as many labelled pairs of the target as the source has.
  package static let oracle = PolicyMethod("oracle", .reference, policy: true) {
    PairLessons(rows: $0.targetRows($0.labels.target))
  }

  /// All methods, in the order of the tables.
  package static let all = [uniform, oracle] + exactRatios + estimatedRatios + labels + combinations
}

// MARK: - Weights

extension PolicyMethod {
  private static let estimator = RatioSource("discriminator")

  private static func weighted(
    _ name: String, _ group: Group, _ ratio: RatioSource, _ settings: WeightSettings, policy: Bool = false
  ) -> PolicyMethod {
    PolicyMethod(name, group, policy: policy) { $0.sourceLessons(try $0.weights(ratio, settings)) }
  }

  private static let exactRatios = [
    weighted("raw", .exact, .exact, .raw, policy: true),
    weighted("PSIS", .exact, .exact, .ungated(.psis), policy: true),
    weighted("clip 10", .exact, .exact, .ungated(.clip) { $0.clip = 10 }),
    weighted("relative 0.5", .exact, .exact, .ungated(.relative) { $0.alpha = 0.5 }),
    weighted("temper 0.5", .exact, .exact, .ungated(.temper) { $0.temper = 0.5 }),
    weighted("ESS 0.9", .exact, .exact, .effective(0.9)),
    weighted("ESS 0.7", .exact, .exact, .effective(0.7)),
    weighted("ESS 0.5", .exact, .exact, .effective(0.5), policy: true),
    weighted("ESS 0.3", .exact, .exact, .effective(0.3)),
    weighted("ESS 0.5, gates on", .exact, .exact, WeightSettings()),
  ]

  private static let estimatedRatios = [
    weighted("discriminator, raw", .estimated, estimator, .raw, policy: true),
    weighted("discriminator, ESS 0.9", .estimated, estimator, .effective(0.9)),
    weighted("discriminator, ESS 0.5", .estimated, estimator, .effective(0.5), policy: true),
    weighted("discriminator, ESS 0.5, gates on", .estimated, estimator, WeightSettings()),
    weighted("RuLSIF, ESS 0.5", .estimated, RatioSource("rulsif"), .effective(0.5)),
    weighted("entropy balance, ESS 0.5", .estimated, RatioSource("entropy_balance"), .effective(0.5)),
  ]
}

// MARK: - Labels

extension PolicyMethod {
  /// Forecasts of the wide reward model of the source.
  private static func teacher(_ trial: PolicyTrial, _ fit: WeightFit?) -> [Double] {
    trial.forecasts(of: trial.rewardModel(trial.sourceLessons(fit), .wide), .wide)
  }

  private static let labels = [
    PolicyMethod("self-training", .labels) { trial in
      let model = trial.rewardModel(trial.sourceLessons(), .narrow)
      return PairLessons(rows: trial.targetRows(trial.forecasts(of: model, .narrow)))
    },
    PolicyMethod("teacher", .labels, policy: true) { PairLessons(rows: $0.targetRows(teacher($0, nil))) },
    PolicyMethod("judge 20 %", .labels, policy: true) { PairLessons(rows: $0.judgedRows) },
    PolicyMethod("judge 100 %", .labels) { PairLessons(rows: $0.targetRows($0.verdicts)) },
  ]

  /// How much the source counts beside labels of the target.
  private enum SourceSize: Sendable {
    /// As many pairs as it has.
    case nominal
    /// As many as its weights are worth: their effective sample size.
    case effective
  }

  private static func sourceRows(_ trial: PolicyTrial, _ fit: WeightFit?, _ size: SourceSize) -> [PairLessons.Row] {
    let mass = size == .effective ? fit?.report.effectiveShare ?? 1 : 1
    return trial.sourceLessons(fit).rows.map { row in
      var row = row
      row.weight *= mass
      return row
    }
  }

  /// The source beside the target pairs that the judge has seen.
  private static func withJudge(
    _ name: String, _ ratio: RatioSource?, _ size: SourceSize = .nominal, policy: Bool = true
  ) -> PolicyMethod {
    PolicyMethod("\(name) + judge", .combined, policy: policy) { trial in
      let fit = try ratio.map { try trial.weights($0, .effective(0.5)) }
      return PairLessons(rows: sourceRows(trial, fit, size) + trial.judgedRows, fit: fit)
    }
  }

  /// What the preset `combined` does with an expert for a fifth of the labels, if the source counts at its ESS: a teacher of the
  /// weighted source labels the other target pairs, and the source stands beside them, if at all.
  private static func combined(
    _ name: String, _ ratio: RatioSource?, source size: SourceSize?, policy: Bool = true
  ) -> PolicyMethod {
    PolicyMethod(name, .combined, policy: policy) { trial in
      let fit = try ratio.map { try trial.weights($0, .effective(0.5)) }
      let judged = trial.judgedRows
      let taught = trial.targetRows(teacher(trial, fit)).dropFirst(judged.count)
      return PairLessons(rows: (size.map { sourceRows(trial, fit, $0) } ?? []) + judged + taught, fit: fit)
    }
  }

  private static let combinations = [
    PolicyMethod("teacher of ESS 0.5", .combined) { trial in
      let fit = try trial.weights(.exact, .effective(0.5))
      return PairLessons(rows: trial.targetRows(teacher(trial, fit)), fit: fit)
    },
    PolicyMethod("teacher of discriminator", .combined, policy: true) { trial in
      let fit = try trial.weights(estimator, .effective(0.5))
      return PairLessons(rows: trial.targetRows(teacher(trial, fit)), fit: fit)
    },
    withJudge("uniform", nil),
    withJudge("ESS 0.5", .exact, policy: false),
    withJudge("discriminator", estimator),
    withJudge("discriminator at its ESS", estimator, .effective),
    combined("teacher + judge", nil, source: nil),
    combined("weighted teacher + judge", estimator, source: nil, policy: false),
    combined("uniform + teacher + judge", nil, source: .nominal),
    combined("combined, source in full", estimator, source: .nominal),
    combined("combined, source at its ESS", estimator, source: .effective),
  ]
}

extension PolicyTrial {
  /// The source's pairs with the labels of its people.
  func sourceLessons(_ fit: WeightFit? = nil) -> PairLessons {
    let rows = labels.source.enumerated().map { pair, q in
      PairLessons.Row(isSource: true, pair: pair, q: q, weight: fit?.weights[pair] ?? 1)
    }
    return PairLessons(rows: rows, fit: fit)
  }

  /// The first target pairs, with labels from somewhere.
  func targetRows(_ labels: [Double]) -> [PairLessons.Row] {
    labels.enumerated().map { PairLessons.Row(isSource: false, pair: $0, q: $1) }
  }

  /// The first target pairs, which the judge has seen.
  var judgedRows: [PairLessons.Row] {
    targetRows(Array(verdicts.prefix(Int(scale.judgeShare * Double(verdicts.count)))))
  }
}
