import Objectives
import PreferenceData

/// What is told of a reward model on held-out data: pairs, labelled completions, or completions with scores.
struct RewardModelMetrics {
  private let kind: GroupKind
  private let objective: any Objective
  private let groups: [ObjectiveGroup]

  /// - Parameters:
  ///   - task: with the objective that is usual for such data; ``objectiveName(for:)``.
  ///   - scores: of the completions of its data.
  init(_ task: PreferenceTask, scores: [Double]) {
    objective = task.loss.objective
    kind = objective.traits.groupKind
    groups = task.groups(policy: ReferenceTable(sums: scores))
  }

  /// Name and value of the metrics of some examples.
  func values(_ examples: [Int], isWeighted: Bool) -> [(name: String, value: Double)] {
    let groups = examples.map { isWeighted ? self.groups[$0] : self.groups[$0].withUnitWeight }
    let common = PreferenceMetrics.values(groups, objective: objective, weight: \.weight)
    switch kind {
    case .pair: return pairs(groups) + common
    case .scored: return scored(groups) + common
    case .labelled, .preferred, .conditioned: return labelled(groups) + common
    }
  }

  private func pairs(_ groups: [ObjectiveGroup]) -> [(name: String, value: Double)] {
    let forecasts = PairForecasts(groups)
    return [
      ("nll", forecasts.negativeLogLikelihood()), ("ece", forecasts.expectedCalibrationError()),
      ("brier", forecasts.brierScore()),
    ]
  }

  private func labelled(_ groups: [ObjectiveGroup]) -> [(name: String, value: Double)] {
    let scores = groups.map { (score: $0.completions[0].policy, isPositive: $0.isDesirable, weight: $0.weight) }
    return [
      ("nll", PreferenceMetrics.loss(of: groups, objective: objective, normalization: .weight)),
      ("auc", PredictionStatistics.areaUnderCurve(scores)),
    ]
  }

  private func scored(_ groups: [ObjectiveGroup]) -> [(name: String, value: Double)] {
    let points = groups.map {
      PredictionStatistics.Point(predicted: $0.completions[0].policy, actual: $0.margin, weight: $0.weight)
    }
    return [
      ("mse", PredictionStatistics.meanSquaredError(points)), ("pearson", PredictionStatistics.correlation(points)),
      ("spearman", PredictionStatistics.rankCorrelation(points)),
    ]
  }
}
