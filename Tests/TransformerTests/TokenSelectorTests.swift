import AlignmentCore
import Foundation
import JSON
import Testing
import Transformer

/// The transforms of a distribution and the draw from it, against plain Float64 arithmetic and against transformers.
@Suite struct TokenSelectorTests {
  // Exponentials in Float32 have errors of 2·10⁻⁷; logits up to 3·10⁴ are rounded by 10⁻³ when they are scaled.
  static let tolerance = 2e-6

  /// What a row of logits becomes, by sorting.
  struct Expectation {
    /// Log-probability of each token, nil where it is left out.
    let logProbabilities: [Double?]

    init(_ logits: [Float], seen: [Int32], _ s: SamplingSettings) {
      var scores = logits.map(Double.init)
      for token in Set(seen) {
        let score = scores[Int(token)]
        scores[Int(token)] = score < 0 ? score * s.repetitionPenalty : score / s.repetitionPenalty
      }
      scores = scores.map { $0 / s.temperature }
      if s.topK > 0 {
        let smallest = scores.sorted(by: >)[min(s.topK, scores.count) - 1]
        scores = scores.map { $0 < smallest ? -.infinity : $0 }
      }
      if s.topP < 1 {
        let probabilities = Self.logSoftmax(scores).map { exp($0) }
        var passed = 0.0
        for token in scores.indices.sorted(by: { (scores[$0], $0) < (scores[$1], $1) }).dropLast() {
          passed += probabilities[token]
          if passed <= 1 - s.topP { scores[token] = -.infinity }
        }
      }
      if s.minP > 0 {
        let largest = scores.max() ?? 0
        scores = scores.map { $0 - largest < log(s.minP) ? -.infinity : $0 }
      }
      logProbabilities = Self.logSoftmax(scores).map { $0 == -.infinity ? nil : $0 }
    }

    static func logSoftmax(_ scores: [Double]) -> [Double] {
      let largest = scores.max() ?? 0
      let total = scores.reduce(0) { $0 + exp($1 - largest) }
      return scores.map { $0 - largest - log(total) }
    }
  }

