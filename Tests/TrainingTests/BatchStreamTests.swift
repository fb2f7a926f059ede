import Testing
import Training

@Suite struct BatchStreamTests {
  private func stream(count: Int = 10, size: Int, seed: UInt64 = 3, shuffle: Bool = true) -> BatchStream {
    BatchStream(count: count, size: size, seed: seed, shuffle: shuffle)
  }

  @Test(arguments: [1, 3, 10, 25])
  func batchesAreConsecutivePiecesOfTheEpochs(size: Int) {
    var stream = stream(size: size)
    let examples = (0..<20).flatMap { stream.examples(ofStep: $0) }
    #expect(examples.count == 20 * size)
    // A batch may cross the end of an epoch; each epoch has every example once.
    for start in stride(from: 0, to: examples.count - 9, by: 10) {
      #expect(examples[start..<start + 10].sorted() == Array(0..<10))
    }
  }

  @Test func aStepAloneDefinesItsBatch() {
    var whole = stream(size: 4)
    let batches = (0..<20).map { whole.examples(ofStep: $0) }
    for step in [19, 0, 7, 3] {
      var resumed = stream(size: 4)
      #expect(resumed.examples(ofStep: step) == batches[step])
    }
    var other = stream(size: 4, seed: 4)
    #expect((0..<20).map { other.examples(ofStep: $0) } != batches)
  }

  @Test func withoutShufflingTheOrderIsThatOfTheData() {
    var stream = stream(size: 4, shuffle: false)
    #expect(stream.examples(ofStep: 0) == [0, 1, 2, 3] && stream.examples(ofStep: 2) == [8, 9, 0, 1])
    #expect(stream.epochs(after: 5) == 2)
  }

  @Test(arguments: [(1.0, 10, 4, 3), (2, 10, 5, 4), (0.1, 10, 4, 1), (1, 3, 100, 1), (2.5, 10, 4, 7)])
  func epochsAreRoundedUpToSteps(epochs: Double, count: Int, batch: Int, steps: Int) {
    #expect(BatchStream.steps(epochs: epochs, count: count, batch: batch) == steps)
  }
}
