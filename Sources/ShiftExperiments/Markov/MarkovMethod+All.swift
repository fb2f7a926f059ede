import Adaptation

extension MarkovMethod {
  /// All methods of the experiment, in the order of the tables.
  package static let all = reference + exactRatios + estimatedRatios + pseudoLabels + combinations + controls

  /// Weighted source pairs.
  private static func weighted(
    _ name: String, _ group: Group, _ ratio: RatioSource, _ settings: WeightSettings,
    student: MarkovRewardClass = .unigrams
  ) -> MarkovMethod {
    MarkovMethod(name, group, student: student) { trial in
      let fit = try trial.weights(ratio, settings)
      return Training(trial.sourceRows(student, weights: fit.weights), fit)
    }
  }

  private static let reference = [
    MarkovMethod("uniform", .reference) { Training($0.sourceRows(.unigrams)) },
    MarkovMethod("oracle", .reference) { Training($0.targetRows(.unigrams, labels: $0.target.labels)) },
  ]

  private static let exactRatios =
    [
      weighted("raw", .exact, .exact, .raw),
      weighted("PSIS", .exact, .exact, .ungated(.psis)),
      weighted("clip 10", .exact, .exact, .ungated(.clip) { $0.clip = 10 }),
      weighted("relative 0.1", .exact, .exact, .ungated(.relative) { $0.alpha = 0.1 }),
      weighted("relative 0.5", .exact, .exact, .ungated(.relative) { $0.alpha = 0.5 }),
      weighted("temper 0.5", .exact, .exact, .ungated(.temper) { $0.temper = 0.5 }),
      weighted("temper 0.25", .exact, .exact, .ungated(.temper) { $0.temper = 0.25 }),
      weighted("length-normalised", .exact, RatioSource("importance", ["form": "length"]), .raw),
    ]
    + [0.9, 0.7, 0.5, 0.3, 0.1].map { weighted("ESS \($0)", .exact, .exact, .effective($0)) }
    + [
      weighted("raw, gates on", .exact, .exact, gated(.none)),
      weighted("ESS 0.5, gates on", .exact, .exact, gated(.ess)),
    ]

  /// Settings with the gates as they are by default.
  private static func gated(_ flattening: WeightSettings.Flattening) -> WeightSettings {
    var settings = WeightSettings()
    settings.flattening = flattening
    return settings
  }

  private static let estimatedRatios = [
    ("discriminator", RatioSource.discriminator),
    ("discriminator, quadratic", RatioSource("discriminator", ["quadratic": "yes"])),
    ("uLSIF", RatioSource("rulsif", ["alpha": "0"])), ("RuLSIF", RatioSource("rulsif", ["alpha": "0.1"])),
    ("KLIEP", RatioSource("kliep")), ("entropy balance", RatioSource("entropy_balance")), ("KMM", RatioSource("kmm")),
  ].filter { DensityRegistry.names.contains($0.1.estimator) }.flatMap { name, ratio in
    [
      weighted("\(name), raw", .estimated, ratio, .raw),
      weighted("\(name), ESS 0.5", .estimated, ratio, .effective(0.5)),
    ]
  }

  /// Target pairs with the forecasts of a teacher that learned from the source.
  private static func taught(
    _ name: String, _ group: Group = .labels, by teacher: MarkovRewardClass, hard: Bool = false,
    weights: @escaping @Sendable (MarkovTrial) throws -> WeightFit? = { _ in nil }
  ) -> MarkovMethod {
    MarkovMethod(name, group) { trial in
      let fit = try weights(trial)
      let model = trial.fit(trial.sourceRows(teacher, weights: fit?.weights))
      let gaps = model.scores(trial.targetGaps(teacher))
      return Training(trial.targetRows(.unigrams, labels: gaps.map { hard ? ($0 > 0 ? 1 : 0) : sigmoid($0) }), fit)
    }
  }

  /// Target pairs that the judge has seen: the first ones, up to a share.
  private static func judged(_ trial: MarkovTrial, share: Double) -> ComparisonRows {
    let count = Int(share * Double(trial.verdicts.count))
    return trial.targetRows(.unigrams, labels: Array(trial.verdicts.prefix(count)))
  }

  private static let pseudoLabels = [
    taught("self-training, soft", by: .unigrams),
    taught("self-training, hard", by: .unigrams, hard: true),
    taught("bigram teacher", by: .bigrams),
    taught("complete teacher", by: .complete),
    MarkovMethod("judge 20 %", .labels) { Training(judged($0, share: 0.2)) },
    MarkovMethod("judge 100 %", .labels) { Training(judged($0, share: 1)) },
  ]

  /// How much the source counts beside labels of the target.
  private enum SourceSize {
    /// As many pairs as it has.
    case nominal
    /// As many as its weights are worth: their effective sample size.
    case effective
  }

  /// Weighted source pairs and the fifth of the target pairs that the judge has seen.
  private static func withJudge(
    _ name: String, _ ratio: RatioSource?, _ settings: WeightSettings, _ size: SourceSize = .nominal
  ) -> MarkovMethod {
    MarkovMethod("\(name) + judge 20 %", .combined) { trial in
      let fit = try ratio.map { try trial.weights($0, settings) }
      let mass = size == .effective ? fit?.report.effectiveShare ?? 1 : 1
      let weights = fit?.weights.map { mass * $0 }
      return Training(trial.sourceRows(.unigrams, weights: weights) + judged(trial, share: 0.2), fit)
    }
  }

  private static let combinations = [
    taught("bigram teacher of ESS 0.5", .combined, by: .bigrams) { try $0.weights(.exact, .effective(0.5)) },
    taught("complete teacher of ESS 0.5", .combined, by: .complete) { try $0.weights(.exact, .effective(0.5)) },
    withJudge("uniform", nil, .raw),
    withJudge("temper 0.5", .exact, .ungated(.temper)),
    withJudge("ESS 0.5", .exact, .effective(0.5)),
    withJudge("discriminator, ESS 0.5", .discriminator, .effective(0.5)),
    withJudge("temper 0.5 at its ESS", .exact, .ungated(.temper), .effective),
    withJudge("ESS 0.5 at its ESS", .exact, .effective(0.5), .effective),
  ]

  private static let controls = [
    MarkovMethod("complete, uniform", .control, student: .complete) { Training($0.sourceRows(.complete)) },
    MarkovMethod("complete, oracle", .control, student: .complete) {
      Training($0.targetRows(.complete, labels: $0.target.labels))
    },
    weighted("complete, raw", .control, .exact, .raw, student: .complete),
    weighted("complete, ESS 0.5", .control, .exact, .effective(0.5), student: .complete),
  ]
}
