import AlignmentCore
import Foundation
import JSON
import Optimization
import Testing

/// A buffer with the given values.
func buffer(_ values: [Float]) throws -> FloatBuffer {
  let buffer = try FloatBuffer(count: values.count, purpose: "test")
  for (index, value) in values.enumerated() { buffer.view.base[index] = value }
  return buffer
}

extension FloatBuffer {
  var values: [Float] { Array(UnsafeBufferPointer(start: view.base, count: count)) }
}

/// Floats between −1 and 1 that owe nothing to the code under test.
func pseudoRandom(_ count: Int, seed: UInt64) -> [Float] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int64(bitPattern: state) >> 40) * 0x1p-23
  }
}

@Suite struct AdamWTests {
  static let settings = AdamW.Settings(learningRate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1)

  // Parameters up to 3 in Float32, five updates of 10⁻² each: five roundings of 2·10⁻⁷ and, from the moments, 10⁻⁶ of
  // the updates.
  static let goldenTolerance = 1e-6

  @Test func followsPyTorch() throws {
    let golden = try fixture("adamw.json")
    let betas = try #require(golden["betas"]).doubles
    let settings = AdamW.Settings(
      learningRate: try #require(golden["learning_rate"]?.doubleValue), beta1: betas[0], beta2: betas[1],
      epsilon: try #require(golden["eps"]?.doubleValue), weightDecay: try #require(golden["weight_decay"]?.doubleValue))
    let initial = try #require(golden["initial"]).doubles
    let parameters = try buffer(initial.map { Float($0) })
    let optimizer = try AdamW(settings, shard: 0..<initial.count, decaying: [0..<initial.count])
    let steps = zip(try #require(golden["gradients"]?.arrayValue), try #require(golden["parameters"]?.arrayValue))
    for (step, (gradient, expected)) in steps.enumerated() {
      let gradients = try buffer(gradient.doubles.map { Float($0) })
      optimizer.update(
        parameters: parameters.view, gradients: gradients.view, step: step, rateFactor: 1, gradientScale: 1)
      for (index, (actual, reference)) in zip(parameters.values, expected.doubles).enumerated() {
        #expect(abs(Double(actual) - reference) <= Self.goldenTolerance, "step \(step), element \(index)")
      }
    }
  }

  // Six roundings of numbers near 10⁻².
  static let updateTolerance = 1e-6

  /// From zero without decay the first update is −rate · g / (|g| + ε), whatever the betas: the bias corrections cancel
  /// the factors 1 − β exactly, if both are computed to the same precision.
  @Test(arguments: [0.9, 0.99, 0.999, 0.999_9, 0.999_99])
  func theFirstUpdateDoesNotDependOnTheBetas(beta: Double) throws {
    let gradients: [Float] = [0.5, -3, 1e-3, 200, -0.02]
    for (beta1, beta2) in [(0.9, beta), (beta, 0.95)] {
      let settings = AdamW.Settings(learningRate: 1e-2, beta1: beta1, beta2: beta2, epsilon: 1e-8, weightDecay: 0)
      let (parameters, input) = (try buffer(gradients.map { _ in 0 }), try buffer(gradients))
      try AdamW(settings, shard: 0..<5, decaying: []).update(
        parameters: parameters.view, gradients: input.view, step: 0, rateFactor: 1, gradientScale: 1)
      for (actual, gradient) in zip(parameters.values, gradients) {
        let expected = -1e-2 * Double(gradient) / (abs(Double(gradient)) + 1e-8)
        #expect(abs(Double(actual) / expected - 1) <= Self.updateTolerance, "betas \(beta1), \(beta2)")
      }
    }
  }

  /// Runs three steps over an arena cut into shards, some of whose parameters decay.
  private func train(shards: Int, count: Int, decaying: [Range<Int>]) throws -> (parameters: [Float], moments: [Float])
  {
    let sharding = Sharding(count: count, ranks: shards)
    let parameters = try buffer(pseudoRandom(count, seed: 1))
    let optimizers = try (0..<shards).map {
      try AdamW(Self.settings, shard: sharding.range(ofRank: $0), decaying: decaying)
    }
    for step in 0..<3 {
      let gradients = try buffer(pseudoRandom(count, seed: UInt64(step) + 2))
      for optimizer in optimizers {
        optimizer.update(
          parameters: parameters.view, gradients: gradients.view, step: step, rateFactor: 0.5 + 0.25 * Double(step),
          gradientScale: 0.7)
      }
    }
    let moments = [\AdamW.firstMoment, \AdamW.secondMoment].flatMap { path in
      optimizers.flatMap { Array(UnsafeBufferPointer(start: $0[keyPath: path].base, count: $0[keyPath: path].count)) }
    }
    return (parameters.values, moments)
  }

  // Ranges that end inside, at and beyond the borders of blocks and vectors.
  static let count = 4 * Sharding.blockSize + 777
  static let decaying = [
    5..<100, 101..<20_003, 30_000..<Sharding.blockSize * 3, Sharding.blockSize * 3 + 1..<count - 9,
  ]

  @Test(arguments: 1...7)
  func shardsGiveTheSameBitsAsOneArena(shards: Int) throws {
    let whole = try train(shards: 1, count: Self.count, decaying: Self.decaying)
    let sharded = try train(shards: shards, count: Self.count, decaying: Self.decaying)
    #expect(sharded.parameters == whole.parameters && sharded.moments == whole.moments)
  }

  @Test(arguments: [1, 3])
  func onlyTheGivenRangesDecay(shards: Int) throws {
    let sharding = Sharding(count: Self.count, ranks: shards)
    let parameters = try buffer(Array(repeating: 2, count: Self.count))
    let gradients = try FloatBuffer(count: Self.count, purpose: "test")
    for rank in 0..<shards {
      try AdamW(Self.settings, shard: sharding.range(ofRank: rank), decaying: Self.decaying).update(
        parameters: parameters.view, gradients: gradients.view, step: 0, rateFactor: 1, gradientScale: 1)
    }
    let decayed: Float = 2 * (1 - 1e-2 * 0.1)
    for (index, value) in parameters.values.enumerated() where value != 2 || Self.decays(index) {
      try #require(value == decayed && Self.decays(index), "element \(index) is \(value)")
    }
  }

  private static func decays(_ index: Int) -> Bool { decaying.contains { $0.contains(index) } }

  @Test func theRateFactorScalesUpdateAndDecay() throws {
    let parameters = try buffer([1, 1])
    let settings = AdamW.Settings(learningRate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.5)
    let optimizer = try AdamW(settings, shard: 0..<2, decaying: [0..<1])
    let gradients = try buffer([1, -1])
    optimizer.update(parameters: parameters.view, gradients: gradients.view, step: 0, rateFactor: 0, gradientScale: 1)
    #expect(parameters.values == [1, 1] && optimizer.firstMoment.base[0] > 0)
  }
}

@Suite struct GradientClippingTests {
  @Test(
    arguments: [
      (0.5, 1.0, 1.0), (1, 1, 1 / 1.000001), (4, 1, 1 / 4.000001), (4, 0, 1), (0, 1, 1), (1e30, 2, 2e-30),
    ] as [(Double, Double, Double)])
  func scaleBringsTheNormDown(norm: Double, maximum: Double, expected: Double) {
    #expect(abs(GradientClipping.scale(norm: norm, maximum: maximum) / expected - 1) < 1e-15)
  }

  @Test(arguments: 1...7)
  func theTablesOfAllRanksAddUpToTheSameBits(ranks: Int) throws {
    let count = 5 * Sharding.blockSize + 99
    let values = pseudoRandom(count, seed: 9)
    let gradients = try buffer(values)
    let sharding = Sharding(count: count, ranks: ranks)
    var sum = [Double](repeating: 0, count: sharding.blockCount)
    for rank in 0..<ranks {
      var table = [Double](repeating: .nan, count: sharding.blockCount)
      table.withUnsafeMutableBufferPointer {
        GradientClipping.sumSquares(of: gradients.view, sharding, rank: rank, into: $0)
      }
      let own = sharding.blocks(ofRank: rank)
      for (block, value) in table.enumerated() { #expect(own.contains(block) ? value > 0 : value == 0) }
      sum = zip(sum, table).map { $0 + $1 }
    }
    for block in 0..<sharding.blockCount {
      let exact = values[sharding.range(ofBlock: block)].reduce(0.0) { $0 + Double($1) * Double($1) }
      // Sums of 2¹⁴ exact squares in Float64.
      #expect(abs(sum[block] / exact - 1) < 1e-12)
    }
    var whole = [Double](repeating: 0, count: sharding.blockCount)
    whole.withUnsafeMutableBufferPointer {
      GradientClipping.sumSquares(of: gradients.view, Sharding(count: count, ranks: 1), rank: 0, into: $0)
    }
    #expect(sum == whole)
  }
}
