import Adaptation
import AlignmentCore
import Collectives
import Logging
import PreferenceData
import Transformer

/// Gathers what an estimator looks at, by all ranks; every rank has all of it.
struct EvidenceCollector {
  /// What was gathered, and what it came from.
  struct Collection {
    var evidence = DensityEvidence()
    var sourceModels: [String] = []
    var rewardModel: String?
    var samples: TargetSamples?
    var stored: String?
    /// Responses of the data that lost tokens.
    var cutResponses = 0
  }

  let settings: WeighingSettings
  let encoding: ResponseEncoding
  let policy: ModelSource
  let rows: WeighedRows
  let unitTokens: Int
  let cache: String
  let communicator: any Communicator

  private var needs: DensityNeeds { settings.estimator.needs }

  /// Opens and checks all that is needed, and then computes.
  func collect() throws -> Collection {
    noteUnused()
    let generators = try openGenerators()
    let rewardModel = try needs.contains(.rewards) ? openRewardModel() : nil
    let dataset = try open(policy)
    var collection = Collection()
    collection.cutResponses = dataset.report.completionsCut
    collection.evidence.seed = settings.seed
    collection.evidence.source.prompts = rows.promptOfResponse
    collection.evidence.source.lengths = dataset.completionLengths
    if needs.contains(.storedLogRatios) { try takeStored(into: &collection) }
    if needs.contains(.targetSamples) { try takeSamples(dataset, into: &collection) }
    try askPolicy(dataset, &collection)
    try ask(generators, dataset, &collection)
    if let rewardModel { try ask(rewardModel, &collection) }
    return collection
  }

  /// Says what was given and is not looked at.
  private func noteUnused() {
    let given: [(name: String, isGiven: Bool, need: DensityNeeds)] = [
      ("source models", !settings.sourceModels.isEmpty, .sourceLogProbabilities),
      ("a reward model", settings.rewardModel != nil, .rewards), ("samples", settings.samples != nil, .targetSamples),
      ("stored weights", settings.stored != nil, .storedLogRatios),
    ]
    for (name, isGiven, need) in given where isGiven && !needs.contains(need) {
      log.notice("\(settings.estimatorName) does not look at \(name)")
    }
  }

  /// The data as a model reads them.
  private func open(_ source: ModelSource) throws -> TokenizedDataset {
    let dataset = try PreparedData.open(
      rows.files, source: source, options: encoding.options(for: source), cache: cache, over: communicator)
    precondition(dataset.totalCompletions == rows.promptOfResponse.count, "responses were lost on the way")
    return dataset
  }

  /// What a model says of every response of the data.
  private func outputs(_ source: ModelSource, _ dataset: TokenizedDataset) throws -> [Double] {
    try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator).completionOutputs()
  }
}

// MARK: - The policy

extension EvidenceCollector {
  /// The policy's samples: those of a file, or drawn now.
  private func takeSamples(_ dataset: TokenizedDataset, into collection: inout Collection) throws {
    let samples = try settings.samples.map { try TargetSamples(file: $0, of: rows) } ?? draw(dataset)
    remark(on: samples)
    var next = rows.prompts.count
    for group in samples.groups {
      let known = rows.number(ofPrompt: group.prompt)
      collection.evidence.target.prompts += group.texts.map { _ in known ?? next }
      if known == nil { next += 1 }
    }
    collection.samples = samples
  }

  /// Says where samples may not be what they should be.
  private func remark(on samples: TargetSamples) {
    if samples.isTransformed == true {
      log.warning(
        "the samples were drawn with temperature or truncation: the target is not the policy's own distribution")
    } else if samples.isTransformed == nil {
      log.notice("the samples do not say how they were drawn; the target is whatever distribution they are of")
    }
    let unknown = samples.groups.count { rows.number(ofPrompt: $0.prompt) == nil }
    if unknown > 0 { log.notice("\(unknown) of \(samples.groups.count) sampled prompts are not in the data") }
    guard 10 * samples.unfinished > samples.count else { return }
    log.warning(
      "\(samples.unfinished) of \(samples.count) samples are cut at their longest: their lengths alone tell them from the data; allow more tokens (max_new_tokens)"
    )
  }

  /// Samples of the data's prompts at temperature 1.
  private func draw(_ dataset: TokenizedDataset) throws -> TargetSamples {
    let count = rows.prompts.count
    let wanted = settings.sampling.prompts == 0 ? count : min(count, settings.sampling.prompts)
    let prompts = (0..<wanted).map { $0 * count / wanted }
    log.info("drawing \(wanted * settings.sampling.perPrompt) samples of \(wanted) prompts")
    let parameters = try policy.loadParameters(over: communicator)
    let continuations = Continuations(
      source: policy, limits: SamplingLimits(sequences: settings.sampling.unitSequences), over: communicator)
    var sampling = SamplingSettings(seed: settings.seed, maxNewTokens: settings.sampling.maxNewTokens)
    sampling.samples = settings.sampling.perPrompt
    let drawn = try continuations.draw(
      prompts.map { Array(dataset.promptTokens(of: dataset.example(rows.firstRows[$0]))) },
      parameters: parameters.view, sampling, observer: SamplingProgress(over: communicator).update)
    return TargetSamples(
      zip(prompts, drawn).map { prompt, drawn in
        TargetSamples.Group(
          prompt: rows.prompts[prompt], texts: drawn.map(\.text), finished: drawn.map(\.sample.isFinished))
      })
  }

