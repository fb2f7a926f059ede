import AlignmentCore
import Foundation
import Kernels
import Testing
import Transformer

/// Decoding with shared prompts and cached keys and values against the model that scores whole sequences.
@Suite struct BatchDecoderTests {
  // Two or three layers in Float32, computed in two orders: log-probabilities near 10.
  static let tolerance = 2e-5
  static let newTokens = 21

  init() { BLAS.threads = 1 }

  static var hasOwnProducts: Bool {
    BLAS.threads = 1
    return SkinnyProduct.isOwn
  }

  /// Log-probabilities of every token behind a sequence, each scored as a completion of one token.
  private func expected(_ fixture: ModelFixture, _ sequence: [Int32]) throws -> [Double] {
    let tokens = (0..<Int32(fixture.configuration.vocabularySize)).map { [$0] }
    let unit = WorkUnit([(sequence, tokens)])
    let model = try LanguageModel(fixture.configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: fixture.parameters.view)
    return Array(model.tokenLogProbabilities[..<tokens.count])
  }

  private func logSoftmax(_ row: FloatView) -> [Double] {
    TokenSelectorTests.Expectation.logSoftmax((0..<row.count).map { Double(row.base[$0]) })
  }

  private func decoder(_ fixture: ModelFixture, _ prompts: [[Int32]], samples: Int) throws -> BatchDecoder {
    let capacity = DecodingCapacity(
      fixture.configuration, promptLengths: prompts.map(\.count), samples: samples, newTokens: Self.newTokens)
    return try BatchDecoder(fixture.configuration, capacity: capacity)
  }

  // Prompts of 1, 7, 20 and 12 tokens in one unit; windows of 7 positions end in the prompt and in the sample.
  @Test(arguments: ModelFixture.names, 1...5)
  func logitsAreThoseOfTheForwardPass(name: String, samples: Int) throws {
    let fixture = try ModelFixture(name)
    let prompts = fixture.pairs.map(\.prompt)
    let rows = prompts.flatMap { Array(repeating: $0, count: samples) }
    var generator = TestGenerator(samples)
    let forced = rows.map { _ in generator.tokens(Self.newTokens, below: fixture.configuration.vocabularySize) }
    let decoder = try decoder(fixture, prompts, samples: rows.count)
    decoder.begin(
      prompts, samples: prompts.map { _ in samples }, newTokens: Self.newTokens, parameters: fixture.parameters.view)
    for place in 0..<Self.newTokens {
      if [0, 1, 9, 16, 20].contains(place) {
        for row in rows.indices {
          let reference = try expected(fixture, rows[row] + forced[row][..<place])
          for (value, expected) in zip(logSoftmax(decoder.logits(ofRow: row)), reference) {
            #expect(abs(value - expected) <= Self.tolerance * max(1, abs(expected)), "row \(row), place \(place)")
          }
        }
      }
      for row in rows.indices { decoder.append(forced[row][place], place: place) }
      decoder.advance(parameters: fixture.parameters.view)
    }
  }

  /// The logits of every row after some forced tokens, rows leaving as told.
  private func logits(
    _ fixture: ModelFixture, _ prompts: [Int], samples: Int, leaving: [Int: Int] = [:]
  ) throws -> [Int: [Float]] {
    let texts = prompts.map { fixture.pairs[$0].prompt }
    let decoder = try decoder(fixture, texts, samples: texts.count * samples)
    decoder.begin(
      texts, samples: texts.map { _ in samples }, newTokens: Self.newTokens, parameters: fixture.parameters.view)
    var rows = Array(0..<texts.count * samples)
    for place in 0..<Self.newTokens {
      for row in rows {
        let (prompt, sample) = (prompts[row / samples], row % samples)
        decoder.append(Int32((prompt * 31 + sample * 7 + place * 3) % 70 + 3), place: place)
      }
      decoder.advance(parameters: fixture.parameters.view)
      // The last step's rows are what is asked for.
      guard place + 1 < Self.newTokens else { break }
      rows.removeAll { leaving[$0] == place }
      decoder.keepRows { leaving[$0].map { $0 > place } ?? true }
    }
    return Dictionary(
      uniqueKeysWithValues: rows.enumerated().map { place, row in
        let view = decoder.logits(ofRow: place)
        return (prompts[row / samples] * 100 + row % samples, (0..<view.count).map { view.base[$0] })
      })
  }

  // Same bits, whatever is computed beside a sample, and whoever leaves.
  @Test(.enabled(if: Self.hasOwnProducts, "OpenBLAS may give other bits for other numbers of rows"))
  func companyDoesNotMatter() throws {
    for name in ["llama-gqa", "mistral", "qwen3"] {
      let fixture = try ModelFixture(name)
      let together = try logits(fixture, [0, 1, 2, 3], samples: 5)
      for (prompts, samples) in [([2], 1), ([3, 0], 2), ([1], 4)] {
        for (key, row) in try logits(fixture, prompts, samples: samples) { #expect(together[key] == row, "\(key)") }
      }
      let rest = try logits(
        fixture, [0, 1, 2, 3], samples: 5, leaving: [0: 2, 7: 0, 10: 1, 11: 1, 12: 5, 13: 5, 14: 9, 19: 17])
      #expect(rest.count == 12 && rest.allSatisfy { together[$0] == $1 })
    }
  }

  @Test func aDecoderCanBeUsedAgain() throws {
    let fixture = try ModelFixture("smollm3")
    let texts = fixture.pairs.map(\.prompt)
    let decoder = try decoder(fixture, texts, samples: 8)
    let run = { (prompts: [[Int32]], samples: Int) -> [Float] in
      decoder.begin(
        prompts, samples: prompts.map { _ in samples }, newTokens: 5, parameters: fixture.parameters.view)
      for place in 0..<5 {
        for row in 0..<prompts.count * samples { decoder.append(Int32(row + place + 3), place: place) }
        decoder.advance(parameters: fixture.parameters.view)
      }
      let view = decoder.logits(ofRow: 0)
      return (0..<view.count).map { view.base[$0] }
    }
    let first = run(texts, 2)
    _ = run([texts[1], texts[3]], 1)
    #expect(run(texts, 2) == first)
  }
}
