import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Statistical rejection sampling (Liu et al. 2023, arXiv 2309.06657, algorithm 1): draws from the policy that
/// π(y|x)·exp(r(x, y)/β) is proportional to, given samples y ~ π and their rewards.
///
/// A sweep over the candidates accepts each with the probability exp((r − r_max)/β), r_max the greatest reward of those
/// left; sweeps follow each other until there are enough. β → 0 takes the best ones, β → ∞ any.
package struct ResponseResampling: Sendable, Equatable {
  /// A response that was accepted.
  package struct Acceptance: Sendable, Equatable {
    /// Its place among the candidates.
    package var place: Int
    /// The sweep that accepted it, from 0.
    package var sweep: Int
  }

  /// Responses to accept, as far as there are that many candidates.
  package var count: Int
  /// β, in units of reward; 0 and infinity are the limits.
  package var temperature: Double
  /// Whether equal texts are one candidate, as in the paper, or as many as they are.
  package var mergesDuplicates: Bool

  /// - Throws: ``Fault`` for a count below 1 or a temperature below 0.
  package init(count: Int, temperature: Double, mergesDuplicates: Bool = true) throws {
    guard count >= 1, temperature >= 0 else {
      throw Fault(
        .configuration, "\(count) responses at temperature \(temperature)", at: "labels.resampling",
        hint: "accept at least one response, at a temperature of 0 or more")
    }
    self.count = count
    self.temperature = temperature
    self.mergesDuplicates = mergesDuplicates
  }

  /// The responses of a group that are accepted, in the order of acceptance.
  ///
  /// - Parameter stream: random numbers that belong to the group.
  /// - Throws: ``Fault`` without a finite score for each response.
  package func accepted(from group: CandidateGroup, _ stream: RandomStream) throws -> [Acceptance] {
    try group.validate()
    guard group.count == 0 || !group.scores.isEmpty else {
      throw Fault(
        .configuration, "resampling needs a score for each response", at: "prompt \(group.number)",
        hint: "score the responses with a reward model")
    }
    // The last sweep ends as soon as there are enough, which must not favour candidates that came first.
    var left = stream.shuffledPlaces(group.count)
    if mergesDuplicates { left = distinct(left, of: group) }
    var accepted: [Acceptance] = []
    var position = group.count
    var sweep = 0
    while accepted.count < count, let greatest = left.map({ group.scores[$0] }).max() {
      left.removeAll { place in
        guard accepted.count < count else { return false }
        defer { position += 1 }
        guard accepts(group.scores[place] - greatest, stream.uniform(at: position)) else { return false }
        accepted.append(Acceptance(place: place, sweep: sweep))
        return true
      }
      sweep += 1
    }
    return accepted
  }

  /// The probability that the first sweep reaches each candidate and accepts it: exp((r − r_max)/β).
  package func acceptanceProbabilities(of scores: [Double]) -> [Double] {
    let greatest = scores.max() ?? 0
    return scores.map { $0 == greatest ? 1 : exp(($0 - greatest) / temperature) }
  }

  /// The best of those left is always accepted, so every sweep accepts something.
  private func accepts(_ distance: Double, _ uniform: Double) -> Bool {
    distance == 0 || log(uniform) < distance / temperature
  }

  /// The places of the first of equal texts.
  private func distinct(_ places: [Int], of group: CandidateGroup) -> [Int] {
    var seen: Set<String> = []
    return places.filter { seen.insert(group.texts[$0]).inserted }
  }
}
