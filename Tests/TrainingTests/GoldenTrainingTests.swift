import AlignmentCore
import Collectives
import Foundation
import JSON
import Optimization
import Testing
import Training
import Transformer

/// Ten steps of preference training of the fixtures against PyTorch's in Float64, from the parts that a trainer is made of.
@Suite struct GoldenTrainingTests {
  // Ten AdamW steps in Float32; Adam divides small gradients by their own size, so their relative errors of 10⁻⁴ reach
  // the weights in full: 10⁻³ · 10⁻⁴ per step. The fixtures' own Float32 run is within 10⁻⁴.
  static let tolerance = 1e-4

  private struct Pairs {
    let unit: WorkUnit
    /// log π_ref of the chosen minus that of the rejected completion.
    let referenceMargins: [Double]
    let beta: Double

    init(_ expected: JSONValue) throws {
      let tokens = { (pair: JSONValue, key: ByteString) -> [Int32] in
        try #require(pair[key]?.arrayValue).map { Int32(try #require($0.intValue)) }
      }
      var unit = WorkUnit()
      for (index, pair) in try #require(expected["pairs"]?.arrayValue).enumerated() {
        try tokens(pair, "prompt").withUnsafeBufferPointer {
          unit.beginGroup(example: index, slot: index, prompt: $0)
        }
        for side: ByteString in ["chosen", "rejected"] {
          try tokens(pair, side).withUnsafeBufferPointer { unit.addCompletion($0) }
        }
      }
      self.unit = unit
      referenceMargins = try #require(expected["dpo"]?["reference_logps"]?.arrayValue).map {
        try $0.number("chosen") - $0.number("rejected")
      }
      beta = try #require(expected["dpo"]).number("beta")
    }
  }

  /// A step's loss and gradient norm before the update.
  private struct Step {
    let loss: Double
    let norm: Double
  }

  /// One rank's training: gradient, exact sum, clipping and update as in a step of the program.
  private final class Training {
    let fixture: ModelFixture
    let pairs: Pairs
    let golden: JSONValue
    let communicator: LocalCommunicator
    let sharding: Sharding
    let parameters: FloatBuffer
    private let gradients: FloatBuffer
    private let model: LanguageModel
    private let reduction: GradientReduction
    private let optimizer: AdamW
    private let group: GroupStep
    private let norms: GradientNorms
    private let maximum: Double

    init(_ fixture: ModelFixture, over communicator: LocalCommunicator) throws {
      self.fixture = fixture
      self.communicator = communicator
      pairs = try Pairs(fixture.expected)
      golden = try #require(fixture.expected["train"])
      let count = fixture.layout.count
      sharding = Sharding(count: count, ranks: communicator.size)
      parameters = try FloatBuffer(count: count, purpose: "test")
      gradients = try FloatBuffer(count: count, purpose: "test")
      try fixture.load(into: parameters.view)
      let unit = pairs.unit
      model = try LanguageModel(
        fixture.configuration,
        capacity: UnitCapacity(tokens: unit.tokens.count, predictions: unit.targets.count, sequence: 64),
        trained: TrainedParameters(all: fixture.layout))
      reduction = try GradientReduction(.exact, sharding, rank: communicator.rank)
      let betas = try #require(golden["betas"]?.arrayValue).compactMap(\.doubleValue)
      let options = ["beta1": "\(betas[0])", "beta2": "\(betas[1])", "epsilon": "\(try golden.number("eps"))"]
      group = GroupStep(
        learningRate: try golden.number("learning_rate"), weightDecay: try golden.number("weight_decay"),
        gradientScale: 1)
      maximum = try golden.number("max_grad_norm")
      let runs = [ParameterRun(range: 0..<count, group: 0, decays: true)]
      optimizer = try AdamW(
        options: OptimizerRegistry.options(options, for: AdamW.self), shard: sharding.shard(ofRank: communicator.rank),
        runs: runs, tensors: [TensorShape(range: 0..<count, shape: [count])])
      norms = GradientNorms(sharding, runs: runs)
    }

    func step(_ index: Int) throws -> Step {
      let loss = try reduceGradients()
      var squares = [Double](repeating: 0, count: norms.tableCount)
      let norm = squares.withUnsafeMutableBufferPointer {
        norms.sumSquares(of: gradients.view, rank: communicator.rank, into: $0)
        communicator.allReduce(.sum, $0)
        return norms.norm(from: UnsafeBufferPointer($0))
      }
      var step = group
      step.gradientScale = GradientClipping.scale(norm: norm, maximum: maximum)
      optimizer.update(parameters: parameters.view, gradients: gradients.view, step: index, groups: [step])
      try Ring.allGather(parameters.view.base, sharding, bucket: 0, over: BlockingLink(communicator))
      return Step(loss: loss, norm: norm)
    }

    /// Rank 0 has the one unit.
    private func reduceGradients() throws -> Double {
      let count = Double(pairs.referenceMargins.count)
      reduction.begin(scale: count, terms: 1)
      var loss = 0.0
      if communicator.rank == 0 {
        model.differentiate(pairs.unit, parameters: parameters.view, values: parameters.view, gradients: gradients.view)
        { group in
          let spans = group.completions.map { pairs.unit.completions[$0] }
          let margin = model.output(of: spans[0]) - model.output(of: spans[1])
          let x = pairs.beta * (margin - pairs.referenceMargins[group.slot])
          loss += log1p(exp(-x)) / count
          let derivative = Float(-pairs.beta / (1 + exp(x)))
          for row in spans[0].rows { model.tokenDerivatives.base[row] = derivative }
          for row in spans[1].rows { model.tokenDerivatives.base[row] = -derivative }
        }
        #expect(reduction.add(gradients.view))
      }
      try reduction.finish(normalizer: count, into: gradients.view, over: communicator)
      return try communicator.allReduce(.sum, loss)
    }
  }

  @Test(arguments: ["llama-gqa", "llama-biased"], [1, 3])
  func tenStepsFollowPyTorch(name: String, ranks: Int) throws {
    let fixture = try ModelFixture(name)
    let outcomes = try LocalCommunicator.run(ranks: ranks) { communicator in
      let training = try Training(fixture, over: communicator)
      let steps = try #require(training.golden["steps"]?.arrayValue)
      let results = try steps.indices.map { try training.step($0) }
      return (results, training.parameters)
    }
    let golden = try #require(fixture.expected["train"])
    let (results, parameters) = outcomes[ranks - 1]
    for (index, expected) in try #require(golden["steps"]?.arrayValue).enumerated() {
      #expect(abs(results[index].loss / (try expected.number("loss")) - 1) <= Self.tolerance, "step \(index)")
      #expect(abs(results[index].norm / (try expected.number("grad_norm")) - 1) <= Self.tolerance, "step \(index)")
    }
    for tensor in fixture.layout.tensors {
      let expected = try #require(golden["final_norms"]).number(ByteString(tensor.name))
      let norm = tensor.range.reduce(0.0) { $0 + Double(parameters.view.base[$1]) * Double(parameters.view.base[$1]) }
        .squareRoot()
      #expect(abs(norm / expected - 1) <= Self.tolerance, "\(tensor.name)")
    }
  }
}

extension JSONValue {
  /// The number under a key.
  func number(_ key: ByteString) throws -> Double { try #require(self[key]?.doubleValue) }
}
