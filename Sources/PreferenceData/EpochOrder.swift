import AlignmentCore

/// The order in which a stream of epochs visits the examples of a dataset.
///
/// A pure function of seed, count and position: any position can be asked for at any time, so a stream resumes from its
/// position alone. The order of one epoch is kept, 4 bytes per example, and computed anew when another is asked for.
package struct EpochOrder: Sendable {
  /// Number of examples in one epoch.
  package let count: Int
  private let seed: UInt64
  private let isShuffled: Bool
  private var epoch = -1
  private var order: [Int32]

  /// Prepares the order of `count` examples; unshuffled it is the order of the data in every epoch.
  package init(count: Int, seed: UInt64, shuffle: Bool) {
    precondition(count > 0 && count <= Int32.max, "\(count) examples")
    self.count = count
    self.seed = seed
    isShuffled = shuffle
    order = shuffle ? [Int32](repeating: 0, count: count) : []
  }

  /// The example at a position of the stream, which is slot `position % count` of epoch `position / count`.
  package mutating func index(at position: Int) -> Int {
    precondition(position >= 0, "position \(position)")
    let slot = position % count
    guard isShuffled else { return slot }
    if position / count != epoch { shuffle(for: position / count) }
    return Int(order[slot])
  }

  // Fisher and Yates, as in Knuth, The Art of Computer Programming, volume 2, algorithm 3.4.2P.
  private mutating func shuffle(for epoch: Int) {
    let stream = RandomStream(seed: seed, purpose: .shuffling, epoch)
    for index in 0..<count { order[index] = Int32(truncatingIfNeeded: index) }
    for last in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(last, stream.integer(below: last + 1, at: last))
    }
    self.epoch = epoch
  }
}
