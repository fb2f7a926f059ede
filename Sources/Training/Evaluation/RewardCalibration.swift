import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import Objectives
import PreferenceData
import Transformer

/// The work of `adalign calibrate`: a reward model gets the temperature that fits held-out pairs best (Guo et al. 2017,
/// arXiv 1706.04599, §4.2), as a factor 1/T of its head.
package struct RewardCalibration {
  package let model: String
  package let data: String
  package let output: String
  package var boundary: EncodingOptions.Boundary = .joined
  /// Longest prompt and completion in tokens; nil refuses those beyond the context.
  package var maxLength: Int?
  package var unitTokens = 2048
  package var threads = 1

  package init(model: String, data: String, output: String) {
    self.model = model
    self.data = data
    self.output = output
  }

  /// Scores on all ranks; rank 0 writes the model, which appears when it is complete.
  ///
  /// - Returns: temperature, and how the model fares before and after, the same on every rank.
  package func run(over communicator: any Communicator) throws -> JSONValue {
    try ModelExport.checkTarget(output)
    BLAS.threads = threads
    let source = try ModelSource(.directory(model)).agreed(over: communicator)
    try source.requireRewardModel(model, for: "calibration")
    let forecasts = try forecasts(source, over: communicator)
    let temperature = try temperature(of: forecasts)
    if communicator.rank == 0 { try export(source, temperature) }
    try communicator.barrier()
    let summary = { (temperature: Double) in
      JSONValue.object(
        JSONObject([
          ("nll", .double(forecasts.negativeLogLikelihood(temperature: temperature))),
          ("ece", .double(forecasts.expectedCalibrationError(temperature: temperature))),
          ("brier", .double(forecasts.brierScore(temperature: temperature))),
        ]))
    }
    return .object(
      JSONObject([
        ("temperature", .double(temperature)), ("pairs", .integer(Int64(forecasts.pairs.count))),
        ("accuracy", .double(forecasts.accuracy)), ("before", summary(1)), ("after", summary(temperature)),
      ]))
  }

  private func forecasts(_ source: ModelSource, over communicator: any Communicator) throws -> PairForecasts {
    var options = EncodingOptions(
      contextLength: source.configuration.contextLength, endOfSequence: source.endOfSequence)
    options.boundary = boundary
    options.maxLength = maxLength.map { min($0, options.contextLength) }
    options.selection = .pairs
    let dataset = try PreparedData.open(
      [data], source: source, options: options, cache: CacheDirectory.byDefault, over: communicator)
    let scores = try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator)
      .completionOutputs()
    return PairForecasts(
      (0..<dataset.count).map { index in
        let record = dataset.example(index)
        return PairForecasts.Pair(
          difference: scores[record.firstCompletion] - scores[record.firstCompletion + 1], softLabel: record.q,
          weight: record.weight)
      })
  }

  private func temperature(of forecasts: PairForecasts) throws -> Double {
    do {
      return try forecasts.temperature()
    } catch .separable {
      throw Fault(
        .data, "the model is right about all \(forecasts.pairs.count) pairs, so that no temperature is low enough",
        at: data, hint: "use more pairs, and such that the model was not trained on")
    } catch .uninformative {
      throw Fault(
        .data, "the model's scores are no better than chance on these pairs, so that no temperature is high enough",
        at: data, hint: "check that chosen and rejected are not swapped; then train the model first")
    }
  }

  private func export(_ source: ModelSource, _ temperature: Double) throws {
    let layout = ParameterLayout(source.configuration, head: .score)
    let parameters = try source.loadParameters()
    for tensor in layout.tensors where tensor.belongsToScalarHead {
      let weights = parameters.view[tensor.range]
      for i in 0..<weights.count { weights.base[i] = Float(Double(weights.base[i]) / temperature) }
    }
    try ModelExport(source: source, layout: layout, head: .score).write(parameters.view, to: output)
  }
}
