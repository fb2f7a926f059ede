import AlignmentCore
import Glibc
import JSON
import Testing
import Training

/// `adalign objective evaluate`: losses and derivatives of rows of log-probabilities.
@Suite struct ObjectiveFileTests {
  // A few operations in Float64, on numbers of at most 40.
  static let rounding = 1e-13

  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// What is printed for rows, one object for each and one for the batch.
  private func evaluate(_ name: String, _ settings: [String] = [], _ rows: [String]) throws -> [JSONValue] {
    let input = try directory.write("rows.jsonl", rows.joined(separator: "\n") + "\n")
    var lines: [JSONValue] = []
    try ObjectiveFile(name: name, settings: settings, input: input).evaluate { lines.append($0) }
    return lines
  }

  private func loss(_ line: JSONValue) throws -> Double { try #require(line["loss"]?.doubleValue) }

  /// The derivative with respect to a number, or to each of a list.
  private func gradient(_ line: JSONValue, _ name: ByteString) throws -> [Double] {
    let value = try #require(line["gradients"]?[name])
    return (value.arrayValue ?? [value]).compactMap(\.doubleValue)
  }

  private func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) < Self.rounding }

  private func isClose(_ a: [Double], _ b: [Double]) -> Bool { a.count == b.count && zip(a, b).allSatisfy(isClose) }

  private func sigma(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  static let golden = """
    {"policy_chosen": -10, "policy_rejected": -12, "reference_chosen": -11, "reference_rejected": -11.5, \
    "chosen_tokens": 5, "rejected_tokens": 8}
    """

  // −log σ(0.1·1.5)
  @Test func aPairHasALossAndTwoDerivatives() throws {
    let lines = try evaluate("dpo", ["beta=0.1"], [Self.golden])
    #expect(lines.count == 2)
    #expect(isClose(try loss(lines[0]), log(1 + exp(-0.15))))
    #expect(isClose(try gradient(lines[0], "policy_chosen"), [-0.1 * sigma(-0.15)]))
    #expect(isClose(try gradient(lines[0], "policy_rejected"), [0.1 * sigma(-0.15)]))
    #expect(lines[1]["batch"]?.boolValue == true && lines[1]["rows"]?.intValue == 1)
    #expect(isClose(try loss(lines[1]), log(1 + exp(-0.15))))
  }

  // (1/5 + 0.5/8 − 5)²
  @Test func lengthsAreGiven() throws {
    #expect(isClose(try loss(evaluate("ipo", [], [Self.golden])[0]), 4.7375 * 4.7375))
  }

  @Test func theSpellingOfTRLIsUnderstood() throws {
    let row = """
      {"policy_chosen_logps": -10, "policy_rejected_logps": -12, "reference_chosen_logps": -11, \
      "reference_rejected_logps": -11.5}
      """
    let line = try evaluate("dpo", [], [row])[0]
    #expect(isClose(try loss(line), log(1 + exp(-0.15))))
    #expect(isClose(try gradient(line, "policy_chosen"), [-0.1 * sigma(-0.15)]))
    let single = try evaluate("kto", ["kl=zero"], [#"{"policy_logps": -10, "reference_logps": -11, "label": true}"#])
    #expect(isClose(try loss(single[0]), 1 - sigma(0.1)))
    #expect(isClose(try gradient(single[0], "policy"), [-0.1 * sigma(0.1) * sigma(-0.1)]))
  }

  // Weights 2 and 1 of 3 for the batch; 1 − q = 0.3 of the second row's label.
  @Test func rowsHaveWeightsLabelsAndMargins() throws {
    let rows = [
      #"{"policy_chosen": 1.3, "policy_rejected": 0.4, "margin": 0.5, "weight": 2}"#,
      #"{"policy_chosen": 1.3, "policy_rejected": 0.4, "q": 0.7}"#,
    ]
    let (first, second) = (log(1 + exp(-0.4)), 0.7 * log(1 + exp(-0.9)) + 0.3 * log(1 + exp(0.9)))
    let count = try evaluate("bradley_terry", [], rows)
    #expect(isClose(try loss(count[0]), 2 * first))
    #expect(isClose(try loss(count[1]), second))
    #expect(isClose(try gradient(count[0], "policy_chosen"), [-2 * sigma(-0.4)]))
    #expect(isClose(try loss(count[2]), (2 * first + second) / 2))
    let weight = try evaluate("bradley_terry", ["normalization=weight"], rows)
    #expect(isClose(try loss(weight[2]), (2 * first + second) / 3))
  }

  // Rows over their own 5 and 10 tokens; the batch 10 and 40 nats over 15 tokens, or weighted (3·10 + 40)/(3·5 + 10).
  @Test func tokenMeansAreOfTheRowOrOfTheBatch() throws {
    let rows = [
      #"{"policy": -10, "tokens": 5, "weight": 3}"#, #"{"policy": -40, "tokens": 10}"#,
    ]
    let count = try evaluate("sft", [], rows)
    #expect(isClose(try loss(count[0]), 6))
    #expect(isClose(try loss(count[1]), 4))
    #expect(isClose(try loss(count[2]), (3.0 * 10 + 40) / 15))
    #expect(isClose(try loss(evaluate("sft", ["normalization=weight"], rows)[2]), 70.0 / 25))
  }

  // −(−1 − 2.5): the rejected completion is not looked at.
  @Test func theChosenOfAPairIsImitated() throws {
    let line = try evaluate("sft", ["average=sum"], [#"{"policy_chosen": [-1, -2.5], "policy_rejected": -9}"#])[0]
    #expect(isClose(try loss(line), 3.5))
    #expect(isClose(try gradient(line, "policy_chosen"), [-1, -1]))
  }

  static let labelled = [
    """
    {"policy": -10, "reference": -11, "label": true, "policy_mismatched": -7, "reference_mismatched": -8}
    """,
    """
    {"policy": -12, "reference": -11.5, "label": 0, "policy_mismatched": -7.2, "reference_mismatched": -7}
    """,
  ]

  // The reference point is (1 − 0.2)/2 = 0.4.
  @Test func theReferencePointIsThatOfTheFile() throws {
    let lines = try evaluate("kto", [], Self.labelled)
    #expect(isClose(try loss(lines[0]), 1 - sigma(0.06)))
    #expect(isClose(try loss(lines[1]), 1 - sigma(0.09)))
    #expect(isClose(try gradient(lines[1], "policy"), [0.1 * sigma(0.09) * sigma(-0.09)]))
    #expect(isClose(try loss(lines[2]), 1 - (sigma(0.06) + sigma(0.09)) / 2))
  }

  // Scores 1.3 against 0.5, and whether 1.3 is desirable.
  @Test func scoresHaveTheirSpelling() throws {
    let regression = try evaluate("regression", [], [#"{"policy": 1.3, "score": 0.5}"#])[0]
    #expect(isClose(try loss(regression), 0.64))
    #expect(isClose(try gradient(regression, "policy"), [1.6]))
    let classification = try evaluate("classification", [], [#"{"policy": 1.3, "label": false}"#])[0]
    #expect(isClose(try loss(classification), log(1 + exp(1.3))))
  }

  // Policy margins 2, −1; reference margins −2, 1: in order −1 with −2 and 2 with 1, so z = 0.1 for both.
  @Test func examplesAreMatchedOverTheFile() throws {
    let rows = [(-1, -3, -5, -3), (-4, -3, -2, -3)].map { policy, rejected, reference, other in
      """
      {"policy_chosen": \(policy), "policy_rejected": \(rejected), "reference_chosen": \(reference), \
      "reference_rejected": \(other)}
      """
    }
    for line in try evaluate("aot", [], rows) { #expect(isClose(try loss(line), log(1 + exp(-0.1)))) }
  }

  /// Token log-ratios 2, −1.7, 0.5, 0.2 of the chosen completion and 0.1 − 0.3 of the rejected one.
  static let tokens = """
    {"policy_chosen": [-1, -2.7, -1.5, -0.3], "reference_chosen": [-3, -1, -2, -0.5], \
    "policy_rejected": [-1.9, -2.3], "reference_rejected": [-2, -2]}
    """

  // 1.2 after clamping, and −0.2.
  @Test func humanlineClampsTokens() throws {
    let line = try evaluate("dpo", ["humanline=yes"], [Self.tokens])[0]
    #expect(isClose(try loss(line), log(1 + exp(-0.14))))
    let derivative = 0.1 * sigma(-0.14)
    #expect(isClose(try gradient(line, "policy_chosen"), [0, 0, -derivative, -derivative]))
    #expect(isClose(try gradient(line, "policy_rejected"), [derivative, derivative]))
  }

  // The rejected completion has two tokens: 2 − 1.7 + 0.25·(0.5 + 0.2) = 0.475.
  @Test func tokensBeyondTheShorterCompletionCountLess() throws {
    let line = try evaluate("dpo", ["ld_alpha=0.25"], [Self.tokens])[0]
    #expect(isClose(try loss(line), log(1 + exp(-0.0675))))
    let derivative = 0.1 * sigma(-0.0675)
    let expected = [-derivative, -derivative, -0.25 * derivative, -0.25 * derivative]
    #expect(isClose(try gradient(line, "policy_chosen"), expected))
  }

  // Without a reference: −3.7 − 0.25·1.8 against −4.2, over 4 and 2 tokens.
  @Test func listsAreTokensOfKnownNumber() throws {
    let line = try evaluate("simpo", ["ld_alpha=0.25", "gamma=0"], [Self.tokens])[0]
    #expect(isClose(try loss(line), log(1 + exp(-2 * (-4.15 / 4 + 4.2 / 2)))))
  }

  // Log-ratios 1 and −0.5: 0.620957… + 0.5·10/5
  @Test func objectivesAreMixed() throws {
    let line = try evaluate("dpo,sft", ["weights=1,0.5"], [Self.golden])[0]
    #expect(isClose(try loss(line), log(1 + exp(-0.15)) + 1))
    #expect(isClose(try gradient(line, "policy_chosen"), [-0.1 * sigma(-0.15) - 0.1]))
    #expect(isClose(try loss(evaluate("dpo", ["nll=0.5"], [Self.golden])[0]), log(1 + exp(-0.15)) + 1))
  }

  // WPO's plain alignment: means −5.5/4 and −2.1 over tokens.
  @Test func weightsOfTheStepAreOfTokens() throws {
    let weight = exp(-5.5 / 4 - 2.1)
    let line = try evaluate("dpo", ["weighting=wpo", "wpo_alignment=plain"], [Self.tokens])[0]
    #expect(isClose(try loss(line), weight * log(1 + exp(-0.12))))
    let derivative = weight * 0.1 * sigma(-0.12)
    #expect(isClose(try gradient(line, "policy_rejected"), [derivative, derivative]))
    // Sums with the number of tokens say the same.
    let sums = """
      {"policy_chosen": -5.5, "chosen_tokens": 4, "reference_chosen": -6.5, "policy_rejected": -4.2, \
      "rejected_tokens": 2, "reference_rejected": -4}
      """
    #expect(isClose(try loss(evaluate("dpo", ["weighting=wpo", "wpo_alignment=plain"], [sums])[0]), try loss(line)))
  }

  // Entropies raise the means to −3.5/4 and −1.2; of both rows the divisor is Σ of weights.
  @Test func weightsOfTheStepCanNeedEntropies() throws {
    let row = Self.tokens.dropLast() + #", "entropy_chosen": [0.5, 0.5, 0.25, 0.75], "entropy_rejected": 1.8}"#
    let other = row.dropLast() + #", "weight": 3}"#
    let weight = exp(-3.5 / 4 - 1.2)
    let lines = try evaluate("dpo", ["weighting=wpo", "normalization=weight"], [String(row), String(other)])
    #expect(isClose(try loss(lines[0]), weight * log(1 + exp(-0.12))))
    #expect(isClose(try loss(lines[1]), 3 * weight * log(1 + exp(-0.12))))
    #expect(isClose(try loss(lines[2]), log(1 + exp(-0.12))))
  }

  // Log-ratios 1 and −0.5, cut at 2ε.
  @Test(arguments: [("0.2", 0.4), ("1", 0.5)])
  func importanceIsOfThePair(epsilon: String, logWeight: Double) throws {
    let line = try evaluate("dpo", ["weighting=is_daa", "is_daa_epsilon=\(epsilon)"], [Self.golden])[0]
    #expect(isClose(try loss(line), exp(logWeight) * log(1 + exp(-0.15))))
    #expect(isClose(try gradient(line, "policy_chosen"), [-exp(logWeight) * 0.1 * sigma(-0.15)]))
  }

  @Test func divergencesApply() throws {
    let line = try evaluate("dpo", ["divergence=forward_kl"], [Self.golden])[0]
    #expect(isClose(try loss(line), log(1 + exp(-0.1 * (exp(0.5) - exp(-1))))))
  }
}

@Suite struct ObjectiveFileRefusalTests {
  struct BadRow: Sendable, CustomTestStringConvertible {
    let name: String
    var settings: [String] = []
    let row: String
    let message: String

    init(_ name: String, with settings: [String] = [], _ row: String, _ message: String) {
      (self.name, self.settings, self.row, self.message) = (name, settings, row, message)
    }

    var testDescription: String { "\(name) \(row)" }
  }

  static let rows = [
    BadRow("dpo", #"{"policy_chosen": -1, "#, ":3"),
    BadRow("dpo", #"{"policy_rejected": -1}"#, "the row has no policy_chosen"),
    BadRow("dpo", #"{"policy_chosen": -1, "policy_rejected": -2}"#, "the row has no reference_chosen"),
    BadRow("slic", #"{"policy_chosen": "-1", "policy_rejected": -2}"#, "policy_chosen must be a number or a list"),
    BadRow("slic", #"{"policy_chosen": [], "policy_rejected": -2}"#, "policy_chosen must be a number or a list"),
    BadRow(
      "slic", #"{"policy_chosen": [-1, null], "policy_rejected": -2}"#, "policy_chosen must be a number or a list"),
    BadRow("slic", #"{"policy_chosen": -1, "policy_rejected": -2, "q": 1.5}"#, "q must be from 0.0 to 1.0, not 1.5"),
    BadRow("slic", #"{"policy_chosen": -1, "policy_rejected": -2, "weight": -1}"#, "weight must be from 0.0"),
    BadRow("slic", #"{"policy_chosen": -1, "policy_rejected": -2, "margin": [1, 2]}"#, "margin must be a number"),
    BadRow(
      "slic", #"{"policy_chosen": -1, "policy_rejected": -2, "chosen_tokens": 0}"#, "chosen_tokens must be from 1"),
    BadRow(
      "slic", #"{"policy_chosen": -1, "policy_rejected": -2, "chosen_tokens": 2.5}"#,
      "chosen_tokens must be a whole number"),
    BadRow(
      "slic", #"{"policy_chosen": [-1, -2], "policy_rejected": -2, "chosen_tokens": 3}"#,
      "chosen_tokens is 3, but policy_chosen lists 2"),
    BadRow(
      "dpo",
      #"{"policy_chosen": [-1, -2], "reference_chosen": -3, "policy_rejected": -2, "reference_rejected": -2}"#,
      "policy_chosen and reference_chosen differ in length"),
    BadRow(
      "dpo", with: ["ld_alpha=0.5"],
      #"{"policy_chosen": -1, "reference_chosen": -3, "policy_rejected": -2, "reference_rejected": -2}"#,
      "policy_chosen must list the log-probability of each token"),
    BadRow(
      "simpo", with: ["weighting=wpo"], #"{"policy_chosen": [-1, -2], "policy_rejected": -2}"#,
      "the row has no entropy_chosen"),
    BadRow(
      "simpo", with: ["weighting=wpo"],
      #"{"policy_chosen": [-1, -2], "policy_rejected": -2, "entropy_chosen": [1], "entropy_rejected": 1}"#,
      "entropy_chosen lists 1 tokens of 2"),
    BadRow("kto", #"{"policy": -1, "reference": -1}"#, "the row has no policy_mismatched"),
    BadRow("kto", with: ["kl=zero"], #"{"policy": -1, "reference": -1, "label": 2}"#, "label must be true or false"),
  ]

  @Test(arguments: rows)
  func aBadRowIsNamed(_ bad: BadRow) throws {
    let directory = try TemporaryDirectory()
    let good = """
      {"policy": -1, "reference": -1, "policy_mismatched": -1, "reference_mismatched": -1, "policy_chosen": [-1], \
      "policy_rejected": [-2], "reference_chosen": [-1], "reference_rejected": [-2], "entropy_chosen": [1], \
      "entropy_rejected": 1}
      """
    let input = try directory.write("rows.jsonl", "\(good)\n\n\(bad.row)\n")
    var lines = 0
    let message = fault(.data) {
      try ObjectiveFile(name: bad.name, settings: bad.settings, input: input).evaluate { _ in lines += 1 }
    }
    #expect(message.hasPrefix("\(input):3") && message.contains(bad.message), "\(message)")
    #expect(lines == 0, "nothing is printed before all rows are read")
  }

  // The square of 10²⁰⁰.
  @Test func aLossThatIsNotFiniteIsNamed() throws {
    let directory = try TemporaryDirectory()
    let input = try directory.write("rows.jsonl", #"{"policy": 1, "score": 0}"# + "\n" + #"{"policy": 1e200}"# + "\n")
    let message = fault(.nonFinite) {
      try ObjectiveFile(name: "regression", settings: [], input: input).evaluate { _ in }
    }
    #expect(message.hasPrefix("\(input):2"))
  }

  @Test func aFileNeedsRowsThatCount() throws {
    let directory = try TemporaryDirectory()
    let empty = try directory.write("empty.jsonl", "\n\n")
    #expect(
      fault(.data) { try ObjectiveFile(name: "dpo", settings: [], input: empty).evaluate { _ in } }.contains(empty))
    let row = #"{"policy": -1, "weight": 0}"#
    let weightless = try directory.write("weightless.jsonl", "\(row)\n")
    let message = fault(.data) {
      try ObjectiveFile(name: "sft", settings: ["normalization=weight"], input: weightless).evaluate { _ in }
    }
    #expect(message.contains("no rows with positive weight"))
  }

  static let options: [(name: String, settings: [String], kind: Fault.Kind, message: String)] = [
    ("dpo", ["beta"], .usage, "\"beta\" is no option"),
    ("dpo", ["beta="], .usage, "\"beta=\" is no option"),
    ("dpo", ["normalization=tokens"], .usage, "count or weight"),
    ("dpo,sft", ["weights=1,x"], .usage, "weight \"x\" is no number"),
    ("dpo,sft", ["weights=1"], .configuration, "objective.weights"),
    ("dpo", ["weights=nan"], .configuration, "objective.weights"),
    ("", [], .configuration, "objective.name"),
    (",", [], .configuration, "objective.name"),
    ("dpo,nothing", [], .configuration, "objective.name"),
    ("dpo", ["bta=1"], .configuration, "objective.bta"),
    ("cpo", ["weighting=wpo", "normalization=weight"], .configuration, "objective.weighting"),
    ("aot", ["weighting=wpo"], .configuration, "objective.weighting"),
    ("dpo", ["weighting=wop"], .configuration, "objective.weighting"),
  ]

  @Test(arguments: options)
  func aBadOptionIsNamed(_ bad: (name: String, settings: [String], kind: Fault.Kind, message: String)) {
    let message = fault(bad.kind) {
      _ = try ObjectiveFile(name: bad.name, settings: bad.settings, input: "rows.jsonl")
    }
    #expect(message.contains(bad.message), "\(message)")
  }
}
