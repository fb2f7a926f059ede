import AlignmentCore
import Testing
import Transformer

/// The parameters of a fixture under a head of one's choice, and what a loss on its outputs comes to.
///
/// The loss is Σ a·(log-probability of a row) + Σ b·(score or value of a row), with factors that depend on the row.
final class HeadFixture {
  let configuration: ModelConfiguration
  let layout: ParameterLayout
  let head: ModelHead
  let parameters: FloatBuffer

  init(_ fixture: ModelFixture, _ head: ModelHead) throws {
    configuration = fixture.configuration
    self.head = head
    layout = ParameterLayout(configuration, head: head)
    parameters = try FloatBuffer(count: layout.count, purpose: "test")
    var generator = TestGenerator(11)
    for tensor in layout.tensors {
      let own = fixture.layout.tensors.first { $0.name == tensor.name }
      for i in 0..<tensor.range.count {
        parameters.view[tensor.range].base[i] =
          own.map { fixture.parameters.view[$0.range].base[i] } ?? Float(generator.uniform(-0.4, 0.4))
      }
    }
  }

  /// Factor of a row's log-probability; without sign of the others, so that no gradient cancels.
  static func tokenFactor(_ row: Int) -> Double { [0.25, -0.15, 0.2, -0.1, 0.15][row % 5] }
  /// Factor of a row's score or value.
  static func scalarFactor(_ row: Int) -> Double { [0.6, -0.35, 0.5, 0.3][row % 4] }

  /// The loss at some weights.
  func loss(_ model: LanguageModel, _ unit: WorkUnit, _ weights: FloatView) -> Double {
    model.score(unit, parameters: weights)
    return unit.targets.indices.reduce(0.0) { sum, row in
      var sum = sum
      if head != .score { sum += Self.tokenFactor(row) * model.tokenLogProbabilities[row] }
      if head != .languageModel { sum += Self.scalarFactor(row) * model.scalars[row] }
      return sum
    }
  }

  /// The gradient of the loss with respect to trained parameters, each element once written; what lies behind the arena
  /// must stay as it is.
  func gradient(
    _ unit: WorkUnit, _ trained: TrainedParameters, weights: FloatView, values: FloatView, detachesValues: Bool = false,
    scalarFactor: Double = 1
  ) throws -> [Double] {
    let model = try LanguageModel(
      configuration, head: head, capacity: UnitCapacity([unit]), trained: trained, detachesValues: detachesValues)
    let behind = 4_096
    let arena = try FloatBuffer(count: trained.count + behind, purpose: "test")
    for i in 0..<arena.count { arena.view.base[i] = .nan }
    for i in trained.count..<arena.count { arena.view.base[i] = 7 }
    model.differentiate(unit, parameters: weights, values: values, gradients: arena.view[0..<trained.count]) { group in
      for completion in group.completions.map({ unit.completions[$0] }) {
        for row in completion.rows {
          if head != .score { model.tokenDerivatives.base[row] = Float(Self.tokenFactor(row)) }
          if head != .languageModel { model.scalarDerivatives.base[row] = Float(scalarFactor * Self.scalarFactor(row)) }
        }
      }
    }
    #expect((trained.count..<arena.count).allSatisfy { arena.view.base[$0] == 7 })
    return (0..<trained.count).map { Double(arena.view.base[$0]) }
  }

  /// Prompts with two completions each, as this head reads them.
  func unit(_ fixture: ModelFixture) -> WorkUnit {
    let groups = fixture.pairs.map { (prompt: $0.prompt, completions: [$0.chosen, $0.rejected]) }
    return head == .score ? WorkUnit(scored: groups) : WorkUnit(groups)
  }
}

extension WorkUnit {
  /// Groups whose completions are scored as a whole.
  init(scored groups: [(prompt: [Int32], completions: [[Int32]])]) {
    self.init()
    for (index, group) in groups.enumerated() {
      group.prompt.withUnsafeBufferPointer { beginGroup(example: index, slot: index, prompt: $0) }
      for completion in group.completions { completion.withUnsafeBufferPointer { addScoredCompletion($0) } }
    }
  }
}

/// A check of a gradient against differences of the loss in the largest elements of each tensor and one in the middle.
struct CentralDifferences {
  // As in DerivativeTests: 5·10⁻⁴ of noise beside gradients whose largest elements are between 0.1 and 10.
  static let tolerance = 2e-3
  static let step = 1e-2

  /// - Parameters:
  ///   - gradient: of all values.
  ///   - loss: at the present values.
  static func check(
    _ gradient: [Double], _ tensors: [TensorSpecification], _ values: FloatView, loss: () -> Double
  ) {
    for tensor in tensors {
      let order = tensor.range.sorted { abs(gradient[$0]) > abs(gradient[$1]) }
      let scale = abs(gradient[order[0]])
      for index in Set([order[0], order[min(1, order.count - 1)], order[order.count / 2]]) {
        let value = values.base[index]
        let losses = [1, -1, 2, -2].map { (steps: Float) -> Double in
          values.base[index] = value + steps * Float(step)
          return loss()
        }
        values.base[index] = value
        let slope = (8 * (losses[0] - losses[1]) - (losses[2] - losses[3])) / (12 * step)
        let error = abs(slope - gradient[index])
        #expect(error <= tolerance * max(scale, 0.2), "\(tensor.name)[\(index - tensor.range.lowerBound)]")
      }
    }
  }
}
