import AlignmentCore
import Checkpoints
import Collectives
import Foundation
import JSON
import PreferenceData
import Testing
import Training
import Transformer

/// The commands on trained models, as functions, over ranks that are threads.
@Suite struct EvaluationTests {
  private let directory: TemporaryDirectory
  private let policy: String
  private let reference: String
  private let judge: String
  private let pairs: String

  init() throws {
    directory = try TemporaryDirectory()
    setenv("ADALIGN_CACHE", NSTemporaryDirectory() + "adalign-training-cache-\(getpid())", 1)
    let path = directory.path
    func model(_ name: String, seed: Int, _ head: ModelHead) throws -> String {
      let origin = try configuration([
        "model={initialize: {hidden_size: 16, intermediate_size: 24, layers: 1, heads: 2, context: 96, seed: \(seed)}}"
      ]).model
      let source = try ModelSource(origin)
      let layout = ParameterLayout(source.configuration, head: head)
      let parameters = try FloatBuffer(count: layout.count, purpose: "test")
      try source.loadParameters(layout, into: parameters.view)
      // Larger than new weights, for outputs that differ.
      for tensor in layout.tensors where tensor.isMatrix {
        for i in tensor.range { parameters.view.base[i] *= 12 }
      }
      try ModelExport(source: source, layout: layout, head: head).write(parameters.view, to: "\(path)/\(name)")
      return "\(path)/\(name)"
    }
    policy = try model("policy", seed: 1, .languageModel)
    reference = try model("reference", seed: 2, .languageModel)
    judge = try model("judge", seed: 3, .score)
    pairs = try directory.write("pairs.jsonl", Self.rows.joined(separator: "\n") + "\n")
  }

  private static let rows = (0..<13).map { n in
    let domain = n == 12 ? "" : #", "domain": "\#(n % 3 == 0 ? "far" : "near")""#
    return #"{"prompt": "Say \#(n):", "chosen": " \#(n) and \#(n * n)", "rejected": " no \#(n % 4)", "#
      + #""weight": \#(Double(n % 4) / 2), "q": \#(n % 5 == 0 ? 0.9 : 1)\#(domain)}"#
  }

  private func evaluation(_ model: String, _ file: String, _ objective: String? = nil, _ settings: [String] = [])
    -> ModelEvaluation
  {
    var evaluation = ModelEvaluation(model: model)
    var data = HeldOutData(file: file)
    (data.objective, data.settings) = (objective, settings)
    evaluation.data = data
    evaluation.unitTokens = 64
    return evaluation
  }

  /// The report, which must be the same on one, two and three ranks.
  private func report(_ evaluation: ModelEvaluation) throws -> JSONValue {
    let alone = try evaluation.run(over: LocalCommunicator()).json
    for ranks in [2, 3] {
      for json in try LocalCommunicator.run(ranks: ranks, { try evaluation.run(over: $0).json }) {
        #expect(json.serialized() == alone.serialized(), "\(ranks) ranks")
      }
    }
    return alone
  }

  private func number(_ json: JSONValue, _ path: ByteString...) throws -> Double {
    try #require(path.reduce(json) { $0?[$1] }?.doubleValue, "\(path)")
  }

  /// Log-probabilities or scores of the completions of the rows, in their order.
  private func outputs(_ model: String, _ key: ByteString) throws -> [[Double]] {
    let output = "\(directory.path)/scores.jsonl"
    try ScoreFile(models: [model], data: pairs, output: output).write(over: LocalCommunicator())
    return try lines(output).map { row in
      try #require(row["completions"]?.arrayValue).map { try #require($0[key]?.doubleValue) }
    }
  }

  private func lines(_ path: String) throws -> [JSONValue] {
    try FileSystem.readWhole(path).split(separator: UInt8(ascii: "\n")).map { try JSONValue.parse(Array($0)) }
  }

