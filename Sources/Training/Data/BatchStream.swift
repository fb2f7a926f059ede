import PreferenceData

/// The examples of every optimiser step: a pure function of the step, so a run resumes from its step alone.
package struct BatchStream {
  package let size: Int
  private var order: EpochOrder

  package init(count: Int, size: Int, seed: UInt64, shuffle: Bool) {
    self.size = size
    order = EpochOrder(count: count, seed: seed, shuffle: shuffle)
  }

  /// Dataset indices of a step's batch, steps counted from 0; a batch may cross the end of an epoch.
  package mutating func examples(ofStep step: Int) -> [Int] {
    (step * size..<(step + 1) * size).map { order.index(at: $0) }
  }

  /// Passes over the data after a number of steps.
  package func epochs(after steps: Int) -> Double { Double(steps * size) / Double(order.count) }

  /// Steps that a number of epochs takes.
  package static func steps(epochs: Double, count: Int, batch: Int) -> Int {
    max(1, Int((epochs * Double(count) / Double(batch)).rounded(.up)))
  }
}
