import AlignmentCore
import JSON
import Transformer

/// A small training unit that is the same on every machine: four layers 256 wide, four prompts of 48 tokens with two completions of 40.
struct StandardUnit {
  private let configuration: ModelConfiguration
  private let unit: WorkUnit

  init() throws {
    let integers: [(ByteString, Int64)] = [
      ("vocab_size", 4096), ("hidden_size", 256), ("intermediate_size", 768), ("num_hidden_layers", 4),
      ("num_attention_heads", 4), ("num_key_value_heads", 4), ("max_position_embeddings", 128), ("eos_token_id", 0),
    ]
    let json = JSONValue.record(
      [
        ("model_type", .string("llama")), ("hidden_act", .string("silu")), ("rms_norm_eps", .double(1e-5)),
        ("tie_word_embeddings", .bool(true)),
      ] + integers.map { ($0.0, .integer($0.1)) })
    configuration = try ModelConfiguration(json: json, path: "the standard unit")
    var unit = WorkUnit()
    let tokens = { (count: Int, first: Int) in (0..<count).map { Int32((first * 97 + $0 * 31) % 4096) } }
    for group in 0..<4 {
      tokens(48, group).withUnsafeBufferPointer { unit.beginGroup(example: group, slot: group, prompt: $0) }
      for completion in 1...2 { tokens(40, group + 7 * completion).withUnsafeBufferPointer { unit.addCompletion($0) } }
    }
    self.unit = unit
  }

  /// Operations a second of forward and backward pass: the best of several runs.
  func rate() throws -> Double {
    let trained = TrainedParameters(all: ParameterLayout(configuration))
    let capacity = UnitCapacity(tokens: unit.tokens.count, predictions: unit.targets.count, sequence: 128)
    let model = try LanguageModel(configuration, capacity: capacity, trained: trained)
    let parameters = try FloatBuffer(count: trained.count, purpose: "measurement")
    let gradients = try FloatBuffer(count: trained.count, purpose: "measurement")
    for index in 0..<parameters.count { parameters.view.base[index] = Float(index % 13 - 6) * 0.01 }
    let seconds = RateMeasurement.fastest(of: 6) {
      model.differentiate(unit, parameters: parameters.view, values: parameters.view, gradients: gradients.view) { _ in
        for row in 0..<unit.targets.count { model.tokenDerivatives.base[row] = -0.01 }
      }
    }
    return UnitWork(unit).training(configuration, head: .languageModel, trained: trained) / seconds
  }
}
