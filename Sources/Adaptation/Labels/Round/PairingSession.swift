import AlignmentCore

/// Labels, and what became of the candidates that have none.
package struct LabelledRound: Sendable, Equatable {
  /// By group, then in the order in which they were proposed.
  package var labels: [PseudoLabel]
  package var statistics: LabelStatistics

  /// Labels of what no filter has dropped.
  init(_ proposals: [Proposal], of groups: [CandidateGroup], isHard: Bool) {
    labels = proposals.filter { $0.reason == nil }.map { $0.label(in: groups, isHard: isHard) }
    statistics = LabelStatistics(proposals, of: groups)
  }
}

/// Who says which response of a pair is better.
package enum PairJudge {
  /// Answers all comparisons of a round at once, so that they can be batched and distributed.
  package typealias Function = ([Comparison]) throws -> [Judgement]

  /// The groups' scores; nothing is asked.
  case scores(ScorePreference)
  case function(Function)
  /// The function as far as the budget goes, scores for the rest.
  case budgeted(JudgeBudget, Function, otherwise: ScorePreference)
  /// The function as far as the budget goes, nothing for the rest. Scores, where there are any, say what is uncertain.
  case rationed(JudgeBudget, Function, by: ScorePreference?)

  /// The scores' preference, where it is used.
  var preference: ScorePreference? {
    switch self {
    case .scores(let preference), .budgeted(_, _, let preference): preference
    case .rationed(_, _, let preference): preference
    case .function: nil
    }
  }
}

/// Makes pairs of candidates: a scheme proposes, a judge answers, filters choose.
///
/// A pure function of groups, seed and answers. What one group proposes does not depend on the others.
package struct PairingSession: Sendable {
  package var scheme: any PairingScheme
  /// Chooses the responses that the scheme sees; nil lets it see all.
  package var resampling: ResponseResampling?
  package var filters = LabelFilters()
  /// Whether labels become certain; they stay soft otherwise, which keeps what the judge knows.
  package var isHard = false
  package var seed: UInt64
  /// Of the adaptation, so that rounds draw different numbers.
  package var round: Int

  package init(_ scheme: any PairingScheme, seed: UInt64, round: Int = 0) {
    self.scheme = scheme
    self.seed = seed
    self.round = round
  }

  /// - Throws: ``Fault`` for missing or impossible scores, filters out of range, answers that are no probabilities, and
  ///   what the judge throws.
  package func run(on groups: [CandidateGroup], judge: PairJudge) throws -> LabelledRound {
    try validate(groups, judge)
    var entrants = try groups.map { try Entrants($0, resampling, seed: seed, round: round) }
    var proposals: [Proposal] = []
    var asked = 0
    for step in 0... {
      var fresh = entrants.indices.flatMap { entrants[$0].proposals(of: $0, step: step, scheme) }
      guard !fresh.isEmpty else { break }
      // A scheme that waits for results needs all of them, also of pairs that will be dropped.
      if !scheme.dependsOnJudgements { filters.dropBeforeJudging(&fresh, of: groups) }
      let open = try answerFreely(&fresh, of: groups, by: judge.preference)
      try ask(judge, about: open, in: &fresh, of: groups, &asked)
      for proposal in fresh { entrants[proposal.group].record(proposal) }
      proposals += fresh
    }
    // Groups took turns where there were several steps.
    proposals.sort { ($0.group, $0.order) < ($1.group, $1.order) }
    if scheme.dependsOnJudgements { filters.dropBeforeJudging(&proposals, of: groups) }
    filters.dropAfterJudging(&proposals, of: groups)
    return LabelledRound(proposals, of: groups, isHard: isHard)
  }

  private func validate(_ groups: [CandidateGroup], _ judge: PairJudge) throws {
    try filters.validate()
    for group in groups { try group.validate() }
    let needs: [(Bool, String)] = [
      (scheme.needsScores, "pairing by \(type(of: scheme).name)"), (resampling != nil, "resampling"),
      (filters.gap != .none, "the filter of gaps"), (judge.preference != nil, "labelling by scores"),
    ]
    guard let need = needs.first(where: { $0.0 }),
      let group = groups.first(where: { $0.scores.isEmpty && $0.count > 0 })
    else { return }
    throw Fault(
      .configuration, "\(need.1) needs a score for each response", at: "prompt \(group.number)",
      hint: "score the responses with a reward model")
  }

  /// Answers what needs no judge: a response to be imitated, equal texts, which are a tie, and by scores what has them.
  /// Returns the places of the pairs that a judge has something to say about.
  private func answerFreely(
    _ proposals: inout [Proposal], of groups: [CandidateGroup], by preference: ScorePreference?
  ) throws -> [Int] {
    var open: [Int] = []
    for place in proposals.indices where proposals[place].reason == nil {
      let (group, first) = (groups[proposals[place].group], proposals[place].pair.first)
      guard let second = proposals[place].pair.second else {
        proposals[place].judgement = Judgement(q: 1)
        continue
      }
      guard group.texts[first] != group.texts[second] else {
        proposals[place].judgement = Judgement(q: 0.5)
        continue
      }
      proposals[place].judgement = try preference?.judgement(group.scores[first], group.scores[second])
      open.append(place)
    }
    return open
  }

  /// Lets the judge answer the pairs at some places, as far as the budget goes.
  private func ask(
    _ judge: PairJudge, about open: [Int], in proposals: inout [Proposal], of groups: [CandidateGroup],
    _ asked: inout Int
  ) throws {
    var chosen = open
    let function: PairJudge.Function
    switch judge {
    case .scores: return
    case .function(let all): function = all
    case .budgeted(let budget, let dear, _):
      (function, chosen) = (dear, affordable(open, of: proposals, in: groups, budget, used: asked))
    case .rationed(let budget, let dear, _):
      (function, chosen) = (dear, affordable(open, of: proposals, in: groups, budget, used: asked))
      for place in Set(open).subtracting(chosen) { proposals[place].leaveUnasked() }
    }
    guard !chosen.isEmpty else { return }
    let comparisons = chosen.map { proposals[$0].comparison(in: groups) }
    let answers = try function(comparisons)
    precondition(answers.count == comparisons.count, "\(answers.count) answers to \(comparisons.count) comparisons")
    for (place, answer) in zip(chosen, answers) {
      try proposals[place].take(answer, in: groups)
    }
    asked += chosen.count
  }

  /// Which of some places a budget chooses.
  private func affordable(
    _ open: [Int], of proposals: [Proposal], in groups: [CandidateGroup], _ budget: JudgeBudget, used: Int
  ) -> [Int] {
    let candidates = open.map { proposals[$0].budgetCandidate(in: groups) }
    return budget.places(among: candidates, used: used, seed: seed, round: round).map { open[$0] }
  }
}