  // Means of a dozen numbers in another order, or of log-probabilities that are added per token.
  private func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-9 * max(1, abs(b)) }

  @Test func languageModelOnPairsByDomain() throws {
    var evaluation = evaluation(policy, pairs, nil, ["beta=0.3"])
    evaluation.reference = reference
    let json = try report(evaluation)
    let (own, other) = (try outputs(policy, "logp"), try outputs(reference, "logp"))
    for (domain, rows) in [
      ("overall", Array(0..<13)), ("far", [0, 3, 6, 9]), ("near", [1, 2, 4, 5, 7, 8, 10, 11]),
    ] as [(ByteString, [Int])] {
      let part = try #require(domain == "overall" ? json["overall"] : json["domains"]?[domain])
      for kind in ["unweighted", "weighted"] as [ByteString] {
        let weights = rows.map { kind == "weighted" ? Double($0 % 4) / 2 : 1 }
        let mean = { (value: (Int) -> Double) in
          zip(rows, weights).reduce(0) { $0 + $1.1 * value($1.0) } / weights.reduce(0, +)
        }
        let margin = { (row: Int) in 0.3 * (own[row][0] - other[row][0] - own[row][1] + other[row][1]) }
        let loss = mean { row in
          let q = row % 5 == 0 ? 0.9 : 1
          return q * log1p(exp(-margin(row))) + (1 - q) * log1p(exp(margin(row)))
        }
        #expect(isClose(try number(part, kind, "loss"), loss))
        #expect(isClose(try number(part, kind, "rewards/margins"), mean(margin)))
        #expect(isClose(try number(part, kind, "rewards/accuracies"), mean { margin($0) > 0 ? 1 : 0 }))
        #expect(isClose(try number(part, kind, "logps/chosen"), mean { own[$0][0] }))
        #expect(isClose(try number(part, kind, "logps/rejected"), mean { own[$0][1] }))
        #expect(isClose(try number(part, kind, "log_ratios/chosen"), mean { own[$0][0] - other[$0][0] }))
        // A byte-level tokenizer, and the end of the sequence.
        let tokens = mean { Double(" \($0) and \($0 * $0)".utf8.count + 1) }
        #expect(isClose(try number(part, kind, "perplexity"), exp(-mean { own[$0][0] } / tokens)))
      }
      let weights = rows.map { Double($0 % 4) / 2 }
      let (sum, squares) = (weights.reduce(0, +), weights.reduce(0) { $0 + $1 * $1 })
      #expect(part["examples"]?.intValue == rows.count && part["weight"]?.doubleValue == sum)
      #expect(isClose(try number(part, "effective_sample_size"), sum * sum / squares))
    }
    #expect(json["domains"]?.objectValue?.members.map(\.key) == ["far", "near"])
  }

  @Test(arguments: [
    ("sft", []), ("kto", []), ("kto", ["kl=opposite"]), ("aot", []), ("dpo,sft", ["weights=1,0.5"]),
    ("dpo", ["ld_alpha=0.5"]), ("orpo", []), ("csft", []), ("bco", []),
  ])
  func anyObjectiveOnAnyNumberOfRanks(objective: String, settings: [String]) throws {
    var evaluation = evaluation(policy, pairs, objective, settings)
    evaluation.reference = reference
    let json = try report(evaluation)
    #expect(try number(json, "overall", "weighted", "loss").isFinite)
    #expect(try number(json, "domains", "far", "unweighted", "loss").isFinite)
  }

  @Test func withoutAReferenceTheLossIsTheLikelihood() throws {
    let json = try report(evaluation(policy, pairs))
    #expect(json["objective"] == .string("sft") && json["reference"] == nil)
    // Soft labels mix the rejected completions into the loss; the perplexity is of chosen ones.
    let loss = try number(json, "overall", "unweighted", "loss")
    #expect(abs(exp(loss) / (try number(json, "overall", "unweighted", "perplexity")) - 1) < 0.1)
    #expect(json["overall"]?["unweighted"]?["log_ratios/chosen"] == nil)
    #expect(try number(json, "overall", "unweighted", "rewards/accuracies") <= 1)
  }

  @Test func rewardModelOnPairs() throws {
    let json = try report(evaluation(judge, pairs))
    let scores = try outputs(judge, "score")
    let forecasts = PairForecasts(
      scores.enumerated().map { row, scores in
        .init(difference: scores[0] - scores[1], softLabel: row % 5 == 0 ? 0.9 : 1)
      })
    let part = try #require(json["overall"]?["unweighted"])
    #expect(isClose(try number(part, "nll"), forecasts.negativeLogLikelihood()))
    #expect(isClose(try number(part, "ece"), forecasts.expectedCalibrationError()))
    #expect(isClose(try number(part, "brier"), forecasts.brierScore()))
    #expect(isClose(try number(part, "rewards/accuracies"), forecasts.accuracy))
    #expect(isClose(try number(part, "scores/mean"), scores.joined().reduce(0, +) / 26))
  }

  @Test func rewardModelOnLabelsAndScores() throws {
    let scores = try outputs(judge, "score")
    let flat = scores.flatMap { $0 }
    // The rows' completions one by one, every third of them good, with a score of their own.
    let completions = try lines(pairs).flatMap { row in
      ["chosen", "rejected"].map { (row["prompt"]?.stringValue ?? "", row[ByteString($0)]?.stringValue ?? "") }
    }
    let text = { (field: (Int) -> String) in
      completions.enumerated().map { #"{"prompt": "\#($1.0)", "completion": "\#($1.1)", \#(field($0))}"# + "\n" }
        .joined()
    }
    let labelled = try directory.write("labelled.jsonl", text { #""label": \#($0 % 3 == 0)"# })
    let json = try report(evaluation(judge, labelled))
    let auc = PredictionStatistics.areaUnderCurve(flat.enumerated().map { ($1, $0 % 3 == 0, 1.0) })
    let nll = flat.enumerated().reduce(0) { $0 + log1p(exp($1.0 % 3 == 0 ? -$1.1 : $1.1)) } / 26
    #expect(isClose(try number(json, "overall", "unweighted", "auc"), auc))
    #expect(isClose(try number(json, "overall", "unweighted", "nll"), nll))
    let scored = try directory.write("scored.jsonl", text { #""score": \#($0 * $0 % 7)"# })
    let findings = try report(evaluation(judge, scored))
    let points = flat.enumerated().map {
      PredictionStatistics.Point(predicted: $1, actual: Double($0 * $0 % 7))
    }
    let part = try #require(findings["overall"]?["unweighted"])
    #expect(isClose(try number(part, "mse"), PredictionStatistics.meanSquaredError(points)))
    #expect(isClose(try number(part, "pearson"), PredictionStatistics.correlation(points)))
    #expect(isClose(try number(part, "spearman"), PredictionStatistics.rankCorrelation(points)))
  }

  private func comparison(_ opponent: String, samples: Int = 3) throws -> ModelEvaluation {
    var sampling = SamplingSettings(seed: 5, maxNewTokens: 9)
    sampling.samples = samples
    var evaluation = ModelEvaluation(model: policy)
    evaluation.comparison = PolicyComparison.Settings(
      opponent: opponent, judge: judge, prompts: pairs, sampling: sampling)
    evaluation.reference = reference
    return evaluation
  }

  @Test func aPolicyAgainstItselfAndAnother() throws {
    let same = try #require(try report(comparison(policy))["comparison"])
    #expect(try number(same, "win_rate") == 0.5)
    let other = try #require(try report(comparison(reference))["comparison"])
    #expect(other["prompts"] == .integer(13) && other["samples"] == .integer(3))
    #expect((0...1).contains(try number(other, "win_rate")))
    #expect(other["interval"]?.arrayValue?.count == 2)
    #expect(try number(other, "scores", "policy") == number(same, "scores", "policy"))
    #expect(try number(other, "scores", "against") != number(other, "scores", "policy"))
    // Thirteen prompts of three short samples: k3 is a sum of terms that cannot be negative.
    #expect(try number(other, "kl", "k3") > 0)
    var own = try comparison(reference)
    own.reference = policy
    let none = try #require(try report(own)["comparison"])
    #expect(try number(none, "kl", "k1") == 0 && number(none, "kl", "k3") == 0)
  }

  @Test func calibrationScalesTheHead() throws {
    // The judge is random: labels that it is right about more often than not.
    let scores = try outputs(judge, "score")
    let text = try lines(pairs).enumerated().map { row, value -> String in
      let isSwapped = (scores[row][0] > scores[row][1]) == (row % 4 == 0)
      let (chosen, rejected) = (value["chosen"]?.stringValue ?? "", value["rejected"]?.stringValue ?? "")
      return #"{"prompt": "\#(value["prompt"]?.stringValue ?? "")", "chosen": "\#(isSwapped ? rejected : chosen)", "#
        + #""rejected": "\#(isSwapped ? chosen : rejected)"}"#
    }
    let data = try directory.write("calibration.jsonl", text.joined(separator: "\n") + "\n")
    var reports: [[UInt8]] = []
    for ranks in [1, 3] {
      let calibration = RewardCalibration(model: judge, data: data, output: "\(directory.path)/calibrated-\(ranks)")
      reports += try LocalCommunicator.run(ranks: ranks) { try calibration.run(over: $0).serialized() }
    }
    #expect(Set(reports).count == 1)
    let found = try JSONValue.parse(reports[0])
    #expect(try number(found, "after", "nll") < number(found, "before", "nll"))
    let temperature = try number(found, "temperature")
    let weights = try ["judge", "calibrated-1", "calibrated-3"].map { name -> [Float] in
      let file = try SafetensorsFile(path: "\(directory.path)/\(name)/model.safetensors")
      let record = try #require(file["score.weight"])
      var values = [Float](repeating: 0, count: record.elementCount)
      try values.withUnsafeMutableBufferPointer { try file.copyFloats(of: record, into: $0) }
      return values
    }
    #expect(weights[1] == weights[0].map { Float(Double($0) / temperature) } && weights[2] == weights[1])
    // Float32 weights: the new model's likelihood is the one that was promised.
    let after = try report(evaluation("\(directory.path)/calibrated-1", data))
    #expect(abs(try number(after, "overall", "unweighted", "nll") - number(found, "after", "nll")) < 1e-6)
  }

  @Test func anEnsembleHasAllScores() throws {
    let output = "\(directory.path)/ensemble.jsonl"
    var file = ScoreFile(models: [judge, judge], data: pairs, output: output)
    file.combination = .lowerBound(lambda: 2)
    try file.write(over: LocalCommunicator())
    let single = try outputs(judge, "score")
    for (row, expected) in zip(try lines(output), single) {
      let completions = try #require(row["completions"]?.arrayValue)
      for (completion, score) in zip(completions, expected) {
        #expect(completion["score"]?.doubleValue == score)
        #expect(completion["scores"] == .array([.double(score), .double(score)]))
      }
    }
  }
}
