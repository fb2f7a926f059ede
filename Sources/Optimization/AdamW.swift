import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2) on one rank's shard of the arenas.
package final class AdamW {
  package struct Settings: Sendable, Equatable {
    package var learningRate: Double
    package var beta1: Double
    package var beta2: Double
    package var epsilon: Double
    package var weightDecay: Double

    package init(learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double) {
      self.learningRate = learningRate
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
    }
  }

  package let settings: Settings
  /// The shard's range in the arena of all parameters.
  package let shard: Range<Int>
  private let moments: FloatBuffer
  /// Runs of the shard (in arena coordinates) and whether they decay.
  private let runs: [(range: Range<Int>, decays: Bool)]

  /// - Parameters:
  ///   - decaying: ranges of the arena whose parameters decay, ascending and disjoint.
  package init(_ settings: Settings, shard: Range<Int>, decaying: [Range<Int>]) throws {
    self.settings = settings
    self.shard = shard
    moments = try FloatBuffer(count: 2 * shard.count, purpose: "optimiser moments")
    runs = Self.runs(of: shard, decaying: decaying)
  }

  /// Exponential averages of the gradient and of its square, over the shard.
  package var firstMoment: FloatView { moments.view[0..<shard.count] }
  package var secondMoment: FloatView { moments.view[shard.count..<2 * shard.count] }

  /// Updates the shard of the parameters in place.
  ///
  /// - Parameters:
  ///   - step: counted from 0.
  ///   - rateFactor: the schedule's factor on the learning rate.
  ///   - gradientScale: factor on the gradients, for clipping.
  package func update(
    parameters: FloatView, gradients: FloatView, step: Int, rateFactor: Double, gradientScale: Double
  ) {
    for run in runs {
      let local = run.range.lowerBound - shard.lowerBound..<run.range.upperBound - shard.lowerBound
      AdamWKernel.update(
        parameters: parameters[run.range], gradients: gradients[run.range], firstMoment: firstMoment[local],
        secondMoment: secondMoment[local],
        AdamWKernel.Step(
          learningRate: Float(settings.learningRate * rateFactor), beta1: settings.beta1,
          beta2: settings.beta2, epsilon: Float(settings.epsilon),
          weightDecay: run.decays ? Float(settings.weightDecay) : 0,
          biasCorrection1: Float(1 - pow(settings.beta1, Double(step + 1))),
          biasCorrection2Root: Float((1 - pow(settings.beta2, Double(step + 1))).squareRoot()),
          gradientScale: Float(gradientScale)))
    }
  }

  private static func runs(of shard: Range<Int>, decaying: [Range<Int>]) -> [(range: Range<Int>, decays: Bool)] {
    var runs: [(range: Range<Int>, decays: Bool)] = []
    var position = shard.lowerBound
    for range in decaying.map({ $0.clamped(to: shard) }) where !range.isEmpty {
      if position < range.lowerBound { runs.append((position..<range.lowerBound, false)) }
      runs.append((range, true))
      position = range.upperBound
    }
    if position < shard.upperBound { runs.append((position..<shard.upperBound, false)) }
    return runs
  }
}
