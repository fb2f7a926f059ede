import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Objectives
import PreferenceData
import Transformer

/// How a policy fares on held-out prompts, as a judge that scores sees it.
struct RoundEvaluation: Equatable {
  /// Mean score over the prompts, and its standard error over them.
  var score: Double
  var standardError: Double
  /// Mean log π(y|x) − log π₀(y|x) of its responses against the initial policy's, in nats for each response.
  var divergence: Double
  /// Mean tokens of a response.
  var tokens: Double
  /// Share of responses that ended by themselves.
  var finished: Double
  var prompts: Int

  var json: JSONValue {
    .object(
      JSONObject([
        ("score", .double(score)), ("standard_error", .double(standardError)), ("kl", .double(divergence)),
        ("tokens", .double(tokens)), ("finished", .double(finished)), ("prompts", .integer(Int64(prompts))),
      ]))
  }

  /// - Throws: ``Fault`` if the file is not as ``json`` was written.
  init(contentsOf path: String) throws {
    let json = try ModelSource.parse(try FileSystem.readWhole(path), path)
    let number = { (key: ByteString) -> Double in
      guard let value = json[key]?.doubleValue else {
        throw Fault(.data, "'\(key)' is missing", at: path, hint: "remove the file to evaluate again")
      }
      return value
    }
    score = try number("score")
    standardError = try number("standard_error")
    divergence = try number("kl")
    tokens = try number("tokens")
    finished = try number("finished")
    prompts = Int(try number("prompts"))
  }

  init(score: Double, standardError: Double, divergence: Double, tokens: Double, finished: Double, prompts: Int) {
    self.score = score
    self.standardError = standardError
    self.divergence = divergence
    self.tokens = tokens
    self.finished = finished
    self.prompts = prompts
  }
}

/// Samples responses to held-out prompts and has them judged, by all ranks.
struct EvaluationStage {
  let settings: AdaptationConfiguration.EvaluationSettings
  let judge: any PointwisePreferenceFunction
  /// Directory of the policy before the first round.
  let initial: String
  /// How long prompts are cut.
  let data: RunConfiguration.DataSettings
  let cache: String
  let communicator: any Communicator

  /// The same random numbers for every policy, so that differences are less noisy than each number.
  func evaluate(policy directory: String, seed: UInt64) throws -> RoundEvaluation {
    let source = try ModelSource(.directory(directory)).agreed(over: communicator)
    let reader = PromptReader(source: source, data: data)
    let prompts = try settings.prompts.flatMap(reader.read)
    var sampling = settings.sampling
    sampling.seed = seed
    let parameters = try source.loadParameters(over: communicator)
    let drawn = try Continuations(source: source, over: communicator).draw(
      prompts.map(\.tokens), parameters: parameters.view, sampling)
    let responses = zip(prompts, drawn).flatMap { prompt, continuations in
      continuations.map {
        JudgedResponse(prompt: prompt.text, response: String(decoding: $0.text, as: UTF8.self))
      }
    }
    let scores = try judge.judgements(of: responses).map { $0.scores.first ?? 0 }
    let perPrompt = prompts.indices.map { index in
      let own = scores[index * sampling.samples..<(index + 1) * sampling.samples]
      return own.reduce(0, +) / Double(own.count)
    }
    let samples = drawn.joined().map(\.sample)
    let moments = Moments(perPrompt)
    return RoundEvaluation(
      score: moments.mean, standardError: moments.sampleDeviation / Double(perPrompt.count).squareRoot(),
      divergence: try divergence(prompts, drawn),
      tokens: samples.reduce(0) { $0 + Double($1.ids.count) } / Double(samples.count),
      finished: Double(samples.count { $0.isFinished }) / Double(samples.count), prompts: prompts.count)
  }

  private func divergence(_ prompts: [PromptText], _ drawn: [[Continuations.Continuation]]) throws -> Double {
    let reference = try ModelSource(.directory(initial)).agreed(over: communicator)
    let examples = zip(prompts, drawn).map { prompt, continuations in
      EncodedExample(
        prompt: prompt.tokens, completions: continuations.map { .init(tokens: $0.sample.ids, role: .sample) })
    }
    let dataset = try TransientDataset.open(examples, cache: cache, over: communicator)
    let sums = try ScoringPass(reference, dataset: dataset, unitTokens: 2048, over: communicator).completionOutputs()
    let own = drawn.joined().map(\.sample.logProbability)
    return zip(own, sums).reduce(0) { $0 + $1.0 - $1.1 } / Double(sums.count)
  }
}
