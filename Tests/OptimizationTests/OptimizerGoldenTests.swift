import AlignmentCore
import JSON
import Optimization
import Testing

/// Several updates of small tensors, against torch.optim and transformers in Float64.
@Suite struct OptimizerGoldenTests {
  /// `optimizers.json`.
  private struct Golden {
    let arena: Arena
    let initial: [Float]
    let gradients: [[Float]]
    let cases: [JSONValue]

    init() throws {
      let file = try fixture("optimizers.json")
      let shapes = try #require(file["shapes"]?.arrayValue).map { $0.doubles.map { Int($0) } }
      arena = Arena(shapes.map { ($0, 0, true) })
      initial = try #require(file["initial"]).doubles.map { Float($0) }
      gradients = try #require(file["gradients"]?.arrayValue).map { $0.doubles.map { Float($0) } }
      cases = try #require(file["cases"]?.arrayValue)
      #expect(initial.count == arena.count && gradients.count == 6)
    }
  }

  // Parameters up to 6 in Float32: six roundings of at most 2.4·10⁻⁷, and errors of 10⁻⁶ relative to updates below 0.1.
  static let tolerance = 1e-6

  @Test func followsPyTorchAndTransformers() throws {
    let golden = try Golden()
    #expect(Set(golden.cases.compactMap { $0["optimizer"]?.stringValue }) == Set(OptimizerRegistry.all.map { $0.name }))
    for example in golden.cases {
      let method = try method(example)
      let optimizer = try method.make(
        shard: [0..<golden.arena.count], runs: golden.arena.runs, tensors: golden.arena.tensors)
      let parameters = try buffer(golden.initial)
      let group = GroupStep(
        learningRate: try #require(example["learning_rate"]?.doubleValue),
        weightDecay: try #require(example["weight_decay"]?.doubleValue), gradientScale: 1)
      let expected = try #require(example["parameters"]?.arrayValue)
      for (step, (gradient, reference)) in zip(golden.gradients, expected).enumerated() {
        let gradients = try buffer(gradient)
        optimizer.update(parameters: parameters.view, gradients: gradients.view, step: step, groups: [group])
        let errors = zip(parameters.values, reference.doubles).map { abs(Double($0) - $1) }
        try #require(errors.count == golden.arena.count)
        for (index, error) in errors.enumerated() where !(error <= Self.tolerance) {
          Issue.record("\(method.testDescription), step \(step), element \(index): error \(error)")
        }
      }
    }
  }

  private func method(_ example: JSONValue) throws -> Method {
    let options = try #require(example["options"]?.objectValue)
    var settings: [String: String] = [:]
    for (key, value) in options.members { settings[key.description] = value.stringValue }
    return Method(try #require(example["optimizer"]?.stringValue), settings)
  }
}

@Suite struct AdamWTests {
  // Six roundings of numbers near 10⁻².
  static let updateTolerance = 1e-6

  /// From zero without decay the first update is −rate · g / (|g| + ε), whatever the betas: the bias corrections cancel
  /// the factors 1 − β exactly, if both are computed to the same precision.
  @Test(arguments: [0.9, 0.99, 0.999, 0.999_9, 0.999_99])
  func theFirstUpdateDoesNotDependOnTheBetas(beta: Double) throws {
    let gradients: [Float] = [0.5, -3, 1e-3, 200, -0.02]
    let arena = Arena([([5], 0, true)])
    for (beta1, beta2) in [(0.9, beta), (beta, 0.95)] {
      let method = Method("adamw", ["beta1": "\(beta1)", "beta2": "\(beta2)"])
      let (parameters, input) = (try buffer(gradients.map { _ in 0 }), try buffer(gradients))
      try method.make(shard: [0..<5], runs: arena.runs, tensors: arena.tensors).update(
        parameters: parameters.view, gradients: input.view, step: 0,
        groups: [GroupStep(learningRate: 1e-2, weightDecay: 0, gradientScale: 1)])
      for (actual, gradient) in zip(parameters.values, gradients) {
        let expected = -1e-2 * Double(gradient) / (abs(Double(gradient)) + 1e-8)
        #expect(abs(Double(actual) / expected - 1) <= Self.updateTolerance, "betas \(beta1), \(beta2)")
      }
    }
  }
}

@Suite struct AdafactorTests {
  /// Rows and columns without any gradient must neither move nor spoil others, for ever.
  @Test func unusedRowsStayFinite() throws {
    let (rows, columns) = (37, 21)
    let arena = Arena([([rows, columns], 0, false)])
    let optimizer = try Method("adafactor").make(shard: [0..<arena.count], runs: arena.runs, tensors: arena.tensors)
    let parameters = try buffer(Array(repeating: 1, count: arena.count))
    let group = GroupStep(learningRate: 1e-3, weightDecay: 0, gradientScale: 1)
    for step in 0..<50 {
      var gradient = pseudoRandom(arena.count, seed: UInt64(step) + 5).map { $0 * 1e4 }
      for column in 0..<columns where step < 49 { gradient[3 * columns + column] = 0 }
      for row in 0..<rows { gradient[row * columns + 2] = 0 }
      let input = try buffer(gradient)
      optimizer.update(parameters: parameters.view, gradients: input.view, step: step, groups: [group])
      #expect(parameters.values.allSatisfy { $0.isFinite }, "step \(step)")
    }
    #expect((0..<rows).allSatisfy { parameters.view.base[$0 * columns + 2] == 1 })
    #expect(parameters.view.base[3 * columns] != 1)
  }

  // Each sum of n squares is off by less than n·10⁻¹⁶ relatively; the averages are rounded to Float32 once a step.
  static let momentTolerance = 2e-7

  @Test func averagesAreAccurate() throws {
    let (rows, columns) = (5_000, 50)
    let arena = Arena([([rows, columns], 0, false)])
    let optimizer = try Method("adafactor").make(shard: [0..<arena.count], runs: arena.runs, tensors: arena.tensors)
    let gradient = pseudoRandom(arena.count, seed: 7)
    let (parameters, input) = (try FloatBuffer(count: arena.count, purpose: "test"), try buffer(gradient))
    optimizer.update(
      parameters: parameters.view, gradients: input.view, step: 0,
      groups: [GroupStep(learningRate: 1e-3, weightDecay: 0, gradientScale: 1)])
    let squares = gradient.map { Double($0) * Double($0) }
    let (rowMoments, columnMoments) = (optimizer.replicatedState[0].view, optimizer.replicatedState[1].view)
    try #require(rowMoments.count == rows && columnMoments.count == columns)
    for row in 0..<rows {
      let expected = squares[row * columns..<(row + 1) * columns].reduce(0, +) / Double(columns)
      #expect(abs(Double(rowMoments.base[row]) / expected - 1) <= Self.momentTolerance)
    }
    for column in 0..<columns {
      let expected = (0..<rows).reduce(0.0) { $0 + squares[$1 * columns + column] } / Double(rows)
      #expect(abs(Double(columnMoments.base[column]) / expected - 1) <= Self.momentTolerance)
    }
  }
}