/// A group as the scheme sees it: those of its responses that take part.
private struct Entrants {
  private let group: CandidateGroup
  /// The place of each entrant among all responses of the group.
  private let places: [Int]
  private let stream: RandomStream
  /// Pairs of entrants that were proposed so far.
  private var proposed: [CandidatePair] = []
  private var judged: [JudgedPair] = []

  init(_ group: CandidateGroup, _ resampling: ResponseResampling?, seed: UInt64, round: Int) throws {
    let accepted = try resampling?.accepted(
      from: group, RandomStream(seed: seed, purpose: .resampling, group.number, round))
    places = accepted?.map(\.place) ?? Array(group.texts.indices)
    self.group = group.subset(places)
    stream = RandomStream(seed: seed, purpose: .pairing, group.number, round)
  }

  /// What the scheme proposes in a step, given the results of the steps before.
  mutating func proposals(of group: Int, step: Int, _ scheme: any PairingScheme) -> [Proposal] {
    let pairs = scheme.pairs(round: step, of: self.group, judged: judged, stream)
    defer { proposed += pairs }
    return pairs.enumerated().map { index, pair in
      Proposal(
        group: group, order: proposed.count + index,
        pair: CandidatePair(places[pair.first], pair.second.map { places[$0] }, weight: pair.weight),
        kind: pair.second == nil ? .imitation : .pair)
    }
  }

  /// Remembers what became of a proposal; one that nobody judged counts as an abstention.
  mutating func record(_ proposal: Proposal) {
    judged.append(JudgedPair(pair: proposed[proposal.order], judgement: proposal.judgement ?? Judgement(q: nil)))
  }
}
