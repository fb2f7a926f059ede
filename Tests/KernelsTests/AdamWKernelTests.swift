import AlignmentCore
import Foundation
import Kernels
import Testing

@Suite struct AdamWKernelTests {
  /// AdamW in Float64, one element at a time (arXiv 1711.05101, algorithm 2).
  struct Reference {
    var parameter = 0.0
    var first = 0.0
    var second = 0.0
    let rate: Double
    let beta1: Double
    let beta2: Double
    let epsilon: Double
    let decay: Double

    mutating func update(_ gradient: Double, t: Int) {
      first = beta1 * first + (1 - beta1) * gradient
      second = beta2 * second + (1 - beta2) * gradient * gradient
      parameter -= rate * decay * parameter
      let correction = (1 - pow(beta1, Double(t)), 1 - pow(beta2, Double(t)))
      parameter -= rate * (first / correction.0) / ((second / correction.1).squareRoot() + epsilon)
    }
  }

  private func step(_ r: Reference, t: Int, gradientScale: Float = 1) -> AdamWKernel.Step {
    AdamWKernel.Step(
      learningRate: Float(r.rate), beta1: r.beta1, beta2: r.beta2, epsilon: Float(r.epsilon),
      weightDecay: Float(r.decay), biasCorrection1: Float(1 - pow(r.beta1, Double(t))),
      biasCorrection2Root: Float((1 - pow(r.beta2, Double(t))).squareRoot()), gradientScale: gradientScale)
  }

  // Parameters near 1 and five updates of 10⁻² each, all in Float32.
  static let tolerance = 5e-7

  @Test(arguments: 0...40)
  func everyLengthFollowsTheAlgorithm(count: Int) {
    var generator = TestGenerator(count)
    let initial = generator.floats(count)
    let (p, m, v) = (Memory(initial), Memory(count: count, of: 0), Memory(count: count, of: 0))
    var references = initial.map {
      Reference(parameter: Double($0), rate: 1e-2, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1)
    }
    guard let first = references.first else { return }
    for t in 1...5 {
      let g = Memory(generator.floats(count))
      AdamWKernel.update(
        parameters: p.view, gradients: g.view, firstMoment: m.view, secondMoment: v.view,
        step(first, t: t, gradientScale: 0.5))
      for i in 0..<count { references[i].update(0.5 * Double(g.values[i]), t: t) }
      #expect(g.isIntact)
    }
    expectClose(p.values, references.map(\.parameter), tolerance: Self.tolerance, scale: 1)
    expectClose(m.values, references.map(\.first), tolerance: Self.tolerance, scale: 1)
    expectClose(v.values, references.map(\.second), tolerance: Self.momentTolerance, scale: 1)
    #expect(p.isIntact && m.isIntact && v.isIntact)
  }

  // 1 − β₂ in Float32 is off by 6·10⁻⁸ absolutely, so by 6·10⁻⁸ / (1 − β₂) of the second moment.
  static let momentTolerance = 6e-6

  @Test func anElementWithoutGradientOnlyDecays() {
    let reference = Reference(rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0.5)
    let (p, g) = (Memory(count: 19, of: 2), Memory(count: 19, of: 0))
    let (m, v) = (Memory(count: 19, of: 0), Memory(count: 19, of: 0))
    AdamWKernel.update(
      parameters: p.view, gradients: g.view, firstMoment: m.view, secondMoment: v.view, step(reference, t: 1))
    #expect(p.values.allSatisfy { $0 == 2 * (1 - 0.05) } && m.values == g.values && v.values == g.values)
  }
}
