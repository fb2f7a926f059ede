import AlignmentCore
import Checkpoints
import Testing
import Training

@Suite struct AdaptationComparisonTests {
  /// The column "gap recovered" of runs with these last scores, all with the same standard error.
  private func recovered(_ scores: [(String, Double)], error: Double) throws -> [String] {
    let directory = try TemporaryDirectory()
    for (name, score) in scores {
      for (round, value) in [0.5, score].enumerated() {
        let files = "\(directory.path)/\(name)/rounds/00\(round)"
        try FileSystem.makeDirectory(files)
        try AtomicFile.write(
          "\(files)/evaluation.json",
          Array(
            #"{"score":\#(value),"standard_error":\#(error),"kl":1,"tokens":20,"finished":1,"prompts":100}"#.utf8))
      }
    }
    let comparison = try AdaptationComparison(
      runs: scores.map { (name: $0.0, directory: "\(directory.path)/\($0.0)") }, from: scores[0].0,
      to: scores[scores.count - 1].0)
    #expect(comparison.table.map { $0[0] } == ["run", "first policy"] + scores.map(\.0))
    return comparison.table.dropFirst(2).map { $0[3] }
  }

  @Test func aGapIsSharedByWhatWasReached() throws {
    #expect(
      try recovered([("source", 1), ("worse", 0.5), ("half", 1.5), ("better", 2.2), ("oracle", 2)], error: 0.1)
        == ["0 %", "-50 %", "50 %", "120 %", "100 %"])
  }

  // Twice the standard error of a difference of two with 0.1 each is 0.283.
  @Test func aGapThatMayNotBeThereHasNoShares() throws {
    #expect(try recovered([("source", 1), ("half", 1.1), ("oracle", 1.28)], error: 0.1) == ["–", "–", "–"])
    #expect(try recovered([("source", 1), ("half", 1.145), ("oracle", 1.29)], error: 0.1) == ["0 %", "50 %", "100 %"])
    #expect(try recovered([("source", 1), ("half", 1.1), ("oracle", 0.5)], error: 0) == ["–", "–", "–"])
  }

  @Test func aNameThatNoRunHasIsAFault() throws {
    #expect(throws: Fault.self) { try AdaptationComparison(runs: [], from: "a", to: "b") }
  }
}