  /// Draws at the middle of each token's share and expects that token with its log-probabilities; a token that is left
  /// out would move all that follow.
  private func check(
    _ logits: [Float], seen: [Int32] = [], _ settings: SamplingSettings, _ expected: [Double?], model: [Double]? = nil,
    _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let selector = try TokenSelector(vocabularySize: logits.count)
    let buffer = try FloatBuffer(count: logits.count, purpose: "test")
    let model = model ?? Expectation.logSoftmax(logits.map(Double.init))
    var below = 0.0
    for (token, logProbability) in expected.enumerated() {
      guard let logProbability else { continue }
      let share = exp(logProbability)
      defer { below += share }
      // A share that Float32 weights cannot resolve.
      guard share > 1e-5 else { continue }
      for (index, logit) in logits.enumerated() { buffer.view.base[index] = logit }
      let choice = try #require(
        selector.choose(from: buffer.view, seen: seen, settings, uniform: min(below + share / 2, 1)), comment)
      #expect(choice.token == Int32(token), comment, sourceLocation: sourceLocation)
      #expect(
        abs(choice.samplingLogProbability - logProbability) <= Self.tolerance * max(1, abs(logProbability)), comment,
        sourceLocation: sourceLocation)
      #expect(
        abs(choice.logProbability - model[token]) <= Self.tolerance * max(1, abs(model[token])), comment,
        sourceLocation: sourceLocation)
    }
    #expect(abs(below - 1) < 1e-6, comment, sourceLocation: sourceLocation)
  }

  @Test func transformsAreThoseOfTransformers() throws {
    let rows = try #require(try Self.fixture("transforms.json").arrayValue)
    for row in rows {
      let logits = try #require(row["logits"]).doubles.map(Float.init)
      let model = try #require(row["logps_model"]).doubles
      let seen = try row.tokens("seen").reduce(into: [Int32]()) { if !$0.contains($1) { $0.append($1) } }
      for example in try #require(row["cases"]?.arrayValue) {
        let given = try #require(example["settings"])
        var settings = SamplingSettings(seed: 0, maxNewTokens: 1)
        settings.repetitionPenalty = given["repetition_penalty"]?.doubleValue ?? 1
        settings.temperature = given["temperature"]?.doubleValue ?? 1
        settings.topK = given["top_k"]?.intValue ?? 0
        settings.topP = given["top_p"]?.doubleValue ?? 1
        settings.minP = given["min_p"]?.doubleValue ?? 0
        let expected = try #require(example["logps"]?.arrayValue).map(\.doubleValue)
        try check(
          logits, seen: seen, settings, expected, model: model, "\(row["name"]?.stringValue ?? "") \(settings)")
      }
    }
  }

  static func fixture(_ name: String) throws -> JSONValue {
    let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try JSONValue.parse(Array(Data(contentsOf: directory.appending(path: "Fixtures/\(name)"))))
  }

  @Test(arguments: [1, 2, 15, 16, 17, 100, 511, 513, 3_000], [0.05, 1, 6])
  func transformsAreThoseOfSorting(vocabulary: Int, deviation: Double) throws {
    var generator = TestGenerator(vocabulary * 10 + Int(deviation))
    for round in 0..<8 {
      var logits = (0..<vocabulary).map { _ in Float(generator.uniform(-2, 2) * deviation) }
      if round % 2 == 1 { logits = logits.map { ($0 * 4).rounded() / 4 } }
      var settings = SamplingSettings(seed: 0, maxNewTokens: 1)
      // Not round, so that no cumulative sum of equal shares meets them.
      settings.topP = [1, 0.9137, 0.4531, 0.9931][round % 4]
      settings.topK = [0, 0, 1 + vocabulary / 3, 2 * vocabulary][round / 2]
      settings.minP = [0, 0.0317][round / 4]
      settings.temperature = [1, 0.71, 1, 2.3, 1, 0.5, 1, 1][round]
      settings.repetitionPenalty = round == 6 ? 1.37 : 1
      let seen = generator.tokens(3, below: vocabulary)
      let expected = Expectation(logits, seen: seen, settings)
      try check(
        logits, seen: Array(Set(seen)), settings, expected.logProbabilities, "V \(vocabulary), round \(round)")
    }
  }

  // No equal share may be lost or counted twice where tens of thousands of weights add up.
  @Test func aLargeFlatVocabularyIsCutAtTheRightToken() throws {
    let logits = [Float](repeating: -3, count: 32_000)
    let selector = try TokenSelector(vocabularySize: logits.count)
    let buffer = try FloatBuffer(count: logits.count, purpose: "test")
    for i in 0..<logits.count { buffer.view.base[i] = logits[i] }
    var settings = SamplingSettings(seed: 0, maxNewTokens: 1)
    // Leaves out the first 1599.5 equal tokens, that is 1599.
    settings.topP = 1 - 1599.5 / 32_000
    let first = try #require(selector.choose(from: buffer.view, seen: [], settings, uniform: 0))
    let last = try #require(selector.choose(from: buffer.view, seen: [], settings, uniform: 1 - 1e-12))
    #expect(first.token == 1599 && last.token == 31_999)
    #expect(abs(first.samplingLogProbability + log(32_000 - 1599)) < Self.tolerance)
    #expect(abs(first.logProbability + log(32_000)) < Self.tolerance)
  }

  @Test func greedyTakesTheFirstOfTheLargestAfterThePenalty() throws {
    let selector = try TokenSelector(vocabularySize: 20)
    let buffer = try FloatBuffer(count: 20, purpose: "test")
    var settings = SamplingSettings(seed: 0, maxNewTokens: 1)
    settings.temperature = 0
    let choose = { (seen: [Int32]) throws -> TokenSelector.Choice in
      for i in 0..<20 { buffer.view.base[i] = [3, 9, 17].contains(i) ? 2 : i == 5 ? 2.5 : -1 }
      return try #require(selector.choose(from: buffer.view, seen: seen, settings, uniform: 0.9))
    }
    let model = Expectation.logSoftmax((0..<20).map { [3, 9, 17].contains($0) ? 2 : $0 == 5 ? 2.5 : -1 })
    #expect(try choose([]).token == 5)
    settings.repetitionPenalty = 2
    let penalized = try choose([5, 3])
    #expect(penalized.token == 9 && penalized.samplingLogProbability == 0)
    #expect(abs(penalized.logProbability - model[9]) < Self.tolerance)
    #expect(try choose([]).token == 5)
  }

  @Test(arguments: [Float.nan, .infinity])
  func logitsThatAreNotFiniteAreNotDrawnFrom(value: Float) throws {
    let selector = try TokenSelector(vocabularySize: 40)
    let buffer = try FloatBuffer(count: 40, purpose: "test")
    for temperature in [0, 1, 0.5] {
      for position in [0, 20, 39] {
        for i in 0..<40 { buffer.view.base[i] = i == position ? value : Float(i) }
        var settings = SamplingSettings(seed: 0, maxNewTokens: 1)
        settings.temperature = temperature
        #expect(selector.choose(from: buffer.view, seen: [], settings, uniform: 0.5) == nil)
      }
    }
  }

  @Test func settingsOutOfRangeAreNamed() {
    let problem = { (change: (inout SamplingSettings) -> Void) -> String? in
      var settings = SamplingSettings(seed: 0, maxNewTokens: 1)
      change(&settings)
      return settings.problem?.name
    }
    #expect(problem { _ in } == nil)
    for p in [0, -0.1, 1.01, .nan] { #expect(problem { $0.topP = p } == "top_p") }
    for t in [-1, .nan, .infinity] { #expect(problem { $0.temperature = t } == "temperature") }
    for p in [0, -1, .nan, .infinity] { #expect(problem { $0.repetitionPenalty = p } == "repetition_penalty") }
    for m in [-0.1, 1.1, .nan] { #expect(problem { $0.minP = m } == "min_p") }
    #expect(problem { $0.topK = -1 } == "top_k" && problem { $0.samples = 0 } == "samples")
    #expect(problem { $0.maxNewTokens = 0 } == "max_new_tokens")
  }
}
