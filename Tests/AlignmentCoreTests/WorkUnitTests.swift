import AlignmentCore
import Testing

@Suite struct WorkUnitTests {
  /// A prompt of three tokens with completions of three and one, then a prompt of one token with a completion of two.
  private func twoGroups(into unit: inout WorkUnit) {
    begin(&unit, example: 7, slot: 1, [10, 11, 12])
    add(&unit, [20, 21, 22])
    add(&unit, [30])
    begin(&unit, example: 3, slot: 0, [13])
    add(&unit, [40, 41])
  }

  private func begin(_ unit: inout WorkUnit, example: Int, slot: Int, _ prompt: [Int32]) {
    prompt.withUnsafeBufferPointer { unit.beginGroup(example: example, slot: slot, prompt: $0) }
  }

  private func add(_ unit: inout WorkUnit, _ completion: [Int32]) {
    completion.withUnsafeBufferPointer { unit.addCompletion($0) }
  }

  private func checkTwoGroups(_ unit: WorkUnit) {
    // The last token of a completion is a target but no input.
    #expect(unit.tokens == [10, 11, 12, 20, 21, 13, 40])
    #expect(unit.positions == [0, 1, 2, 3, 4, 0, 1])
    #expect(unit.targets == [20, 21, 22, 30, 40, 41])
    // First tokens are predicted from the end of the shared prompt, others from the token before.
    #expect(unit.predictionSources == [2, 3, 4, 2, 5, 6])
    #expect(unit.groups.map(\.example) == [7, 3] && unit.groups.map(\.slot) == [1, 0])
    #expect(unit.groups.map(\.firstToken) == [0, 5] && unit.groups.map(\.promptLength) == [3, 1])
    #expect(unit.groups.map(\.completions) == [0..<2, 2..<3])
    #expect(unit.completions.map(\.firstToken) == [3, 5, 6] && unit.completions.map(\.inputCount) == [2, 0, 1])
    #expect(unit.completions.map(\.rows) == [0..<3, 3..<4, 4..<6])
    #expect(unit.completions.map(\.tokenCount) == [3, 1, 2])
  }

  @Test func groupsLieAsPromptThenCompletions() {
    var unit = WorkUnit()
    twoGroups(into: &unit)
    checkTwoGroups(unit)
  }

  @Test func removingAllMakesRoomForOthers() {
    var unit = WorkUnit()
    unit.reserve(tokens: 7, groups: 2, completions: 3)
    begin(&unit, example: 1, slot: 0, [1, 2, 3, 4])
    add(&unit, [5, 6])
    unit.removeAll()
    #expect(unit.tokens.isEmpty && unit.groups.isEmpty && unit.completions.isEmpty && unit.targets.isEmpty)
    twoGroups(into: &unit)
    checkTwoGroups(unit)
  }

  @Test func withinTheReservationNothingMoves() {
    var unit = WorkUnit()
    unit.reserve(tokens: 7, groups: 2, completions: 3)
    let before = addresses(unit)
    twoGroups(into: &unit)
    #expect(addresses(unit) == before)
  }

  private func addresses(_ unit: WorkUnit) -> [UInt] {
    let arrays = [unit.tokens, unit.positions, unit.predictionSources, unit.targets]
    return arrays.map { $0.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) } }
  }

  // Each token knows its own sequence: what a sequence sees through sources and positions is the sequence itself.
  @Test func everyCompletionIsASequenceBehindItsPrompt() {
    var unit = WorkUnit()
    twoGroups(into: &unit)
    for group in unit.groups {
      for completion in group.completions.map({ unit.completions[$0] }) {
        let inputs = completion.firstToken..<completion.firstToken + completion.inputCount
        let sequence = Array(group.firstToken..<group.firstToken + group.promptLength) + Array(inputs)
        #expect(sequence.map { Int(unit.positions[$0]) } == Array(sequence.indices))
        let sources = completion.rows.map { Int(unit.predictionSources[$0]) }
        #expect(sources == Array(sequence.suffix(completion.tokenCount)))
        #expect(inputs.map { unit.tokens[$0] } == Array(completion.rows.dropLast().map { unit.targets[$0] }))
      }
    }
  }
}
