import Objectives
import Testing
import Training

/// Remarks are made when they are due, and once.
@Suite struct CommentaryTests {
  private static let pairs = ObjectiveTraits(.pair, needsReference: true)
  private static let unreferenced = ObjectiveTraits(.pair, needsReference: false)
  private static let scores = ObjectiveTraits(.pair, needsReference: false, output: .score)
  private static let labels = ObjectiveTraits(.labelled, needsReference: true)

  private func metrics(_ values: [String: Double], examples: Int = 16) -> StepMetrics {
    StepMetrics(loss: 0.7, values: values.map { ($0.key, $0.value) }, examples: examples, tokens: 100)
  }

  // MARK: The first batch

  @Test(arguments: [
    (pairs, 1.0, 2.0, 16, true),  // another reference, and every pair right
    (unreferenced, 0.0, -2.0, 16, true), (scores, 1.0, 0.5, 16, true), (unreferenced, 0.5, 0.1, 16, false),
    (pairs, 0.0, 0.0, 16, false),  // policy and reference are the same
    (pairs, 1.0, 1e-6, 16, false),  // but for rounding
    (unreferenced, 1.0, 2.0, 7, false),  // too few to wonder
  ])
  func anAccuracyWithoutExceptionIsStrange(
    traits: ObjectiveTraits, accuracy: Double, margin: Double, examples: Int, isDue: Bool
  ) {
    let commentary = Commentary(traits)
    let values = ["rewards/accuracies": accuracy, "rewards/margins": margin]
    let found = commentary.remarks(on: metrics(values, examples: examples), step: 0)
    #expect(found.contains { $0.contains("swapped") } == isDue)
    #expect(commentary.remarks(on: metrics(values, examples: examples), step: 0).isEmpty)
  }

  @Test func onlyTheFirstBatchIsLookedAtThatWay() {
    let values = ["rewards/accuracies": 1.0, "rewards/margins": 2, "rewards/chosen": 1, "rewards/rejected": -1]
    #expect(Commentary(Self.pairs).remarks(on: metrics(values), step: 3).isEmpty)
  }

  @Test(arguments: [
    (pairs, 0.02, 0.0, true), (pairs, 0.0, -0.02, true), (pairs, 1e-4, -1e-4, false), (scores, 3, 1, false),
  ])
  func aPolicyThatIsNotItsReferenceIsRemarkedOn(
    traits: ObjectiveTraits, chosen: Double, rejected: Double, isDue: Bool
  ) {
    let values = ["rewards/chosen": chosen, "rewards/rejected": rejected, "rewards/accuracies": 0.5]
    let found = Commentary(traits).remarks(on: metrics(values), step: 0)
    #expect(found.contains { $0.contains("policy and reference differ") } == isDue)
  }

  // MARK: Falling log-probabilities

  /// The steps after which something was said.
  private func steps(_ count: Int, chosen: (Int) -> Double, margin: (Int) -> Double) -> [Int] {
    let commentary = Commentary(Self.pairs)
    return (0..<count).filter { step in
      !commentary.remarks(
        on: metrics(["logps/chosen": chosen(step), "rewards/margins": margin(step)]), step: step
      ).isEmpty
    }
  }

  @Test func fallingChosenCompletionsAreRemarkedOnOnce() {
    let found = steps(200, chosen: { -50 - Double($0) }, margin: { 0.01 * Double($0) })
    #expect(found.count == 1 && found[0] >= 20, "\(found)")
  }

  @Test func noFallIsNoRemark() {
    // Rising, falling a little, falling without a margin, and up and down.
    #expect(steps(200, chosen: { -50 + Double($0) }, margin: { Double($0) }).isEmpty)
    #expect(steps(200, chosen: { -50 - 0.01 * Double($0) }, margin: { Double($0) }).isEmpty)
    #expect(steps(200, chosen: { -50 - Double($0) }, margin: { -Double($0) }).isEmpty)
    #expect(steps(200, chosen: { $0 % 10 < 5 ? -50 : -90 }, margin: { Double($0) }).isEmpty)
  }

  @Test func methodsWithoutLogProbabilitiesHaveNoFall() {
    let commentary = Commentary(nil)
    for step in 0..<100 { #expect(commentary.remarks(on: metrics(["reward": -Double(step)]), step: step).isEmpty) }
  }

  // MARK: Classes

  @Test func eachMissingClassIsNamedOnce() {
    let commentary = Commentary(Self.labels)
    let (good, bad) = (["rewards/chosen": 0.0], ["rewards/rejected": 0.0])
    #expect(commentary.remarks(on: metrics(good.merging(bad) { $1 }), step: 0).isEmpty)
    let undesirable = commentary.remarks(on: metrics(good), step: 1)
    #expect(undesirable.count == 1 && undesirable[0].contains("without undesirable"))
    let desirable = commentary.remarks(on: metrics(bad), step: 2)
    #expect(desirable.count == 1 && desirable[0].contains("without desirable"))
    #expect(
      commentary.remarks(on: metrics(good), step: 3).isEmpty && commentary.remarks(on: metrics(bad), step: 4).isEmpty)
  }

  // MARK: Rollouts

  private func rollout(_ rewards: [[Double]]) -> Rollout {
    var rollout = Rollout()
    for group in rewards {
      rollout.groups.append(rollout.rewards.count..<rollout.rewards.count + group.count)
      rollout.rewards += group
    }
    return rollout
  }

  @Test func groupsOfEqualRewardsAreRemarkedOn() {
    let commentary = Commentary(nil)
    #expect(commentary.remarks(on: rollout([[1, 0], [2, 2], [0, 3], [1, 1]])).isEmpty)
    let most = commentary.remarks(on: rollout([[1, 0], [2, 2], [3, 3]]))
    #expect(most.count == 1 && most[0].contains("more than half"))
    let all = commentary.remarks(on: rollout([[1, 1], [2, 2]]))
    #expect(all.count == 1 && all[0].contains("nothing to learn"))
    #expect(commentary.remarks(on: rollout([[1, 1], [2, 2]])).isEmpty)
    #expect(commentary.remarks(on: rollout([[1, 0], [2, 2], [3, 3]])).isEmpty)
  }

  // A group of one has no other to be equal to: PPO with a sample for each prompt.
  @Test func singleSamplesAreNoEqualGroups() {
    #expect(Commentary(nil).remarks(on: rollout([[1], [1], [1]])).isEmpty)
    #expect(Commentary(nil).remarks(on: rollout([])).isEmpty)
  }
}
