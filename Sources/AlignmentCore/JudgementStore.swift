/// What a stored judgement is found by: who judged, and every byte of what was judged.
package struct JudgementKey: Hashable, Sendable {
  /// Judge and texts, each with its length before it, so that different texts never give the same bytes. Made to be
  /// stored as it is, or digested.
  package let bytes: [UInt8]

  package init<Question: PreferenceQuestion>(judge: String, question: Question) {
    let texts = [judge] + question.texts
    var bytes: [UInt8] = []
    bytes.reserveCapacity(texts.reduce(0) { $0 + $1.utf8.count + 8 })
    for text in texts {
      withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { bytes += $0 }
      bytes += text.utf8
    }
    self.bytes = bytes
  }

  /// All bytes at once; an array would feed them one by one.
  package func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}

/// Keeps judgements, so that none is made twice.
///
/// It must say the same on every rank, because what it does not know is asked for by all of them together.
package protocol JudgementStore: AnyObject {
  /// The judgement of each key; nil for those that are not known.
  func judgements(for keys: [JudgementKey]) throws -> [Judgement?]
  /// Keeps judgements; a store that outlives the process returns when they are safe.
  func store(_ judgements: [(key: JudgementKey, judgement: Judgement)]) throws
}

/// A store in memory.
package final class MemoryJudgementStore: JudgementStore {
  private var known: [JudgementKey: Judgement] = [:]

  package init() {}

  package func judgements(for keys: [JudgementKey]) -> [Judgement?] { keys.map { known[$0] } }

  package func store(_ judgements: [(key: JudgementKey, judgement: Judgement)]) {
    for (key, judgement) in judgements { known[key] = judgement }
  }
}
