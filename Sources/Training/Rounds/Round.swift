import Adaptation
import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Logging

/// One round: from a policy to the next. Round 0 only looks at the first policy, and trains a reward model to begin
/// with where labels need one before there is a mixture to learn from.
struct Round {
  let files: RoundFiles
  private let configuration: AdaptationConfiguration
  private let number: Int
  /// Directory of the policy that the round begins with.
  private let policy: String
  private let prompts: RoundPrompts
  private let communicator: any Communicator

  init(
    _ configuration: AdaptationConfiguration, number: Int, policy: String, prompts: RoundPrompts,
    over communicator: any Communicator
  ) {
    self.configuration = configuration
    self.number = number
    self.policy = policy
    self.prompts = prompts
    self.communicator = communicator
    files = RoundFiles(run: configuration.run, round: number)
  }

  /// The stages in order; interrupted where training was.
  func run() throws -> TrainingRun.Outcome {
    if number > 0 {
      if needsSamples { try sample() }
      if configuration.weights != nil { try weigh() }
      if trainsRewardModel(on: .source), try trainRewardModel() == .interrupted { return .interrupted }
      if refinement != nil {
        try askExpert()
        if try refineRewardModel() == .interrupted { return .interrupted }
      }
      if configuration.label != nil { try label() }
      if mixes { try mix() }
      if trainsRewardModel(on: .mixture), try trainRewardModel() == .interrupted { return .interrupted }
      if try trainPolicy() == .interrupted { return .interrupted }
    } else if needsFirstRewardModel, try trainRewardModel() == .interrupted {
      return .interrupted
    }
    if configuration.evaluation != nil { try evaluate() }
    return .finished
  }

  /// Tells what begins, unless it was done before.
  private func stage(_ phase: Watchdog.Phase, _ output: String, _ body: () throws -> Void) throws {
    try files.stage(output, over: communicator) {
      if communicator.rank == 0 { log.notice("round \(number): \(phase.rawValue)") }
      try Watchdog.during(phase, body)
    }
  }

  private func seed(_ purpose: UInt64) -> UInt64 {
    configuration.seed &+ (UInt64(number) &* 16 &+ purpose) &* 0x9E37_79B9_7F4A_7C15
  }
}

// MARK: - Sampling, weighing, labelling

extension Round {
  private var needsSamples: Bool {
    configuration.label != nil || configuration.weights?.estimator.needs.contains(.targetSamples) == true
  }

  private func sample() throws {
    try stage(.sampling, files.samples) {
      try SampleStage(
        settings: configuration.sample, data: configuration.policy.outline.data,
        prompts: prompts.prompts(ofRound: number), communicator: communicator
      ).write(policy: policy, seed: seed(1), to: files.samples)
    }
  }
}

// MARK: - Labelling and mixing

extension Round {
  private func judges() throws -> JudgeBuilder {
    JudgeBuilder(
      policy: policy, rewardModel: try rewardModel(), storeDirectory: configuration.run, cache: configuration.cache,
      communicator: communicator)
  }

  /// Asks the expert before the reward model labels.
  private func askExpert() throws {
    guard let settings = configuration.label else { return }
    try stage(.asking, files.expertAnswers) {
      var stage = try labelStage(settings, seed: 5)
      stage.asksExpertOnly = true
      try stage.write(
        try PromptResponses.read(files.samples), labels: files.expertAnswers, statistics: files.expertStatistics)
    }
  }

  private func label() throws {
    guard var settings = configuration.label else { return }
    // The expert has spoken already, and the reward model speaks for it.
    if refinement != nil { settings.expert = nil }
    try stage(.labelling, files.labels) {
      try labelStage(settings, seed: 4).write(
        try PromptResponses.read(files.samples), labels: files.labels, statistics: files.labelStatistics)
    }
  }

  private func labelStage(_ settings: LabelSettings, seed purpose: UInt64) throws -> LabelStage {
    LabelStage(
      settings: settings, labeller: try Labeller(settings, judges(), seed: seed(purpose)), round: number,
      communicator: communicator)
  }

  private func mix() throws {
    try stage(.mixing, files.mixture) {
      try communicator.doOnRankZero {
        let mix = try MixStage(plan: configuration.mix, source: sourceData).write(
          labels: [files.labels] + (refinement == nil ? [] : [files.expertAnswers]), to: files.mixture)
        let (source, pseudo) = (mix.source, mix.pseudo)
        log.notice(
          """
          \(source.places.count) source examples, worth \(source.effectiveCount.brief), and \(pseudo.places.count) labels, \
          worth \(pseudo.effectiveCount.brief) with \((100 * mix.pseudoShare).brief) % of the weight
          """)
      }
    }
  }

  private func evaluate() throws {
    guard let settings = configuration.evaluation else { return }
    try stage(.evaluation, files.evaluation) {
      guard case .scoring(let judge) = try judges().judge(settings.judge) else {
        preconditionFailure("the configuration lets only judges that score evaluate")
      }
      let stage = EvaluationStage(
        settings: settings, judge: judge, initial: configuration.model, data: configuration.policy.outline.data,
        cache: configuration.cache, communicator: communicator)
      let evaluation = try stage.evaluate(policy: number == 0 ? policy : files.policy, seed: configuration.seed)
      try communicator.doOnRankZero {
        log.notice(
          "round \(number): score \(evaluation.score.brief) ± \(evaluation.standardError.brief), kl \(evaluation.divergence.brief)"
        )
        try AtomicFile.write(files.evaluation, evaluation.json.serialized(pretty: true))
      }
    }
  }
}