  /// Log-probabilities and features under the policy, of the data and of the samples.
  private func askPolicy(_ dataset: TokenizedDataset, _ collection: inout Collection) throws {
    let samples = try collection.samples.map {
      try PreparedData.store($0.encoded(for: policy, encoding, endsAll: false), cache: cache, over: communicator)
    }
    collection.evidence.target.lengths = samples?.completionLengths ?? []
    guard needs.contains(.features) else {
      guard needs.contains(.targetLogProbabilities) else { return }
      collection.evidence.source.targetLogProbabilities = try outputs(policy, dataset)
      return
    }
    var domains = [FeaturePass.Responses(dataset: dataset, newlines: rows.newlines)]
    if let samples, let texts = collection.samples?.groups.flatMap(\.texts) {
      domains.append(FeaturePass.Responses(dataset: samples, newlines: texts.map(\.newlines)))
    }
    log.info("computing features of \(domains.reduce(0) { $0 + $1.newlines.count }) responses")
    let pass = try FeaturePass(
      domains, policy.configuration, parameters: policy.loadParameters(over: communicator), unitTokens: unitTokens,
      components: settings.components, over: communicator)
    let (names, findings) = try pass.run()
    collection.evidence.featureNames = names
    collection.evidence.source.targetLogProbabilities = findings[0].logProbabilities
    collection.evidence.source.features = findings[0].features
    guard findings.count > 1 else { return }
    collection.evidence.target.targetLogProbabilities = findings[1].logProbabilities
    collection.evidence.target.features = findings[1].features
  }
}

// MARK: - The models that wrote the data

extension EvidenceCollector {
  private func openGenerators() throws -> [ModelSource] {
    guard needs.contains(.sourceLogProbabilities) else { return [] }
    guard !settings.sourceModels.isEmpty else {
      try checkSourceLogProbabilities()
      return []
    }
    return try settings.sourceModels.map { directory in
      let source = try ModelSource(.directory(directory)).agreed(over: communicator)
      try source.requireLanguageModel(directory, for: "a log-probability")
      if !source.tokenizer.hasSameTokens(as: policy.tokenizer) {
        log.warning(
          "\(directory) has other tokens than the policy: its log-probabilities are lower bounds of those of the texts")
      }
      return source
    }
  }

  private func checkSourceLogProbabilities() throws {
    guard let missing = rows.sourceLogProbabilities.firstIndex(where: { $0 == nil }) else { return }
    throw Fault(
      .data, "row \(rows.row(ofResponse: missing)) has no source_logp, and no model that wrote the data is named",
      at: rows.files.joined(separator: ", "),
      hint: "name it with --source-model, store source_logp when sampling, or use the estimator discriminator")
  }

  /// Log-probabilities under each generator, one model in memory after the other; without models those in the rows.
  private func ask(_ generators: [ModelSource], _ dataset: TokenizedDataset, _ collection: inout Collection) throws {
    guard needs.contains(.sourceLogProbabilities) else { return }
    collection.sourceModels = generators.map(\.digest)
    guard generators.isEmpty else {
      collection.evidence.generatorShares = settings.normalizedShares
      collection.evidence.source.sourceLogProbabilities = try generators.map { try outputs($0, open($0)) }
      return
    }
    guard collection.cutResponses == 0 else {
      throw Fault(
        .data, "\(collection.cutResponses) responses are cut, and their source_logp are of whole texts",
        at: rows.files.joined(separator: ", "), hint: "raise --max-length, or name the model with --source-model")
    }
    collection.evidence.generatorShares = [1]
    collection.evidence.source.sourceLogProbabilities = [rows.sourceLogProbabilities.map { $0 ?? .nan }]
  }
}

// MARK: - Rewards and stored ratios

extension EvidenceCollector {
  private func openRewardModel() throws -> ModelSource? {
    guard let directory = settings.rewardModel else { return nil }
    let source = try ModelSource(.directory(directory)).agreed(over: communicator)
    try source.requireRewardModel(directory, for: "a reward")
    return source
  }

  private func ask(_ rewardModel: ModelSource, _ collection: inout Collection) throws {
    collection.rewardModel = rewardModel.digest
    collection.evidence.source.rewards = try outputs(rewardModel, open(rewardModel))
    guard let samples = collection.samples else { return }
    let ended = try samples.encoded(for: rewardModel, encoding, endsAll: true)
    collection.evidence.target.rewards = try outputs(
      rewardModel, PreparedData.store(ended, cache: cache, over: communicator))
  }

  /// The log-ratios of an earlier time, of the same data and for the same policy.
  private func takeStored(into collection: inout Collection) throws {
    guard let path = settings.stored else { return }
    let file = try WeightFile(path: path)
    try file.fingerprint.checkData(rows.files, at: path)
    try file.fingerprint.checkModel(policy.digest, at: path)
    let ratios = try file.rows().map(\.logRatios)
    guard zip(ratios, rows.examples).allSatisfy({ $0.count == $1.count }) else {
      throw Fault(.data, "the rows have not one log-ratio for each response", at: path, hint: "weigh again")
    }
    collection.evidence.storedLogRatios = ratios.flatMap { $0 }
    collection.stored = try WeightFingerprint.digest(ofFiles: [path])
  }
}
