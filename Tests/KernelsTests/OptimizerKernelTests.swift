import AlignmentCore
import Foundation
import Kernels
import Testing

/// The updates of Lion, RMSprop and SGD against the same formulas in Float64, one element at a time.
@Suite struct OptimizerKernelTests {
  // Parameters near 1 and five updates of 10⁻² each, all in Float32.
  static let tolerance = 5e-7
  // 1 − β in Float32 is off by 6·10⁻⁸ absolutely, so by 6·10⁻⁸ / (1 − β) of an average; β is 0.99 at most.
  static let averageTolerance = 6e-6
  static let lengths = [0, 1, 7, 15, 16, 17, 31, 32, 33, 100]

  /// Runs five updates of random gradients.
  private func run(_ count: Int, _ body: (_ step: Int, _ gradients: Memory) -> Void) {
    var generator = TestGenerator(count + 1)
    for step in 0..<5 {
      let gradients = Memory(generator.floats(count))
      let before = gradients.values
      body(step, gradients)
      #expect(gradients.isIntact && gradients.values == before)
    }
  }

  private func initial(_ count: Int) -> [Float] {
    var generator = TestGenerator(count)
    return generator.floats(count)
  }

  @Test(arguments: lengths)
  func lionFollowsTheAlgorithm(count: Int) {
    let (p, m) = (Memory(initial(count)), Memory(count: count, of: 0))
    var (theta, momentum) = (p.values.doubles, m.values.doubles)
    let step = LionKernel.Step(learningRate: 1e-2, beta1: 0.9, beta2: 0.99, weightDecay: 0.1, gradientScale: 0.5)
    run(count) { _, gradients in
      LionKernel.update(parameters: p.view, gradients: gradients.view, momentum: m.view, step)
      for i in 0..<count {
        let g = 0.5 * Double(gradients.values[i])
        let c = 0.9 * momentum[i] + (1 - 0.9) * g
        theta[i] -= 1e-2 * ((c > 0 ? 1 : -1) + 0.1 * theta[i])
        momentum[i] = 0.99 * momentum[i] + (1 - 0.99) * g
      }
    }
    expectClose(p.values, theta, tolerance: Self.tolerance, scale: 1)
    expectClose(m.values, momentum, tolerance: Self.averageTolerance, scale: 0.1)
    #expect(p.isIntact && m.isIntact)
  }

  @Test func lionStaysWhereThereIsNoDirection() {
    let step = LionKernel.Step(learningRate: 0.5, beta1: 0.9, beta2: 0.99, weightDecay: 0, gradientScale: 1)
    for count in [3, 16] {
      let (p, g, m) = (Memory(count: count, of: 1), Memory(count: count, of: 0), Memory(count: count, of: 0))
      (g.base[0], g.base[1]) = (-0.0, .nan)
      LionKernel.update(parameters: p.view, gradients: g.view, momentum: m.view, step)
      #expect(p.values[0] == 1 && p.values[1].isNaN && p.values[2] == 1)
    }
  }

  @Test(arguments: lengths, [(false, false), (true, false), (false, true), (true, true)])
  func rmsPropFollowsTheAlgorithm(count: Int, kind: (isCentered: Bool, hasMomentum: Bool)) {
    let (p, v) = (Memory(initial(count)), Memory(count: count, of: 0))
    let (a, b) = (Memory(count: count, of: 0), Memory(count: count, of: 0))
    var (theta, square, average, buffer) = (p.values.doubles, v.values.doubles, a.values.doubles, b.values.doubles)
    let step = RMSPropKernel.Step(
      learningRate: 1e-3, alpha: 0.9, epsilon: 0.1, momentum: kind.hasMomentum ? 0.5 : 0, weightDecay: 0.1,
      gradientScale: 0.5)
    run(count) { _, gradients in
      RMSPropKernel.update(
        parameters: p.view, gradients: gradients.view,
        RMSPropKernel.State(
          squareAverage: v.view, gradientAverage: kind.isCentered ? a.view : nil,
          momentum: kind.hasMomentum ? b.view : nil), step)
      for i in 0..<count {
        let g = 0.5 * Double(gradients.values[i]) + 0.1 * theta[i]
        square[i] = 0.9 * square[i] + (1 - 0.9) * g * g
        average[i] = kind.isCentered ? 0.9 * average[i] + (1 - 0.9) * g : 0
        let update = g / ((square[i] - average[i] * average[i]).squareRoot() + 0.1)
        buffer[i] = kind.hasMomentum ? 0.5 * buffer[i] + update : 0
        theta[i] -= 1e-3 * (kind.hasMomentum ? buffer[i] : update)
      }
    }
    expectClose(p.values, theta, tolerance: Self.tolerance, scale: 1)
    for (actual, reference) in [(v, square), (a, average), (b, buffer)] {
      expectClose(actual.values, reference, tolerance: Self.averageTolerance, scale: 0.1)
      #expect(actual.isIntact)
    }
    #expect(p.isIntact)
  }

  /// A constant gradient has no variance; rounding must not make it negative.
  @Test func centredRMSPropHasNoNegativeVariance() {
    let step = RMSPropKernel.Step(
      learningRate: 1e-3, alpha: 0.5, epsilon: 1, momentum: 0, weightDecay: 0, gradientScale: 1)
    let count = 160
    var generator = TestGenerator(1)
    let g = Memory(generator.floats(count))
    let (p, v, a) = (Memory(count: count, of: 0), Memory(count: count, of: 0), Memory(count: count, of: 0))
    for _ in 0..<60 {
      RMSPropKernel.update(
        parameters: p.view, gradients: g.view,
        RMSPropKernel.State(squareAverage: v.view, gradientAverage: a.view, momentum: nil), step)
    }
    #expect(p.values.allSatisfy { $0.isFinite })
  }

  @Test(arguments: lengths, [(0.0, 1.0, false), (0.9, 1, false), (0.9, 0.75, false), (0.9, 1, true)])
  func sgdFollowsTheAlgorithm(count: Int, kind: (momentum: Double, share: Double, isNesterov: Bool)) {
    let (p, s) = (Memory(initial(count)), Memory(count: count, of: 0))
    var (theta, sum) = (p.values.doubles, s.values.doubles)
    run(count) { t, gradients in
      let share = t == 0 ? 1 : kind.share
      SGDKernel.update(
        parameters: p.view, gradients: gradients.view, runningSum: kind.momentum > 0 ? s.view : nil,
        SGDKernel.Step(
          learningRate: 1e-2, momentum: Float(kind.momentum), gradientShare: Float(share),
          isNesterov: kind.isNesterov, weightDecay: 0.1, gradientScale: 0.5))
      for i in 0..<count {
        let g = 0.5 * Double(gradients.values[i]) + 0.1 * theta[i]
        if kind.momentum > 0 { sum[i] = kind.momentum * sum[i] + share * g }
        theta[i] -= 1e-2 * (kind.momentum == 0 ? g : kind.isNesterov ? g + kind.momentum * sum[i] : sum[i])
      }
    }
    expectClose(p.values, theta, tolerance: Self.tolerance, scale: 1)
    expectClose(s.values, sum, tolerance: Self.tolerance, scale: 1)
    #expect(p.isIntact && s.isIntact)
  }
}
