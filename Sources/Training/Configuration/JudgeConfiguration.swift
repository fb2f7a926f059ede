import Adaptation
import AlignmentCore
import Judges
import Rewards

/// Who judges responses, as a recipe's section says.
package struct JudgeConfiguration {
  package enum Kind {
    /// Reward models, whose scores become one; without directories, the round's own.
    case rewardModel([String], EnsembleReduction)
    /// A function of the texts.
    case text(any TextReward)
    /// A model directory that answers questions; nil is the policy itself.
    case languageModel(String?, QuestionSettings)
    case api(APISettings, QuestionSettings)
  }

  package var name: String
  package var kind: Kind
  /// τ of q = σ(Δ/τ), in units of scores or logits.
  package var temperature: Double
  /// Where the likelier label has less, the judge abstains.
  package var leastProbability: Double
  /// Temperature at which the verdict is drawn rather than told, as annotators do; 0 tells it.
  package var noise: Double
  package var seed: UInt64

  /// How a language model is asked.
  package struct QuestionSettings: Equatable {
    package enum Form: String, CaseIterable {
      case pairwise
      case pointwise
    }

    package enum Orders: String, CaseIterable {
      /// Each pair in both orders, so that the bias towards a position cancels.
      case both
      /// One order, drawn by the texts: half the price.
      case random
    }

    package var form: Form
    package var orders: Orders
    package var template: JudgeTemplate
    /// The share of answers that may hold no verdict.
    package var unreadableLimit: Double
    package var suspects: JudgeSettings.SuspectTreatment
  }

  private static let rewardModelName = "reward_model"
  private static let languageModelName = "language_model"
  private static let apiName = "api"

  /// All names that `judge.name` can have.
  package static let names = [rewardModelName, languageModelName, apiName] + textRewards.map { $0.name }

  /// Rewards that need nothing but texts.
  static var textRewards: [any TextReward.Type] { TextRewardRegistry.all.filter { !$0.countsTokens } }

  init(_ section: RecipeSection) throws {
    name = try section.string("name", default: Self.rewardModelName)
    temperature = try section.number("temperature", default: 1, in: 1e-9...1e9)
    leastProbability = try section.number("abstain_below", default: 0.5, in: 0.5...1)
    noise = try section.number("noise", default: 0, in: 0...1e9)
    seed = UInt64(try section.integer("seed", default: 0, in: 0...Int.max))
    kind = try Self.kind(name, section)
    try section.finish()
  }

  private static func kind(_ name: String, _ section: RecipeSection) throws -> Kind {
    switch name {
    case rewardModelName:
      return .rewardModel(try section.strings("model"), try EnsembleReduction(section))
    case languageModelName:
      return .languageModel(try section.optionalString("model"), try QuestionSettings(section))
    case apiName: return .api(try APISettings(section.section("api")), try QuestionSettings(section))
    default: break
    }
    guard let type = textRewards.first(where: { $0.name == name }) else {
      throw Fault(
        .configuration, "there is no judge \"\(name)\"", at: "\(section.path).name",
        hint: "judges are \(names.joined(separator: ", "))")
    }
    var options: [String: String] = [:]
    for option in type.options {
      options[option.name] = try section.string(option.name, default: option.defaultText)
    }
    return .text(try TextRewardRegistry.make(type, settings: options))
  }

  /// Whether it gives scores, rather than comparing two responses.
  package var givesScores: Bool {
    switch kind {
    case .rewardModel, .text: true
    case .languageModel(_, let questions), .api(_, let questions): questions.form == .pointwise
    }
  }

  /// Whether it is the reward model of the round.
  var needsRoundRewardModel: Bool {
    if case .rewardModel(let directories, _) = kind { return directories.isEmpty }
    return false
  }
}

extension EnsembleReduction {
  fileprivate enum Name: String, CaseIterable {
    case mean
    case minimum
    case lcb
  }

  init(_ section: RecipeSection) throws {
    let lambda = try section.number("lambda", default: 1, in: 0...1e6)
    switch try section.choice("combine", default: Name.mean) {
    case .mean: self = .mean
    case .minimum: self = .minimum
    case .lcb: self = .lowerConfidenceBound(lambda: lambda)
    }
  }
}

extension JudgeConfiguration.QuestionSettings {
  init(_ section: RecipeSection) throws {
    form = try section.choice("form", default: .pairwise)
    orders = try section.choice("orders", default: .both)
    let named = try JudgeTemplate.named(
      section.string("template", default: form == .pairwise ? "preference" : "score"),
      for: form == .pairwise ? .pair : .response)
    template = try section.optionalString("template_file").map(named.with(wordsOf:)) ?? named
    unreadableLimit = try section.number("unreadable_limit", default: 0.05, in: 0...1)
    suspects = try section.choice("suspects", default: .report)
  }
}

extension APISettings {
  init(_ section: RecipeSection) throws {
    self.init()
    baseURL = try section.string("base_url", default: baseURL)
    model = try section.string("model", hint: "name the model as the server knows it")
    serverName = try section.optionalString("server_name")
    keyVariable = try section.string("key_variable", default: keyVariable)
    temperature = try section.optionalNumber("temperature", in: 0...2) ?? temperature
    maxTokens = try section.integer("max_tokens", default: maxTokens, in: 1...1 << 20)
    tokenLimitField = try section.choice("token_limit_field", default: tokenLimitField)
    usesSystemRole = try section.boolean("system_role", default: usesSystemRole)
    asksLogProbabilities = try section.boolean("logprobs", default: asksLogProbabilities)
    leastOptionMass = try section.number("least_option_mass", default: leastOptionMass, in: 0...1)
    votes = try section.integer("votes", default: votes, in: 1...1000)
    seed = try section.integer("seed", default: seed ?? 0, in: 0...Int(Int32.max))
    retries = try section.integer("retries", default: retries, in: 0...100)
    connectSeconds = try section.number("connect_seconds", default: connectSeconds, in: 0.001...86400)
    timeoutSeconds = try section.number("timeout_seconds", default: timeoutSeconds, in: 0.001...86400)
    stallSeconds = try section.integer("stall_seconds", default: stallSeconds, in: 1...86400)
    concurrency = try section.integer("concurrency", default: concurrency, in: 1...1024)
    unansweredLimit = try section.number("unanswered_limit", default: unansweredLimit, in: 0...1)
    storePath = try section.string("store", default: "judgements.sqlite")
    try readMoney(section)
    try section.finish()
    try validate()
  }

  private mutating func readMoney(_ section: RecipeSection) throws {
    let limits = try section.section("budget")
    budget.name = try limits.string("name", default: budget.name)
    budget.requests = try limits.optionalInteger("requests", in: 0...Int.max)
    budget.tokens = try limits.optionalInteger("tokens", in: 0...Int.max)
    budget.money = try limits.optionalNumber("money", in: 0...1e9)
    try limits.finish()
    let rates = try section.section("prices")
    prices.prompt = try rates.number("prompt", default: 0, in: 0...1e6)
    prices.completion = try rates.number("completion", default: 0, in: 0...1e6)
    try rates.finish()
  }
}
