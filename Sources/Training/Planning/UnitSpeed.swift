import AlignmentCore
import Kernels
import Transformer

/// How fast units of a model are, relative to the machine that they are computed on.
package struct UnitSpeed: Sendable, Equatable {
  /// The shares of the rate of matrix products that training and scoring reach.
  package var training: Double
  package var scoring: Double
  /// The share of the memory's bandwidth at which a step of decoding reads the weights.
  package var decoding: Double
  /// What was measured.
  package var origin: String

  package init(training: Double, scoring: Double, decoding: Double, origin: String) {
    self.training = training
    self.scoring = scoring
    self.decoding = decoding
    self.origin = origin
  }
}

/// Times a real unit of an outlined run on this machine: a model of its shape with made-up weights, and with fewer layers where the
/// whole would take too long or too much memory.
struct UnitTiming {
  private let outline: RunOutline
  private let configuration: ModelConfiguration
  private let trained: TrainedParameters
  private let layout: ParameterLayout

  /// Operations of a unit that are few enough to be computed some times over.
  private static let mostOperations = 3e11
  private static let runs = 4

  /// - Returns: nil if even one layer is too much for this machine.
  init?(_ outline: RunOutline) throws {
    self.outline = outline
    let work = UnitWork(outline.unit)
    let fits = { (c: ModelConfiguration) throws -> TrainedParameters? in
      let layout = ParameterLayout(c, head: outline.head)
      let trained =
        try outline.configuration.lora.map {
          TrainedParameters(
            layout, adapters: try $0.specifications(for: layout),
            whole: Set(layout.tensors.filter(\.belongsToScalarHead).map(\.name)))
        } ?? TrainedParameters(all: layout)
      let bytes = 4 * (layout.count + 2 * trained.count)
      let isSmall = work.training(c, head: outline.head, trained: trained) <= Self.mostOperations
      return isSmall && bytes < ProcessMemory.available / 4 ? trained : nil
    }
    let whole = outline.source.configuration
    guard let (c, trained) = try Self.shortened(whole).lazy.compactMap({ c in try fits(c).map { (c, $0) } }).first
    else { return nil }
    (configuration, self.trained) = (c, trained)
    layout = ParameterLayout(c, head: outline.head)
  }

  /// The model itself, and with half as many layers, and so on.
  private static func shortened(_ whole: ModelConfiguration) -> [ModelConfiguration] {
    sequence(first: whole.layerCount) { $0 > 1 ? $0 / 2 : nil }.map { layers in
      var c = whole
      c.layerCount = layers
      c.attentionWindows = Array(c.attentionWindows.prefix(layers))
      c.rotatesLayers = Array(c.rotatesLayers.prefix(layers))
      return c
    }
  }

  /// Measures; products and memory are measured beside the unit, in turns.
  func run() throws -> UnitSpeed {
    let parameters = try FloatBuffer(count: layout.count, purpose: "measurement")
    Self.makeUp(parameters.view)
    let model = try trainedModel()
    let work = UnitWork(outline.unit)
    let (values, gradients) = (
      trained.isComplete ? parameters : try FloatBuffer(count: trained.count, purpose: "measurement"),
      try FloatBuffer(count: trained.count, purpose: "measurement")
    )
    let training = try Self.share(of: work.training(configuration, head: outline.head, trained: trained)) {
      model.differentiate(
        outline.unit, parameters: parameters.view, values: values.view, gradients: gradients.view
      ) { _ in derive(model) }
    }
    let scoring = try Self.share(of: work.forward(configuration, head: outline.head)) {
      model.score(outline.unit, parameters: parameters.view)
    }
    let layers = configuration.layerCount
    let isWhole = layers == outline.source.configuration.layerCount
    return UnitSpeed(
      training: training, scoring: scoring, decoding: try outline.sampling.map { try decoding($0) } ?? 1,
      origin: "a unit of \(work.tokens) tokens" + (isWhole ? "" : ", \(layers) layers of the model"))
  }

  private func trainedModel() throws -> LanguageModel {
    let run = outline.configuration
    let capacity = UnitCapacity(
      tokens: outline.unit.tokens.count, predictions: outline.unit.targets.count,
      sequence: outline.source.configuration.contextLength)
    return try LanguageModel(
      configuration, head: outline.head, capacity: capacity, trained: trained,
      detachesValues: run.policy?.detachesValues ?? false, entropyOrder: run.loss?.weighting?.entropyOrder,
      budget: run.memory)
  }

  /// A derivative for each output of the unit.
  private func derive(_ model: LanguageModel) {
    let rows = outline.unit.targets.count
    if outline.head != .score { for row in 0..<rows { model.tokenDerivatives.base[row] = -1 / Float(rows) } }
    if outline.head != .languageModel { for row in 0..<rows { model.scalarDerivatives.base[row] = 1 / Float(rows) } }
  }

  /// The share of the rate of products that some operations reach.
  private static func share(of operations: Double, _ body: () throws -> Void) throws -> Double {
    var (seconds, rate) = (Double.infinity, 0.0)
    try body()
    for _ in 0..<runs {
      rate = max(rate, BLAS.measureRate(runs: 4) * 1e9)
      seconds = min(seconds, try RateMeasurement.fastest(of: 1, body))
    }
    return operations / seconds / rate
  }

  /// The share of the memory's bandwidth at which decoding reads the weights.
  private func decoding(_ sampling: SamplingOutline) throws -> Double {
    let language = ParameterLayout(configuration)
    let parameters = try FloatBuffer(count: language.count, purpose: "measurement")
    Self.makeUp(parameters.view)
    let sampler = try Sampler(configuration, capacity: sampling.capacity)
    var settings = sampling.settings
    let longest = min(settings.maxNewTokens, 24)
    let time = { (tokens: Int) throws -> Double in
      settings.maxNewTokens = tokens
      return try RateMeasurement.fastest(of: 3) {
        _ = try sampler.draw(sampling.requests, parameters: parameters.view, settings)
      }
    }
    guard longest > 8 else { return 1 }
    let step = (try time(longest) - time(longest / 3)) / Double(longest - longest / 3)
    let bandwidth = try RateMeasurement.memoryBandwidth()
    return Double(4 * language.count) / max(step, 1e-9) / bandwidth
  }

  /// Numbers without meaning, but of the size of weights.
  private static func makeUp(_ parameters: FloatView) {
    var state: UInt32 = 1
    for index in 0..<parameters.count {
      state = state &* 1_664_525 &+ 1_013_904_223
      parameters.base[index] = Float(Int32(bitPattern: state)) * 0x1p-36
    }
  }
}
