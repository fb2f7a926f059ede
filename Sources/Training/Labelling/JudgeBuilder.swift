import Adaptation
import AlignmentCore
import Collectives
import Judges

/// A judge that is ready: it scores responses, or compares them.
enum Judge {
  case scoring(any PointwisePreferenceFunction)
  case comparing(any PairwisePreferenceFunction)

  var identity: String {
    switch self {
    case .scoring(let function): function.identity
    case .comparing(let function): function.identity
    }
  }
}

/// Makes judges from settings, given what a round knows.
struct JudgeBuilder {
  /// Directory of the policy whose responses are judged; nil outside of rounds.
  var policy: String?
  /// Directory of the round's reward model; nil where there is none.
  var rewardModel: String?
  /// Where relative paths of stored answers begin.
  var storeDirectory: String
  var cache: String
  let communicator: any Communicator

  /// - Throws: ``Fault`` for models that cannot judge; nothing is asked yet.
  func judge(_ settings: JudgeConfiguration) throws -> Judge {
    switch settings.kind {
    case .rewardModel(let directories, let reduction):
      return .scoring(try rewardModels(directories, reduction))
    case .text(let reward): return .scoring(TextRewardJudge(settings.name, reward))
    case .languageModel(let directory, let questions):
      guard let model = directory ?? policy else {
        throw Fault(
          .configuration, "names no model", at: "judge.model", hint: "name the directory of a language model")
      }
      return try asking(
        LocalLabellingModel(model, cache: cache, over: communicator), questions, temperature: settings.temperature)
    case .api(let api, let questions):
      return try asking(
        SharedLabellingModel(api, storeDirectory: storeDirectory, over: communicator), questions,
        temperature: settings.temperature)
    }
  }

  /// Finds out whether a judge can be made, as far as that is known before the first round; writes nothing.
  func check(_ settings: JudgeConfiguration) throws {
    switch settings.kind {
    case .api(let api, _): try communicator.doOnRankZero { try APILabellingModel.check(api) }
    case .rewardModel where settings.needsRoundRewardModel: break
    case .rewardModel, .languageModel, .text: _ = try judge(settings)
    }
  }

  /// A judge of these settings as one that compares, with what they say of temperature, noise and abstention.
  func comparing(_ judge: Judge, _ settings: JudgeConfiguration) throws -> any PairwisePreferenceFunction {
    var function: any PairwisePreferenceFunction
    switch judge {
    case .scoring(let scores): function = scores.compared(try ScorePreference(temperature: settings.temperature))
    case .comparing(let compares): function = compares
    }
    if settings.noise > 0 {
      function = NoisyPreference(function, temperature: settings.noise / settings.temperature, seed: settings.seed)
    }
    return settings.leastProbability > 0.5 ? try function.abstaining(below: settings.leastProbability) : function
  }

  private func rewardModels(_ directories: [String], _ reduction: EnsembleReduction) throws
    -> any PointwisePreferenceFunction
  {
    let models = directories.isEmpty ? [rewardModel].compactMap(\.self) : directories
    guard !models.isEmpty else {
      throw Fault(.configuration, "names no model", at: "judge.model", hint: "name the directory of a reward model")
    }
    let judges = try models.map { try RewardModelJudge($0, cache: cache, over: communicator) }
    return judges.count == 1 ? judges[0] : PointwiseEnsemble(judges, reduction)
  }

  private func asking(
    _ model: any LabellingModel, _ questions: JudgeConfiguration.QuestionSettings, temperature: Double
  ) throws -> Judge {
    var settings = JudgeSettings()
    settings.unreadableLimit = questions.unreadableLimit
    settings.suspects = questions.suspects
    settings.asksBothOrders = questions.orders == .both
    settings.debiasing.temperature = temperature
    switch questions.form {
    case .pointwise: return .scoring(PointwiseJudge(model, template: questions.template, settings: settings))
    case .pairwise:
      let judge = PairwiseJudge(model, template: questions.template, settings: settings)
      guard questions.orders == .random else { return .comparing(judge) }
      return .comparing(try RandomOrderPreference(judge).calibrated(temperature: temperature))
    }
  }
}
