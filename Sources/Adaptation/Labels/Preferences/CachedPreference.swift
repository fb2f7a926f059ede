import AlignmentCore

/// Remembers what a preference function said and asks it only for what is new, each question once.
///
/// Judgements are found by the function's identity and the texts alone. A function whose answers depend on what else is
/// asked, such as a ``PointwiseEnsemble``, must not be cached; its members may.
package struct CachedPreference<Inner: PreferenceFunction>: PreferenceFunction {
  package let inner: Inner
  private let store: any JudgementStore
  private let isSymmetric: Bool

  /// - Parameters:
  ///   - isSymmetric: Whether the function says of B and A what it says of A and B, so that one order need not be asked
  ///     when the other one is known.
  package init(_ inner: Inner, in store: any JudgementStore = MemoryJudgementStore(), isSymmetric: Bool = false) {
    self.inner = inner
    self.store = store
    self.isSymmetric = isSymmetric
  }

  package var identity: String { inner.identity }

  /// Judgements that were stored before, or are asked for twice, cost nothing; new ones are stored before they are
  /// returned.
  package func judgements(of questions: [Inner.Question]) throws -> [Judgement] {
    let distinct = DistinctQuestions(questions, judge: identity, mergesOrders: isSymmetric)
    let stored = try store.judgements(for: distinct.keys)
    let misses = stored.indices.filter { stored[$0] == nil }
    var new = misses.isEmpty ? [] : try inner.judgements(of: misses.map { distinct.questions[$0] })[...]
    precondition(new.count == misses.count, "\(identity) gave \(new.count) answers to \(misses.count) questions")
    if !misses.isEmpty { try store.store(zip(misses, new).map { (distinct.keys[$0], $1) }) }
    return distinct.spread(stored.map { $0?.free ?? new.removeFirst() })
  }
}

extension CachedPreference: PairwisePreferenceFunction where Inner: PairwisePreferenceFunction {}
extension CachedPreference: PointwisePreferenceFunction where Inner: PointwisePreferenceFunction {}

extension Judgement {
  /// The same judgement, already paid for.
  fileprivate var free: Judgement {
    var result = self
    result.cost = JudgementCost()
    return result
  }
}
