import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Objectives
import PreferenceData
import Transformer

/// Two policies answer the same prompts, and a reward model judges the answers; computed by all ranks.
package struct PolicyComparison {
  /// What is compared, and how.
  package struct Settings {
    /// Directories of the other policy and of the reward model.
    package var opponent: String
    package var judge: String
    package var prompts: String
    package var sampling: SamplingSettings
    package var stopStrings: [String] = []
    package var limits = SamplingLimits()

    package init(opponent: String, judge: String, prompts: String, sampling: SamplingSettings) {
      self.opponent = opponent
      self.judge = judge
      self.prompts = prompts
      self.sampling = sampling
    }
  }

  /// What came out of it, the same on every rank.
  struct Findings {
    let wins: WinRate
    let prompts: Int
    /// Mean score and mean number of tokens of the answers of policy and opponent.
    let scores: (policy: Double, opponent: Double)
    let tokens: (policy: Double, opponent: Double)
    /// Divergence of the policy from the reference on its own answers, per answer; nil without a reference.
    let divergence: (k1: Double, k3: Double)?
  }

  let settings: Settings
  private let policy: ModelSource
  private let opponent: ModelSource
  private let judge: ModelSource
  private let reference: ModelSource?
  private let prompts: [[Int32]]
  private let unitTokens: Int
  private let communicator: any Communicator

  /// Opens the models and reads the prompts; nothing is computed yet.
  init(
    _ settings: Settings, policy: ModelSource, reference: ModelSource?, unitTokens: Int,
    over communicator: any Communicator
  ) throws {
    self.settings = settings
    self.policy = policy
    self.reference = reference
    self.unitTokens = unitTokens
    self.communicator = communicator
    opponent = try ModelSource(.directory(settings.opponent)).agreed(over: communicator)
    judge = try ModelSource(.directory(settings.judge)).agreed(over: communicator)
    try opponent.requireLanguageModel(settings.opponent, for: "--against")
    try judge.requireRewardModel(settings.judge, for: "--judge")
    try opponent.requireTokens(of: policy, settings.opponent)
    try judge.requireTokens(of: policy, settings.judge)
    let reader = Continuations(source: policy, over: communicator)
    prompts = try PromptFile.read(settings.prompts).map { try reader.encode($0.text, at: $0.place) }
    try checkContexts()
  }

  /// Both policies and the judge must have room for the same answers.
  private func checkContexts() throws {
    let context = policy.configuration.contextLength
    let longest = prompts.map { min(context, $0.count + settings.sampling.maxNewTokens) }.max() ?? 0
    guard opponent.configuration.contextLength == context || longest < opponent.configuration.contextLength else {
      throw Fault(
        .data, "answers of \(longest) tokens exceed the context of \(opponent.configuration.contextLength)",
        at: settings.opponent, hint: "lower --max-new-tokens")
    }
    // A sample that was cut gets its end for the judge.
    let judged = min(context, longest + 1)
    guard judged <= judge.configuration.contextLength else {
      throw Fault(
        .data, "answers of \(judged) tokens exceed the judge's context of \(judge.configuration.contextLength)",
        at: settings.judge, hint: "lower --max-new-tokens or shorten the prompts")
    }
  }

  func run() throws -> Findings {
    let own = try draw(policy)
    let other = try draw(opponent)
    let scores = try judge(own, other)
    let samples = settings.sampling.samples
    let split = stride(from: 0, to: scores.count, by: 2 * samples).map { start in
      (policy: Array(scores[start..<start + samples]), opponent: Array(scores[start + samples..<start + 2 * samples]))
    }
    let tokens = { (answers: [[[Int32]]]) in Moments(answers.joined().map { Double($0.count) }).mean }
    return Findings(
      wins: WinRate(split), prompts: prompts.count,
      scores: (Moments(split.flatMap(\.policy)).mean, Moments(split.flatMap(\.opponent)).mean),
      tokens: (tokens(own), tokens(other)), divergence: try reference.map { try divergence(own, from: $0) })
  }

  /// Answers of a policy to each prompt, drawn with the same random numbers for both.
  private func draw(_ source: ModelSource) throws -> [[[Int32]]] {
    let continuations = Continuations(
      source: source, stopStrings: settings.stopStrings, limits: settings.limits, over: communicator)
    let parameters = try source.loadParameters(over: communicator)
    return try continuations.draw(prompts, parameters: parameters.view, settings.sampling).map { $0.map(\.sample.ids) }
  }

  /// Scores of the policy's and then the opponent's answers to each prompt.
  private func judge(_ own: [[[Int32]]], _ other: [[[Int32]]]) throws -> [Double] {
    let answers = prompts.indices.map { index in
      (own[index] + other[index]).map { policy.ended($0, promptLength: prompts[index].count) }
    }
    let dataset = try dataset(answers)
    return try ScoringPass(judge, dataset: dataset, unitTokens: unitTokens, over: communicator).completionOutputs()
  }

  /// Sums over tokens of Schulman's k1 and k3 (2020, "Approximating KL divergence"), as means over answers.
  private func divergence(_ answers: [[[Int32]]], from reference: ModelSource) throws -> (k1: Double, k3: Double) {
    let dataset = try dataset(answers)
    let logProbabilities = { (source: ModelSource) in
      try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator).tokenLogProbabilities()
    }
    let (own, other) = (try logProbabilities(policy), try logProbabilities(reference))
    let sum = { (estimator: DivergenceEstimator) in
      zip(own.joined(), other.joined()).reduce(0) { $0 + estimator.value($1.0 - $1.1) }
    }
    return (sum(.k1) / Double(own.count), sum(.k3) / Double(own.count))
  }

  /// Answers as a dataset that every rank maps, in a file that is gone as soon as all have it.
  private func dataset(_ answers: [[[Int32]]]) throws -> TokenizedDataset {
    let examples = zip(prompts, answers).map { prompt, answers in
      EncodedExample(prompt: prompt, completions: answers.map { .init(tokens: $0, role: .sample) })
    }
    let cache = CacheDirectory.byDefault
    // The name decides nothing; it only keeps jobs apart.
    let name = try communicator.onRankZero { "answers-\(String(UInt64.random(in: .min ... .max), radix: 36)).bin" }
    if communicator.hostRank == 0 {
      try FileSystem.makeDirectory(cache)
      try TokenizedDataset.write(examples, to: "\(cache)/\(name)", key: name)
    }
    try communicator.barrier()
    let dataset = try TokenizedDataset(path: "\(cache)/\(name)")
    try communicator.barrier()
    if communicator.hostRank == 0 { try FileSystem.removeTree("\(cache)/\(name)") }
    return dataset
  }
}

