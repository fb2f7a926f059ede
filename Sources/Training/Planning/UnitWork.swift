import AlignmentCore
import PreferenceData
import Transformer

/// What a model has to compute for a unit, counted in floating-point operations that no implementation with shared
/// prompts can avoid.
package struct UnitWork: Sendable, Equatable {
  package var tokens = 0
  package var predictions = 0
  /// Pairs of a token and a token that it attends to.
  package var pairs = 0

  package init(_ unit: WorkUnit) {
    tokens = unit.tokens.count
    predictions = unit.targets.count
    for group in unit.groups {
      pairs += group.promptLength * (group.promptLength + 1) / 2
      for index in group.completions {
        let own = unit.completions[index].inputCount
        pairs += own * group.promptLength + own * (own + 1) / 2
      }
    }
  }

  /// Operations of a forward pass.
  package func forward(_ c: ModelConfiguration, head: ModelHead) -> Double {
    let cost = WorkCost(c, head: head)
    return Double(tokens) * cost.perToken + Double(predictions) * cost.perPrediction
      + 4 * Double(pairs) * Double(c.queryWidth * c.layerCount)
  }

  /// Operations of forward and backward pass. Every product of the forward pass has one in the backward pass for the gradient of
  /// its input, and another for that of its matrix where the matrix is trained.
  package func training(_ c: ModelConfiguration, head: ModelHead, trained: TrainedParameters) -> Double {
    let all = ParameterLayout(c, head: head).count
    let share = trained.isComplete ? 1 : min(1, Double(trained.count) / Double(all))
    return forward(c, head: head) * (2 + share)
  }
}
