import Adaptation
import AlignmentCore
import Collectives
import Kernels
import PreferenceData
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// What a frozen policy says of responses, computed by all ranks: log-probabilities, and features that tell domains apart.
///
/// Features are the principal components of hidden states (mean over the response beside the last one), the mean
/// log-probability and entropy of a token, the logarithm of the length, and the number of line breaks.
package struct FeaturePass {
  /// Responses of a domain.
  package struct Responses {
    package let dataset: TokenizedDataset
    /// Line breaks in each response.
    package let newlines: [Int]

    package init(dataset: TokenizedDataset, newlines: [Int]) {
      self.dataset = dataset
      self.newlines = newlines
    }
  }

  /// What is found of a domain's responses, the same on every rank.
  package struct Findings: Sendable, Equatable {
    /// Log-probability of each response, in nats.
    package var logProbabilities: [Double]
    /// Responses × names, row-major.
    package var features: [Float]
  }

  /// Responses, spread evenly over all, that principal components are fitted on: enough for some dozens of them.
  static let fittedResponses = 4096

  private let model: LanguageModel
  private let parameters: FloatBuffer
  private let domains: [Responses]
  private let unitTokens: Int
  /// Most principal components.
  private let components: Int
  private let communicator: any Communicator

  /// Allocates a model with room for every unit of the domains.
  ///
  /// - Parameters:
  ///   - parameters: of a language model of this configuration.
  ///   - components: most principal components.
  package init(
    _ domains: [Responses], _ configuration: ModelConfiguration, parameters: FloatBuffer, unitTokens: Int,
    components: Int, over communicator: any Communicator
  ) throws {
    let capacity = UnitCapacity(unitTokens: unitTokens, datasets: domains.map(\.dataset))
    model = try LanguageModel(configuration, capacity: capacity, trained: nil, entropyOrder: .one)
    self.parameters = parameters
    self.domains = domains
    self.unitTokens = unitTokens
    self.components = components
    self.communicator = communicator
  }

  /// The features of the domains, in their order, with the names of the features.
  package func run() throws -> (names: [String], findings: [Findings]) {
    let total = domains.reduce(0) { $0 + $1.dataset.totalCompletions }
    let own = try visit(total: total)
    var tokens = own.tokens
    try tokens.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    let basis = try fit(own.states, total: total)
    let projections = try project(own.states, on: basis, total: total)
    var (findings, first) = ([Findings](), 0)
    for domain in domains {
      let range = first..<first + domain.dataset.totalCompletions
      findings.append(
        Findings(
          logProbabilities: range.map { tokens[2 * $0] },
          features: features(of: domain, range, tokens: tokens, projections, components: basis.count)))
      first = range.upperBound
    }
    let names = (1...max(basis.count, 1)).prefix(basis.count).map { "pc\($0)" }
    return (names + ["mean_logp", "mean_entropy", "log_length", "newlines"], findings)
  }

  /// The hidden states of this rank's responses, and the sums over tokens of log-probability and entropy of each response.
  private func visit(total: Int) throws -> (states: [Int: [Float]], tokens: [Double]) {
    var states: [Int: [Float]] = [:]
    var tokens = [Double](repeating: 0, count: 2 * total)
    var first = 0
    for domain in domains {
      let pass = ScoringPass(
        model, parameters: parameters, dataset: domain.dataset, unitTokens: unitTokens, over: communicator)
      try pass.forEachCompletion { completion, span, unit in
        let response = first + completion
        states[response] = hiddenStates(of: span, in: unit)
        tokens[2 * response] = model.output(of: span)
        tokens[2 * response + 1] = span.rows.reduce(0) { $0 + model.tokenEntropies[$1] }
      }
      first += domain.dataset.totalCompletions
    }
    return (states, tokens)
  }

  /// (2H) the mean of the states after the response's tokens, and the last of them. The token that ends a response is not
  /// read; of a response of one token there is the state that it is predicted from.
  private func hiddenStates(of span: CompletionSpan, in unit: WorkUnit) -> [Float] {
    let prompt = Int(unit.predictionSources[span.rows.lowerBound])
    let places = span.inputCount > 0 ? span.firstToken..<span.firstToken + span.inputCount : prompt..<prompt + 1
    var sums = [Double](repeating: 0, count: model.configuration.hiddenSize)
    for place in places {
      for (index, value) in model.hiddenState(ofToken: place).enumerated() { sums[index] += Double(value) }
    }
    return sums.map { Float($0 / Double(places.count)) } + model.hiddenState(ofToken: places.upperBound - 1)
  }

  /// Principal components of the states, found by rank 0 for all.
  private func fit(_ states: [Int: [Float]], total: Int) throws -> PrincipalComponents {
    let width = 2 * model.configuration.hiddenSize
    let count = min(total, Self.fittedResponses)
    var table = [Double](repeating: 0, count: count * width)
    for row in 0..<count {
      guard let state = states[row * total / count] else { continue }
      for (index, value) in state.enumerated() { table[row * width + index] = Double(value) }
    }
    try table.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    var bytes: [UInt8] = []
    if communicator.rank == 0 {
      let basis = PrincipalComponents(of: table.map { Float($0) }, width: width, atMost: components)
      bytes = basis?.numbers.withUnsafeBytes { Array($0) } ?? []
    }
    bytes = try communicator.broadcast(bytes)
    guard !bytes.isEmpty else {
      throw Fault(
        .nonFinite, "the principal components of the hidden states are not finite",
        hint: "the model's weights hold values too large for Float32; weights.components=0 does without")
    }
    return PrincipalComponents(numbers: NumberFile.numbers(bytes))
  }

  /// (total, components) on every rank.
  private func project(_ states: [Int: [Float]], on basis: PrincipalComponents, total: Int) throws -> [Double] {
    var table = [Double](repeating: 0, count: total * basis.count)
    for (response, state) in states {
      let values = state.withUnsafeBufferPointer { basis.project($0) }
      table.replaceSubrange(response * basis.count..<(response + 1) * basis.count, with: values)
    }
    try table.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    return table
  }

  private func features(
    of domain: Responses, _ range: Range<Int>, tokens: [Double], _ projections: [Double], components: Int
  ) -> [Float] {
    zip(range, zip(domain.dataset.completionLengths, domain.newlines)).flatMap { response, known in
      let length = Double(known.0)
      let own = projections[response * components..<(response + 1) * components].map { Float($0) }
      let means = [tokens[2 * response] / length, tokens[2 * response + 1] / length]
      return own + means.map { Float($0) } + [Float(Glibc.log(length)), Float(known.1)]
    }
  }
}