extension PolicyComparison.Findings {
  /// The findings under the names of the report.
  func json(_ settings: PolicyComparison.Settings) -> JSONValue {
    let both = { (values: (policy: Double, opponent: Double)) in
      JSONValue.object(JSONObject([("policy", .double(values.policy)), ("against", .double(values.opponent))]))
    }
    let bounds = wins.interval.map { JSONValue.array([.double($0.lowerBound), .double($0.upperBound)]) }
    var members: [(ByteString, JSONValue)] = [
      ("against", .string(ByteString(settings.opponent))), ("judge", .string(ByteString(settings.judge))),
      ("prompts", .integer(Int64(prompts))), ("samples", .integer(Int64(settings.sampling.samples))),
      ("win_rate", .double(wins.rate)), ("interval", bounds ?? .null), ("ties", .double(wins.ties)),
      ("scores", both(scores)), ("tokens", both(tokens)),
    ]
    if let divergence {
      members.append(("kl", .object(JSONObject([("k1", .double(divergence.k1)), ("k3", .double(divergence.k3))]))))
    }
    return .object(JSONObject(members))
  }

  /// The findings in words.
  func text(_ settings: PolicyComparison.Settings) -> String {
    let range = wins.interval.map { " (95 %: \($0.lowerBound.brief) to \($0.upperBound.brief))" } ?? ""
    let kl = divergence.map { "; KL to the reference \($0.k1.brief) (k1), \($0.k3.brief) (k3)" } ?? ""
    return "win rate \(wins.rate.brief)\(range) against \(settings.opponent) on \(prompts) prompts; "
      + "mean scores \(scores.policy.brief) and \(scores.opponent.brief)\(kl)\n"
  }
}
