import AlignmentCore

/// A knock-out whose every game gives a pair, n − 1 in all; the better a response, the more pairs it is in (Liu et al.
/// 2023, arXiv 2309.06657, table 2, "tournament-rank").
///
/// After a tie or an abstention the response that stands first in the bracket goes on, which is a random one.
package struct Tournament: PairingScheme {
  package static let name = "tournament"
  package static let summary = "knock-out, n - 1 pairs that favour good responses, arXiv 2309.06657"
  package static let options: [OptionDescription] = []
  package let needsScores = false
  package let dependsOnJudgements = true

  package init(options: OptionValues) {}

  package func pairs(
    round: Int, of group: CandidateGroup, judged: [JudgedPair], _ stream: RandomStream
  ) -> [CandidatePair] {
    var entrants = stream.shuffledPlaces(group.count)
    var played = judged[...]
    for _ in 0..<round {
      let games = games(of: entrants)
      // Who had no opponent comes first in the next round, so that nobody sits out twice in a row.
      let resting = entrants.count.isMultiple(of: 2) ? [] : [entrants[entrants.count - 1]]
      entrants = resting + played.prefix(games.count).map(winner)
      played = played.dropFirst(games.count)
    }
    return games(of: entrants)
  }

  private func games(of entrants: [Int]) -> [CandidatePair] {
    stride(from: 1, to: entrants.count, by: 2).map { CandidatePair(entrants[$0 - 1], entrants[$0]) }
  }

  private func winner(of game: JudgedPair) -> Int {
    guard let second = game.pair.second, let q = game.judgement.q, q < 0.5 else { return game.pair.first }
    return second
  }
}