// MARK: - Weighing

extension Round {
  /// Weighs the source data towards the round's policy, by the samples that it drew, if samples are asked for.
  private func weigh() throws {
    guard var settings = configuration.weights else { return }
    try stage(.weighing, files.weights) {
      if settings.estimator.needs.contains(.targetSamples) { settings.samples = files.samples }
      if settings.estimator.needs.contains(.rewards), settings.rewardModel == nil {
        settings.rewardModel = try rewardModel()
      }
      var weighing = Weighing(settings, data: configuration.data.source, model: .directory(policy))
      let data = configuration.policy.outline.data
      weighing.encoding = ResponseEncoding(boundary: data.boundary, maxLength: data.maxLength)
      weighing.threads = configuration.threads
      weighing.cache = configuration.cache
      try weighing.write(to: files.weights, over: communicator)
    }
  }
}

// MARK: - Training

extension Round {
  /// Whether the policy learns from rows rather than from rewards.
  private var mixes: Bool { configuration.label != nil }

  private var needsFirstRewardModel: Bool {
    configuration.rewardModel?.lesson == .mixture && configuration.label?.judge.needsRoundRewardModel == true
  }

  private func trainsRewardModel(on lesson: AdaptationConfiguration.RewardModelSettings.Lesson) -> Bool {
    guard let settings = configuration.rewardModel, settings.lesson == lesson else { return false }
    return settings.refit == .eachRound || number == 1
  }

  /// How the reward model learns from what the expert answered; nil where it does not.
  private var refinement: TrainingTemplate? { configuration.rewardModel?.refinement }

  /// The newest reward model before or in this round; nil if there is none.
  private func rewardModel() throws -> String? { try newest { [$0.refinedRewardModel, $0.rewardModel] } }

  /// The first directory that is there of those of this round, the one before, and so on, as rank 0 sees it.
  private func newest(_ directories: (RoundFiles) -> [String]) throws -> String? {
    guard configuration.rewardModel != nil else { return nil }
    let newest = try communicator.onRankZero {
      (0...number).reversed().flatMap { directories(RoundFiles(run: configuration.run, round: $0)) }
        .first { FileSystem.isDirectory($0) } ?? ""
    }
    return newest.isEmpty ? nil : newest
  }

  private func trainRewardModel() throws -> TrainingRun.Outcome {
    guard let settings = configuration.rewardModel else { return .finished }
    var filling: [TrainingTemplate.Filling] = [
      ("run", [files.rewardModelRun]), ("model", [settings.model ?? configuration.model]),
      ("seed", ["\(seed(2) >> 1)"]),
    ]
    filling.append(("data.train", settings.lesson == .mixture && number > 0 ? [files.mixture] : sourceData))
    return try train("reward model", settings.training, filling, result: files.rewardModel)
  }

  /// Lets the reward model of the source data learn from all that the expert answered so far.
  private func refineRewardModel() throws -> TrainingRun.Outcome {
    guard let refinement, let beginning = try newest({ [$0.rewardModel] }) else { return .finished }
    let answers = (1...number).map { RoundFiles(run: configuration.run, round: $0).expertAnswers }
    let filling: [TrainingTemplate.Filling] = [
      ("run", [files.refinementRun]), ("model", [beginning]), ("seed", ["\(seed(6) >> 1)"]), ("data.train", answers),
    ]
    return try train("reward model with the expert's answers", refinement, filling, result: files.refinedRewardModel)
  }

  private func trainPolicy() throws -> TrainingRun.Outcome {
    var filling: [TrainingTemplate.Filling] = [
      ("run", [files.policyRun]), ("model", [policy]), ("seed", ["\(seed(3) >> 1)"]), ("data.train", lessons),
    ]
    if configuration.reference == .initial { filling.append(("reference", [configuration.model])) }
    let rewardModel = try rewardModel()
    if let rewardModel, !configuration.policy.says("reward.model") { filling.append(("reward.model", [rewardModel])) }
    if let rewardModel, configuration.policy.outline.online?.label.judge.needsRoundRewardModel == true {
      filling.append(("online.label.judge.model", [rewardModel]))
    }
    return try train("policy", configuration.policy, filling, result: files.policy)
  }

  /// What the policy is trained on.
  private var lessons: [String] {
    if mixes { return [files.mixture] }
    let needsPromptsOnly = configuration.policy.outline.policy != nil
    return needsPromptsOnly && !configuration.data.prompts.isEmpty ? configuration.data.prompts : sourceData
  }

  /// The source data with the round's weights.
  private var sourceData: [String] {
    configuration.weights == nil || number == 0 ? configuration.data.source : ["\(files.weights)/data.jsonl"]
  }

  /// Trains, or goes on training, until the result is there; the checkpoints of a finished run are of no more use.
  private func train(
    _ what: String, _ template: TrainingTemplate, _ filling: [TrainingTemplate.Filling], result: String
  ) throws -> TrainingRun.Outcome {
    var outcome = TrainingRun.Outcome.finished
    let run = FileSystem.parent(of: result)
    try files.stage(result, over: communicator) {
      if communicator.rank == 0 { log.notice("round \(number): training the \(what)") }
      outcome = try TrainingRun(try template.configuration(filling), over: communicator).run()
    }
    guard outcome == .finished else { return outcome }
    try communicator.doOnRankZero { try FileSystem.removeTree("\(run)/checkpoints") }
    return .finished
  }
}
