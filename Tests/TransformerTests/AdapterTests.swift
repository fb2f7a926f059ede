import AlignmentCore
import Testing
import Transformer

/// Low-rank adapters: W + s·B·A.
@Suite struct AdapterTests {
  // Sums of up to 60 products in Float32, relative to the largest element of a tensor.
  static let rounding = 2e-5

  /// Which tensors have adapters, and which are trained whole.
  struct Choice: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var suffixes: [String]
    var whole: [String] = []
    var rank = 3

    func isAdapted(_ tensor: TensorSpecification) -> Bool { suffixes.contains { tensor.name.hasSuffix($0) } }

    func trained(_ layout: ParameterLayout) -> TrainedParameters {
      TrainedParameters(
        layout,
        adapters: layout.tensors.filter(isAdapted).map {
          AdapterSpecification(tensor: $0.name, rank: rank, scale: 1.5)
        },
        whole: Set(layout.tensors.map(\.name).filter { name in whole.contains { name.hasSuffix($0) } }))
    }
  }

  static let choices = [
    Choice(testDescription: "all linear", suffixes: ["_proj.weight"]),
    Choice(testDescription: "query and value", suffixes: ["q_proj.weight", "v_proj.weight"], rank: 1),
    Choice(testDescription: "key alone", suffixes: ["k_proj.weight"]),
    Choice(testDescription: "up alone", suffixes: ["up_proj.weight"], rank: 2),
    Choice(
      testDescription: "one layer", suffixes: ["layers.1.mlp.down_proj.weight", "layers.0.self_attn.o_proj.weight"]),
    Choice(testDescription: "rank above the matrix", suffixes: ["gate_proj.weight", "k_proj.weight"], rank: 70),
    Choice(
      testDescription: "whole tensors", suffixes: ["q_proj.weight", "gate_proj.weight"],
      whole: ["norm.weight", "embed_tokens.weight", "lm_head.weight", "score.weight", "v_head.weight", "v_head.bias"]),
    Choice(
      testDescription: "parts of fused products", suffixes: ["v_proj.weight", "up_proj.weight"],
      whole: ["q_proj.weight", "k_proj.bias", "gate_proj.weight", "gate_proj.bias", "q_norm.weight"]),
  ]

  /// A fixture with adapters that are not zero.
  private struct Setup {
    let fixture: HeadFixture
    let unit: WorkUnit
    let trained: TrainedParameters
    let values: FloatBuffer
    let merged: FloatBuffer

    init(_ name: String, _ head: ModelHead, _ choice: Choice) throws {
      let model = try ModelFixture(name)
      fixture = try HeadFixture(model, head)
      unit = fixture.unit(model)
      trained = choice.trained(fixture.layout)
      values = try FloatBuffer(count: trained.count, purpose: "test")
      merged = try FloatBuffer(count: fixture.layout.count, purpose: "test")
      var generator = TestGenerator(3)
      for i in 0..<values.count { values.view.base[i] = Float(generator.uniform(-0.2, 0.2)) }
      for i in 0..<merged.count { merged.view.base[i] = fixture.parameters.view.base[i] }
      merge()
    }

    func merge() { trained.merge(values.view, base: fixture.parameters.view, into: merged.view) }

    func tensor(_ name: String) throws -> TensorSpecification {
      try #require(trained.tensors.first { $0.name == name })
    }

    func value(_ tensor: TensorSpecification, _ row: Int, _ column: Int) -> Double {
      Double(values.view[tensor.range].base[row * tensor.shape[1] + column])
    }
  }

  @Test(arguments: ["llama-gqa", "llama-biased", "qwen3", "mistral"], choices)
  func gradientsAreProjections(name: String, choice: Choice) throws {
    for head in [ModelHead.languageModel, .score, .languageModelWithValue] {
      let setup = try Setup(name, head, choice)
      let (fixture, trained) = (setup.fixture, setup.trained)
      let found = try fixture.gradient(setup.unit, trained, weights: setup.merged.view, values: setup.values.view)
      let full = try fixture.gradient(
        setup.unit, TrainedParameters(all: fixture.layout), weights: setup.merged.view, values: setup.merged.view)
      #expect(found.allSatisfy { $0.isFinite })
      for tensor in fixture.layout.tensors {
        let gradient = Array(full[tensor.range])
        if choice.isAdapted(tensor) {
          try expectProjection(of: gradient, tensor, setup, found)
        } else if let whole = trained.tensors.first(where: { $0.name == tensor.name }) {
          expectEqual(found[whole.range], gradient, tensor.name)
        }
      }
    }
  }

  /// dA = s·Bᵀ·dW, dB = s·dW·Aᵀ
  private func expectProjection(
    of gradient: [Double], _ tensor: TensorSpecification, _ setup: Setup, _ found: [Double]
  ) throws {
    let (a, b) = (try setup.tensor("\(tensor.name).lora_A"), try setup.tensor("\(tensor.name).lora_B"))
    let (outputs, inputs, rank) = (tensor.shape[0], tensor.shape[1], a.shape[0])
    var (dA, dB) = ([Double](repeating: 0, count: rank * inputs), [Double](repeating: 0, count: outputs * rank))
    for row in 0..<outputs {
      for column in 0..<inputs {
        for r in 0..<rank {
          dA[r * inputs + column] += 1.5 * setup.value(b, row, r) * gradient[row * inputs + column]
          dB[row * rank + r] += 1.5 * gradient[row * inputs + column] * setup.value(a, r, column)
        }
      }
    }
    expectEqual(found[a.range], dA, a.name)
    expectEqual(found[b.range], dB, b.name)
  }

  private func expectEqual(_ found: ArraySlice<Double>, _ expected: [Double], _ name: String) {
    let scale = expected.reduce(0) { max($0, abs($1)) }
    let error = zip(found, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
    #expect(found.count == expected.count && error <= Self.rounding * scale, "\(name): \(error) of \(scale)")
  }

  @Test(arguments: ["llama-biased", "qwen3"], [ModelHead.languageModel, .score])
  func gradientsAreDerivatives(name: String, head: ModelHead) throws {
    let setup = try Setup(name, head, Self.choices[0])
    let (fixture, unit) = (setup.fixture, setup.unit)
    let gradient = try fixture.gradient(unit, setup.trained, weights: setup.merged.view, values: setup.values.view)
    let scorer = try LanguageModel(fixture.configuration, head: head, capacity: UnitCapacity([unit]), trained: nil)
    let tensors = setup.trained.tensors.enumerated().filter { $0.offset % 3 == 0 }.map(\.element)
    CentralDifferences.check(gradient, tensors, setup.values.view) {
      setup.merge()
      return fixture.loss(scorer, unit, setup.merged.view)
    }
  }

  // Rounded once in the product's sum of three and once in the addition.
  static let mergeTolerance = 4e-7

  @Test(arguments: choices)
  func mergingAddsTheProduct(choice: Choice) throws {
    let setup = try Setup("llama-biased", .languageModelWithValue, choice)
    for tensor in setup.fixture.layout.tensors {
      let (base, merged) = (setup.fixture.parameters.view[tensor.range], setup.merged.view[tensor.range])
      if choice.isAdapted(tensor) {
        let (a, b) = (try setup.tensor("\(tensor.name).lora_A"), try setup.tensor("\(tensor.name).lora_B"))
        for row in 0..<tensor.shape[0] {
          for column in 0..<tensor.shape[1] {
            let index = row * tensor.shape[1] + column
            let product = (0..<choice.rank).reduce(0) { $0 + setup.value(b, row, $1) * setup.value(a, $1, column) }
            let expected = Double(base.base[index]) + 1.5 * product
            #expect(abs(Double(merged.base[index]) - expected) <= Self.mergeTolerance * max(1, abs(expected)))
          }
        }
      } else {
        let source = setup.trained.tensors.first { $0.name == tensor.name }.map { setup.values.view[$0.range] } ?? base
        #expect((0..<merged.count).allSatisfy { merged.base[$0] == source.base[$0] }, "\(tensor.name)")
      }
    }
  }

  @Test(arguments: ["llama-gqa", "qwen3"])
  func anAdapterWithoutBChangesNothing(name: String) throws {
    let setup = try Setup(name, .languageModel, Self.choices[0])
    for adapter in setup.trained.adapters {
      for i in adapter.b { setup.values.view.base[i] = 0 }
    }
    setup.merge()
    let base = setup.fixture.parameters.view
    #expect((0..<base.count).allSatisfy { setup.merged.view.base[$0] == base.base[$0] })
  }

  // Merging starts from the base each time: nothing adds up.
  @Test func mergingTwiceIsMergingOnce() throws {
    let setup = try Setup("mistral", .score, Self.choices[0])
    let once = (0..<setup.merged.count).map { setup.merged.view.base[$0] }
    setup.merge()
    #expect(once == (0..<setup.merged.count).map { setup.merged.view.base[$0] })
  }

  @Test(arguments: choices)
  func theArenaHoldsWhatIsTrainedAndNothingElse(choice: Choice) throws {
    let layout = ParameterLayout(try ModelFixture("llama-biased").configuration, head: .languageModelWithValue)
    let trained = choice.trained(layout)
    var (end, expected) = (0, [String: [Int]]())
    for tensor in trained.tensors {
      #expect(tensor.range.lowerBound == end && tensor.range.count == tensor.shape.reduce(1, *), "\(tensor.name)")
      end = tensor.range.upperBound
    }
    #expect(end == trained.count && !trained.isComplete)
    for tensor in layout.tensors where choice.isAdapted(tensor) {
      expected["\(tensor.name).lora_A"] = [choice.rank, tensor.shape[1]]
      expected["\(tensor.name).lora_B"] = [tensor.shape[0], choice.rank]
    }
    for tensor in layout.tensors where choice.whole.contains(where: tensor.name.hasSuffix) {
      expected[tensor.name] = tensor.shape
    }
    #expect(trained.tensors.count == expected.count)
    #expect(trained.tensors.allSatisfy { expected[$0.name] == $0.shape })
  }

  @Test(arguments: [ModelHead.languageModel, .score, .languageModelWithValue])
  func allParametersAreTheModelsArena(head: ModelHead) throws {
    let layout = ParameterLayout(try ModelFixture("llama-gqa").configuration, head: head)
    let trained = TrainedParameters(all: layout)
    #expect(trained.isComplete && trained.tensors == layout.tensors && trained.count == layout.count)
    #expect(trained.adapters.isEmpty)
    let heads = layout.tensors.filter(\.belongsToScalarHead).map(\.name)
    let names: [ModelHead: [String]] = [
      .score: ["score.weight"], .languageModelWithValue: ["v_head.weight", "v_head.bias"],
    ]
    #expect(heads == names[head] ?? [])
    #expect(layout.isScoring == (head == .score))
  }
}
