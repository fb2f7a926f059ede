import AlignmentCore
import Objectives
import PreferenceData

/// What training on preferences tells of its steps and of held-out data.
struct PreferenceReport {
  let trainer: Trainer
  let normalization: RunConfiguration.Normalization

  /// Metrics of a batch from its shared table.
  func metrics(of task: PreferenceTask, _ examples: [Int], _ table: StepTable) -> StepMetrics {
    let objective = task.loss.objective
    let values =
      PreferenceMetrics.values(task.batch, objective: objective) + objective.metrics + task.weightMetrics(table)
    let accuracy = values.first { $0.name == "rewards/accuracies" }?.value
    return StepMetrics(
      loss: task.meanLoss(table, of: examples), values: values, examples: examples.count,
      tokens: examples.reduce(0) { $0 + task.data.dataset.example($1).tokenCount },
      highlights: accuracy.map { [("accuracy", $0)] } ?? [])
  }

  /// Metrics of all examples of held-out data, by the objective as it is.
  func evaluate(_ task: PreferenceTask) throws -> StepMetrics {
    let examples = Array(0..<task.data.dataset.count)
    try trainer.evaluate(examples, of: task)
    let objective = task.loss.objective
    task.observe(trainer.table)
    var metrics = metrics(of: task, examples, trainer.table)
    metrics.values += calibration(task.batch, objective.traits)
    metrics.values += domainValues(task, objective)
    return metrics
  }

  /// How far a reward model of pairs can be believed.
  private func calibration(_ batch: [ObjectiveGroup], _ traits: ObjectiveTraits) -> [PreferenceMetrics.Named] {
    guard traits.output == .score, traits.groupKind == .pair else { return [] }
    let forecasts = PairForecasts(batch, weight: { _ in 1 })
    return [("nll", forecasts.negativeLogLikelihood()), ("ece", forecasts.expectedCalibrationError())]
  }

  /// The metrics of each domain, if there are several.
  ///
  /// - Parameters:
  ///   - objective: as it was when the losses were computed.
  private func domainValues(_ task: PreferenceTask, _ objective: any Objective) -> [PreferenceMetrics.Named] {
    let domains = task.data.dataset.examplesByDomain
    guard domains.count > 1 else { return [] }
    return domains.flatMap { name, examples in
      let batch = examples.map { task.batch[$0] }
      let loss = PreferenceMetrics.loss(of: batch, objective: objective, normalization: normalization)
      let values =
        [("loss", loss)] + PreferenceMetrics.values(batch, objective: objective)
        + calibration(batch, objective.traits)
      return values.map { ("\(name)/\($0.0)", $0.1) }
    }
  }
}
