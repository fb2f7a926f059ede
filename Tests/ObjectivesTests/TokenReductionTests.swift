import Objectives
import Testing

@Suite struct TokenReductionTests {
  private func reduce(
    _ reduction: TokenReduction, policy: [Double], reference: [Double], shorter: Int
  ) -> (policy: Double, reference: Double) {
    policy.withUnsafeBufferPointer { policy in
      reference.withUnsafeBufferPointer { reduction.reduce(policy: policy, reference: $0, shorter: shorter) }
    }
  }

  // Token log-ratios 2, −1.7, 0.5 and 0.2 add up to 1; clamped to −1…1.5 to 1.5 − 1 + 0.5 + 0.2 = 1.2.
  static let reference = [-3.0, -1, -2, -0.5]
  static let policy = [-1.0, -2.7, -1.5, -0.3]

  @Test func tokensAreAddedByDefault() {
    let plain = TokenReduction()
    let sums = reduce(plain, policy: Self.policy, reference: Self.reference, shorter: 1)
    #expect(plain.isPlain && isClose(sums.policy, -5.5) && isClose(sums.reference, -6.5))
    #expect(
      Self.policy.indices.allSatisfy {
        plain.slope(policy: Self.policy[$0], reference: Self.reference[$0], token: $0, shorter: 1) == 1
      })
  }

  @Test func humanlineClampsTheLogRatioOfEachToken() throws {
    let reduction = try PreferenceLoss(["dpo"], settings: ["humanline": "yes"]).reduction
    #expect(reduction == TokenReduction(clamp: -1...1.5) && !reduction.isPlain)
    let sums = reduce(reduction, policy: Self.policy, reference: Self.reference, shorter: 4)
    #expect(isClose(sums.policy - sums.reference, 1.2) && isClose(sums.reference, -6.5))
    let slopes = (0..<4).map {
      reduction.slope(policy: Self.policy[$0], reference: Self.reference[$0], token: $0, shorter: 4)
    }
    #expect(slopes == [0, 0, 1, 1])
  }

  @Test func theBoundsOfHumanlineCanBeSet() throws {
    let settings = ["humanline": "yes", "log_epsilon_P": "-2", "log_epsilon_R": "0.3"]
    let reduction = try PreferenceLoss(["kto"], settings: settings).reduction
    // 0.3 − 1.7 + 0.3 + 0.2
    let sums = reduce(reduction, policy: Self.policy, reference: Self.reference, shorter: 4)
    #expect(isClose(sums.policy - sums.reference, -0.9))
  }

  // The shorter completion has two tokens: −1 − 2.7 + 0.3·(−1.5 − 0.3), and −3 − 1 + 0.3·(−2 − 0.5).
  @Test func tokensBeyondTheShorterCompletionCountLess() throws {
    let reduction = try PreferenceLoss(["dpo"], settings: ["ld_alpha": "0.3"]).reduction
    let sums = reduce(reduction, policy: Self.policy, reference: Self.reference, shorter: 2)
    #expect(isClose(sums.policy, -3.7 - 0.54) && isClose(sums.reference, -4 - 0.75))
    let slopes = (0..<4).map {
      reduction.slope(policy: Self.policy[$0], reference: Self.reference[$0], token: $0, shorter: 2)
    }
    #expect(slopes == [1, 1, 0.3, 0.3])
  }

  @Test func withoutReferenceOnlyThePolicyCounts() {
    let reduction = TokenReduction(excessFactor: 0)
    let sums = reduce(reduction, policy: Self.policy, reference: [], shorter: 3)
    #expect(isClose(sums.policy, -5.2) && sums.reference == 0)
  }

  // 1.5 − 1 + 0.5·(0.5 + 0.2)
  @Test func bothTogether() {
    let reduction = TokenReduction(excessFactor: 0.5, clamp: -1...1.5)
    let sums = reduce(reduction, policy: Self.policy, reference: Self.reference, shorter: 2)
    #expect(isClose(sums.policy - sums.reference, 0.85))
    #expect(reduction.slope(policy: -1.5, reference: -2, token: 2, shorter: 2) == 0.5)
    #expect(reduction.slope(policy: -1.5, reference: -4, token: 2, shorter: 2) == 0)
  }

  static let reductions = [
    TokenReduction(), TokenReduction(excessFactor: 0.3), TokenReduction(clamp: -1...1.5),
    TokenReduction(excessFactor: 0, clamp: -0.6...0.4),
  ]

  // No log-ratio is within the step of a bound.
  static let step = 1e-4

  @Test(arguments: reductions)
  func slopesAreThoseOfTheSum(_ reduction: TokenReduction) {
    for token in Self.policy.indices {
      let expected = slope(step: Self.step) { move in
        var policy = Self.policy
        policy[token] += move
        return reduce(reduction, policy: policy, reference: Self.reference, shorter: 2).policy
      }
      let found = reduction.slope(
        policy: Self.policy[token], reference: Self.reference[token], token: token, shorter: 2)
      #expect(abs(found - expected) < rounding / Self.step)
    }
  }

  @Test func whatIsNotANumberShows() {
    for reduction in Self.reductions {
      #expect(reduce(reduction, policy: [.nan], reference: [-1], shorter: 1).policy.isNaN)
    }
  }
}
