import AlignmentCore
import PreferenceData
import Testing

/// Prompts with completions of other prompts, which KTO estimates its divergence from.
@Suite struct MismatchedGroupsTests {
  /// Prompts and completions as tokens; a completion's first token says whose it is.
  private func dataset(_ prompts: [[Int32]], completionLength: Int = 3) throws -> TokenizedDataset {
    let directory = try TemporaryDirectory()
    let examples = prompts.enumerated().map { index, prompt in
      EncodedExample(
        prompt: prompt,
        completions: [
          .init(tokens: (0..<completionLength).map { Int32(100 * index + 100 + $0) }, role: .desirable)
        ])
    }
    try TokenizedDataset.write(examples, to: directory("data.tokens"), key: "test")
    return try TokenizedDataset(path: directory("data.tokens"))
  }

  /// Which example's completion each slot of a batch gets; checks that units hold what sizes say.
  private func partners(
    _ batch: [Int], of dataset: TokenizedDataset, contextLength: Int = 64
  ) throws -> [(prompt: [Int32], completion: [Int32])] {
    let groups = MismatchedGroups(batch, of: dataset, contextLength: contextLength)
    return (0..<groups.count).map { index in
      var unit = WorkUnit()
      groups.add(index, slot: index, to: &unit)
      let size = groups.size(ofGroup: index)
      #expect(size.tokens == unit.tokens.count && size.predictions == unit.targets.count)
      #expect(unit.groups.count == 1 && unit.groups[0].slot == index)
      return (Array(unit.tokens[..<unit.groups[0].promptLength]), unit.targets)
    }
  }

  @Test(arguments: [2, 3, 4, 7])
  func completionsMoveOnByOne(count: Int) throws {
    let data = try dataset((0..<count).map { [Int32($0), 7] })
    let batch = Array((0..<count).reversed())
    let found = try partners(batch, of: data)
    #expect(found.count == count)
    for (slot, pair) in found.enumerated() {
      #expect(pair.prompt == [Int32(batch[slot]), 7])
      #expect(pair.completion[0] == Int32(100 * batch[(slot + 1) % count] + 100))
    }
  }

  // Rows of a pair share their prompt: the next place may hold the prompt's own other answer.
  @Test func noAnswerComesFromTheSamePrompt() throws {
    let data = try dataset([[1], [1], [2], [2], [1], [3, 1]])
    let found = try partners([0, 1, 2, 3, 4, 5], of: data)
    #expect(found.map { Int($0.completion[0]) / 100 - 1 } == [2, 2, 4, 4, 5, 0])
  }

  @Test func whoFindsNoOtherPromptIsLeftOut() throws {
    let data = try dataset([[1], [1], [1], [2]])
    #expect(try partners([0, 1, 2], of: data).isEmpty)
    #expect(try partners([3], of: data).isEmpty)
    #expect(try partners([], of: data).isEmpty)
    #expect(try partners([0, 3, 1], of: data).map { Int($0.completion[0]) / 100 - 1 } == [3, 1, 3])
  }

  // A batch may hold an example twice, where it crosses the end of an epoch.
  @Test func anExampleIsNotItsOwnPartner() throws {
    let data = try dataset([[1], [2]])
    #expect(try partners([0, 0, 1], of: data).map { Int($0.completion[0]) / 100 - 1 } == [1, 1, 0])
  }

  @Test(arguments: [(12, 5), (10, 5), (9, 4), (8, 3), (6, 1)])
  func completionsAreCutAtTheContext(context: Int, left: Int) throws {
    let data = try dataset([[1, 2, 3, 4, 5], [9]], completionLength: 5)
    let found = try partners([0, 1], of: data, contextLength: context)
    #expect(found[0].completion == (0..<Int32(left)).map { 200 + $0 } && found[1].completion.count == 5)
  }
}
