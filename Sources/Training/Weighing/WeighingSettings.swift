import Adaptation
import AlignmentCore

/// How weights are estimated and made, as a recipe's section or the command line says.
package struct WeighingSettings: Sendable {
  package var estimatorName: String
  package var estimator: any DensityEstimator
  package var weights: WeightSettings
  /// Directories of the models that wrote the data; none takes their log-probabilities from the rows.
  package var sourceModels: [String]
  /// What each of them wrote, in proportion; empty is the same for all.
  package var sourceShares: [Double]
  package var rewardModel: String?
  /// A file of samples of the policy; nil has them drawn.
  package var samples: String?
  /// Weights of an earlier time, whose log-ratios the estimator `cached` takes.
  package var stored: String?
  /// How samples are drawn where they must be.
  package var sampling: Sampling
  /// Most principal components of hidden states among the features.
  package var components: Int
  package var seed: UInt64
  /// All of the above that says how, as text: everything but the names of files, whose content is told by digests.
  package var description: [(key: String, value: String)]

  package struct Sampling: Sendable, Equatable {
    /// Samples of each prompt.
    package var perPrompt: Int
    /// Prompts that are sampled for, spread evenly over those of the data; 0 is all.
    package var prompts: Int
    package var maxNewTokens: Int
    /// Samples that a rank draws together.
    package var unitSequences: Int

    package init(perPrompt: Int, prompts: Int, maxNewTokens: Int, unitSequences: Int) {
      self.perPrompt = perPrompt
      self.prompts = prompts
      self.maxNewTokens = maxNewTokens
      self.unitSequences = unitSequences
    }
  }
}

extension WeighingSettings {
  /// The section of a recipe that they stand in; on the command line they stand alone.
  package static let section = "weights"
  private static let fileKeys = ["source_models", "reward_model", "samples", "stored"]

  /// Reads `key=value` arguments; of two for a key the last wins.
  ///
  /// - Parameters:
  ///   - given: values of keys as they are, which win over arguments; none leaves the key alone. Where the weights of an
  ///     earlier time are given, the estimator is by default `cached`.
  /// - Throws: ``Fault`` that names the key, with the nearest one there is for an unknown one.
  package init(overrides: [String] = [], given: KeyValuePairs<String, [String]> = [:]) throws {
    var root = RecipeNode.table([:])
    if given.contains(where: { $0.key == "stored" && !$0.value.isEmpty }) {
      root.set(["estimator"], to: .scalar(CachedEstimator.name))
    }
    try root.apply(overrides: overrides)
    for (key, values) in given where !values.isEmpty {
      root.set([key], to: values.count == 1 ? .scalar(values[0]) : .list(values.map(RecipeNode.scalar)))
    }
    try self.init(RecipeSection(root, path: Self.section, into: ResolvedSettings()))
  }

  init(_ section: RecipeSection) throws {
    let name = try section.string("estimator", default: DiscriminatorEstimator.name)
    weights = try WeightSettings(section)
    let alpha = try section.optionalNumber("alpha", in: 0...1)
    if let alpha { weights.alpha = alpha }
    sourceModels = try section.strings("source_models")
    sourceShares = try section.numbers("source_shares", in: Double.leastNonzeroMagnitude...1e12)
    rewardModel = try section.optionalString("reward_model")
    samples = try section.optionalString("samples")
    stored = try section.optionalString("stored")
    sampling = try Sampling(section)
    components = try section.integer("components", default: 32, in: 0...4096)
    seed = UInt64(try section.integer("seed", default: 0, in: 0...Int.max))
    estimatorName = name
    var options: [String: String] = [:]
    for option in try DensityRegistry.type(named: name).options {
      let fallback = option.name == "alpha" ? alpha.map { "\($0)" } : nil
      options[option.name] = try section.string(option.name, default: fallback ?? option.defaultText)
    }
    if options["alpha"] == nil, alpha == nil { section.note("alpha", "\(weights.alpha)") }
    estimator = try DensityRegistry.make(name, settings: options)
    description = Self.description(section)
    // Options of other estimators are left aside, so that one recipe serves several.
    for name in DensityRegistry.optionNames.sorted() where options[name] == nil {
      _ = try section.optionalString(name)
    }
    try section.finish()
    try check()
  }

  private static func description(_ section: RecipeSection) -> [(key: String, value: String)] {
    section.recorded.compactMap { key, value in
      guard key.hasPrefix("\(section.path).") else { return nil }
      let own = String(key.dropFirst(section.path.count + 1))
      return fileKeys.contains { own == $0 || own.hasPrefix("\($0).") } ? nil : (own, value)
    }
  }

  private func check() throws {
    guard sourceShares.isEmpty || sourceShares.count == sourceModels.count else {
      throw Fault(
        .configuration, "there are \(sourceShares.count) shares for \(sourceModels.count) source models",
        at: "\(Self.section).source_shares", hint: "give one for each of \(Self.section).source_models")
    }
    guard stored != nil || !estimator.needs.contains(.storedLogRatios) else {
      throw Fault(
        .configuration, "\(estimatorName) needs the weights of an earlier time", at: "\(Self.section).stored",
        hint: "name a weights.jsonl (--stored)")
    }
    guard rewardModel != nil || !estimator.needs.contains(.rewards) else {
      throw Fault(
        .configuration, "\(estimatorName) needs a reward model", at: "\(Self.section).reward_model",
        hint: "name its directory (--reward-model)")
    }
  }

  /// All keys, those of the default estimator among them.
  package static var keys: [String] { get throws { try WeighingSettings().description.map(\.key) + fileKeys } }

  /// Shares of the source models that add up to 1.
  var normalizedShares: [Double] {
    guard !sourceShares.isEmpty else { return sourceModels.map { _ in 1 / Double(sourceModels.count) } }
    let total = sourceShares.reduce(0, +)
    return sourceShares.map { $0 / total }
  }
}

extension WeightSettings {
  fileprivate init(_ section: RecipeSection) throws {
    self.init()
    centresPrompts = try section.boolean("center_prompts", default: false)
    composition = try section.choice("composition", default: composition)
    flattening = try section.choice("flatten", default: flattening)
    effectiveShare = try section.number("ess", default: effectiveShare, in: 1e-6...1)
    temper = try section.number("temper", default: temper, in: 0...1)
    clip = try section.number("clip", default: clip, in: 1e-6...1e12)
    fallback = try section.choice("fallback", default: fallback)
  }
}

extension WeighingSettings.Sampling {
  fileprivate init(_ section: RecipeSection) throws {
    perPrompt = try section.integer("samples_per_prompt", default: 2, in: 1...1 << 16)
    prompts = try section.integer("sample_prompts", default: 0, in: 0...Int.max)
    maxNewTokens = try section.integer("max_new_tokens", default: 128, in: 1...1 << 24)
    unitSequences = try section.integer("unit_sequences", default: 64, in: 1...4096)
  }
}
