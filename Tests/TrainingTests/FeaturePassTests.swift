import Adaptation
import AlignmentCore
import Collectives
import Foundation
import Kernels
import PreferenceData
import Testing
import Training
import Transformer

/// Features of responses against those of each response computed alone.
@Suite struct FeaturePassTests {
  private let directory: TemporaryDirectory
  private let fixture: ModelFixture
  private let parameters: FloatBuffer
  private let domains: [FeaturePass.Responses]

  // Float32 hidden states of units that are composed differently, and components of them.
  static let tolerance = 2e-4

  init() throws {
    BLAS.threads = 1
    directory = try TemporaryDirectory()
    fixture = try ModelFixture("llama-gqa")
    parameters = try FloatBuffer(count: fixture.layout.count, purpose: "test")
    try fixture.load(into: parameters.view)
    let (pairs, single) = (try dataset(directory, selection: .pairs), try dataset(directory, selection: .preferred))
    domains = [pairs, single].map { data in
      FeaturePass.Responses(dataset: data, newlines: (0..<data.totalCompletions).map { $0 % 3 })
    }
  }

  private typealias Result = (names: [String], findings: [FeaturePass.Findings])

  private func run(components: Int, unitTokens: Int = 60, over communicator: any Communicator) throws -> Result {
    try FeaturePass(
      domains, fixture.configuration, parameters: parameters, unitTokens: unitTokens, components: components,
      over: communicator
    ).run()
  }

  /// What a response comes to when it is alone in a unit.
  private struct Response {
    var states: [Float] = []
    var logProbability = 0.0
    var entropy = 0.0
    var length = 0
  }

  private func responses() throws -> [Response] {
    try domains.flatMap { domain in
      try (0..<domain.dataset.count).flatMap { index in
        let record = domain.dataset.example(index)
        return try (0..<record.completionCount).map { offset in
          let completion = domain.dataset.completion(offset, of: record)
          return try response(
            Array(domain.dataset.promptTokens(of: record)), Array(domain.dataset.tokens(completion.tokenRange)))
        }
      }
    }
  }

  private func response(_ prompt: [Int32], _ tokens: [Int32]) throws -> Response {
    var unit = WorkUnit()
    prompt.withUnsafeBufferPointer { unit.beginGroup(example: 0, slot: 0, prompt: $0) }
    tokens.withUnsafeBufferPointer { unit.addCompletion($0) }
    let capacity = UnitCapacity(tokens: unit.tokens.count, predictions: tokens.count, sequence: 64)
    let model = try LanguageModel(fixture.configuration, capacity: capacity, trained: nil, entropyOrder: .one)
    model.score(unit, parameters: parameters.view)
    // What is read of a response: all but the token that ends it, or the prompt's last where there is nothing else.
    let read = tokens.count > 1 ? Array(prompt.count..<prompt.count + tokens.count - 1) : [prompt.count - 1]
    let width = fixture.configuration.hiddenSize
    var result = Response(length: tokens.count)
    for i in 0..<width {
      result.states.append(
        Float(read.reduce(0.0) { $0 + Double(model.hiddenState(ofToken: $1)[i]) } / Double(read.count)))
    }
    result.states += model.hiddenState(ofToken: read[read.count - 1])
    result.logProbability = (0..<tokens.count).reduce(0) { $0 + model.tokenLogProbabilities[$1] }
    result.entropy = (0..<tokens.count).reduce(0) { $0 + model.tokenEntropies[$1] }
    return result
  }

  @Test func featuresAreThoseOfEachResponseAlone() throws {
    let (names, findings) = try run(components: 5, over: LocalCommunicator())
    #expect(names == ["pc1", "pc2", "pc3", "pc4", "pc5", "mean_logp", "mean_entropy", "log_length", "newlines"])
    let alone = try responses()
    let width = 2 * fixture.configuration.hiddenSize
    let found = PrincipalComponents(of: alone.flatMap(\.states), width: width, atMost: 5)
    let basis = try #require(found)
    let rows = findings.flatMap { finding in
      stride(from: 0, to: finding.features.count, by: names.count).map {
        Array(finding.features[$0..<$0 + names.count])
      }
    }
    let newlines = domains.flatMap(\.newlines)
    let logProbabilities = findings.flatMap(\.logProbabilities)
    #expect(rows.count == alone.count && rows.count == 36 && logProbabilities.count == 36)
    for (index, response) in alone.enumerated() {
      let components = response.states.withUnsafeBufferPointer { basis.project($0) }
      let length = Double(response.length)
      let expected =
        components + [
          response.logProbability / length, response.entropy / length, Foundation.log(length), Double(newlines[index]),
        ]
      for (value, wanted) in zip(rows[index], expected) { #expect(abs(Double(value) - wanted) < Self.tolerance * 10) }
      #expect(abs(logProbabilities[index] - response.logProbability) < Self.tolerance)
    }
  }

  @Test(arguments: [1, 2, 3, 4]) func everyRankHasTheSameBits(ranks: Int) throws {
    let alone = try run(components: 6, over: LocalCommunicator())
    for result in try LocalCommunicator.run(ranks: ranks, { try self.run(components: 6, over: $0) }) {
      #expect(result.names == alone.names && result.findings == alone.findings)
    }
  }

  @Test func withoutComponentsTheNumbersOfTokensAreLeft() throws {
    let (names, findings) = try run(components: 0, over: LocalCommunicator())
    #expect(names == ["mean_logp", "mean_entropy", "log_length", "newlines"])
    #expect(findings.map(\.features.count) == [4 * 24, 4 * 12])
  }
}
