import AlignmentCore
import JSON

/// The shape and constants of a decoder of the Llama family, as `config.json` gives them.
package struct ModelConfiguration: Sendable, Equatable {
  package var modelType = "llama"
  package var vocabularySize: Int
  package var hiddenSize: Int
  package var intermediateSize: Int
  package var layerCount: Int
  package var headCount: Int
  package var keyValueHeadCount: Int
  package var headDimension: Int
  package var contextLength: Int
  package var normEpsilon: Float
  package var rotary: RotaryConfiguration
  package var tiesEmbeddings: Bool
  /// Biases of the query, key and value projections.
  package var hasQueryKeyValueBias = false
  /// Bias of the attention's output projection.
  package var hasOutputBias = false
  /// Biases of the gate, up and down projections.
  package var hasFeedForwardBias = false
  /// Whether queries and keys are normalised per head before they are rotated (Qwen3).
  package var normalizesQueryKey = false
  /// For each layer, how many positions a query sees at most; `Int.max` is all.
  package var attentionWindows: [Int]
  /// For each layer, whether queries and keys are rotated (SmolLM3 leaves some out).
  package var rotatesLayers: [Bool]
  /// End-of-sequence ids: the first ends a training completion, any of them ends a sample.
  package var endOfSequence: [Int32] = []

  /// Floats of a token's queries, and of its keys or values.
  package var queryWidth: Int { headCount * headDimension }
  package var keyValueWidth: Int { keyValueHeadCount * headDimension }
  /// Floats of a token's queries, keys and values together.
  package var projectionWidth: Int { queryWidth + 2 * keyValueWidth }
}

/// Base and scaling of the rotary embedding.
package struct RotaryConfiguration: Sendable, Equatable {
  package enum Scaling: Sendable, Equatable {
    case none
    case linear(factor: Double)
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Double)
    case yarn(YarnScaling)
  }

  package var theta: Double
  package var scaling: Scaling
}

/// Parameters of YaRN (Peng et al. 2023, arXiv 2309.00071).
package struct YarnScaling: Sendable, Equatable {
  package var factor: Double
  package var originalContext: Double
  package var betaFast: Double
  package var betaSlow: Double
  package var truncates: Bool
  /// Factor on cosines and sines.
  package var attentionFactor: Double
}
