import Adaptation
import AlignmentCore

/// Labels responses as settings say, on all ranks.
struct Labeller {
  let identity: String
  private let settings: LabelSettings
  private let judge: Judge
  private let expert: (any PairwisePreferenceFunction)?
  private let comparing: any PairwisePreferenceFunction
  private let seed: UInt64

  init(_ settings: LabelSettings, _ builder: JudgeBuilder, seed: UInt64) throws {
    self.settings = settings
    self.seed = seed
    judge = try builder.judge(settings.judge)
    comparing = try builder.comparing(judge, settings.judge)
    expert = try settings.expert.map { try builder.comparing(builder.judge($0.judge), $0.judge) }
    identity = judge.identity + (expert.map { "; for some, \($0.identity)" } ?? "")
  }

  /// The pairs that became labels, and what became of the others.
  ///
  /// - Parameters:
  ///   - round: keys the random numbers of pairing, together with the number of each group.
  func labels(of groups: [CandidateGroup], round: Int = 0) throws -> LabelledRound {
    var session = session(settings.pairing, round)
    session.resampling = settings.resampling
    return try session.run(on: try scored(groups), judge: pairJudge())
  }

  /// What the expert says of random pairs, from which its answers generalise best; all others go without a label.
  ///
  /// - Precondition: The settings have an expert.
  func expertAnswers(of groups: [CandidateGroup], round: Int) throws -> LabelledRound {
    guard let expert, let budget = settings.expert?.budget else {
      preconditionFailure("the configuration lets only an expert be asked")
    }
    var session = session(try PairingRegistry.make(RandomPairs.name), round)
    // Gaps are of scores, which nobody may have asked for.
    session.filters.gap = .none
    guard budget.choice == .uncertain else {
      return try session.run(on: groups, judge: .rationed(budget, expert.judgements, by: nil))
    }
    let preference = try ScorePreference(temperature: settings.judge.temperature)
    return try session.run(on: try scored(groups), judge: .rationed(budget, expert.judgements, by: preference))
  }

  /// A label for each response on its own, rather than for pairs.
  ///
  /// - Throws: ``Fault`` for a judge that only compares.
  func responseLabels(of groups: [CandidateGroup], threshold: DesirabilityThreshold) throws -> LabelledRound {
    guard judge.givesScores else {
      throw Fault(
        .configuration, "\(settings.judge.name) compares responses and cannot label one", at: "judge",
        hint: "use a reward model, a function of texts, or judge.form=pointwise")
    }
    var labelling = ResponseLabelling()
    labelling.filters = settings.filters
    labelling.isHard = settings.isHard
    return try labelling.run(
      on: try scored(groups), judge: .scores(threshold, ScorePreference(temperature: settings.judge.temperature)))
  }

  /// The groups with the judge's scores, where it gives any.
  func scored(_ groups: [CandidateGroup]) throws -> [CandidateGroup] {
    guard case .scoring(let function) = judge else { return groups }
    let judgements = try function.judgements(
      of: groups.flatMap { group in group.texts.map { JudgedResponse(prompt: group.prompt, response: $0) } })
    var position = 0
    return groups.map { group in
      var group = group
      let own = judgements[position..<position + group.count]
      position += group.count
      // A response that the judge does not score cannot be compared.
      let places = own.indices.filter { !own[$0].scores.isEmpty }.map { $0 - own.startIndex }
      group.scores = own.map { $0.scores.first ?? 0 }
      return places.count == group.count ? group : group.subset(places)
    }
  }

  private func session(_ scheme: any PairingScheme, _ round: Int) -> PairingSession {
    var session = PairingSession(scheme, seed: seed, round: round)
    session.filters = settings.filters
    session.isHard = settings.isHard
    return session
  }

  private func pairJudge() throws -> PairJudge {
    let preference = try ScorePreference(temperature: settings.judge.temperature)
    if let expert, let budget = settings.expert?.budget {
      return .budgeted(budget, expert.judgements, otherwise: preference)
    }
    let isPlain = settings.judge.noise == 0 && settings.judge.leastProbability == 0.5
    return judge.givesScores && isPlain ? .scores(preference) : .function(comparing.judgements)
  }
}

extension Judge {
  var givesScores: Bool {
    if case .scoring = self { return true }
    return false
  }
}
