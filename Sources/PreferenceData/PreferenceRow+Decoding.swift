import AlignmentCore
import JSON

extension PreferenceRow {
  /// Decodes one line of JSONL; `location` (`file:line`) goes into the faults.
  ///
  /// Accepts `prompt` + `chosen` + `rejected`, `chosen` + `rejected` with the prompt inside, and `prompt` +
  /// `completion` with an optional `label`. Keys it does not know are ignored; null counts as missing.
  package init(json: [UInt8], at location: String) throws {
    let fields = try RowFields(json: json, location: location)
    if fields.has("chosen") || fields.has("rejected") {
      try self.init(pair: fields)
    } else if fields.has("completion") {
      try self.init(unpaired: fields)
    } else if fields.has("completions") {
      try self.init(samples: fields)
    } else {
      throw fields.unrecognised()
    }
    try readOptions(fields)
  }

  private init(pair fields: RowFields) throws {
    guard !fields.has("completion") else {
      throw fields.fault("the row has 'completion' beside 'chosen' or 'rejected'", hint: "keep one of the two forms")
    }
    let chosen = try fields.text("chosen")
    let rejected = try fields.text("rejected")
    if fields.has("prompt") {
      self.init(prompt: try fields.text("prompt", mayBeEmpty: true), chosen: chosen, rejected: rejected)
    } else {
      let split = ImplicitPrompt(chosen, rejected)
      self.init(
        prompt: Array(chosen[..<split.length]), chosen: Array(chosen[split.length...]),
        rejected: Array(rejected[split.length...]))
      isPrefixPair = split.isPrefixPair
    }
    completions[0].sourceLogp = try fields.sourceLogp("chosen")
    completions[1].sourceLogp = try fields.sourceLogp("rejected")
    completions[0].score = try fields.score(["chosen_score", "score_chosen"])
    completions[1].score = try fields.score(["rejected_score", "score_rejected"])
  }

  private init(prompt: [UInt8], chosen: [UInt8], rejected: [UInt8]) {
    self.init(
      prompt: prompt,
      completions: [Completion(text: chosen, role: .chosen), Completion(text: rejected, role: .rejected)])
  }

  private init(unpaired fields: RowFields) throws {
    guard fields.has("prompt") else {
      throw fields.fault("field 'prompt' is missing beside 'completion'", hint: "add it; it may be empty")
    }
    var completion = Completion(text: try fields.text("completion"), role: try fields.role())
    completion.sourceLogp = try fields.logp("source_logp")
    completion.score = try fields.score(["score", "reward"])
    self.init(prompt: try fields.text("prompt", mayBeEmpty: true), completions: [completion])
  }

  /// Several samples of a prompt, with a score for each or without.
  private init(samples fields: RowFields) throws {
    let texts = try fields.texts("completions")
    let scores = try fields.scores("scores") ?? fields.scores("rewards")
    guard scores.map({ $0.count == texts.count }) ?? true else {
      throw fields.fault("there are not as many scores as completions", hint: "give one score for each, or none")
    }
    self.init(
      prompt: try fields.text("prompt", mayBeEmpty: true),
      completions: texts.enumerated().map { Completion(text: $1, role: .sample, score: scores?[$0]) })
  }

  private mutating func readOptions(_ fields: RowFields) throws {
    weight = try fields.number("weight", "a finite number that is not negative") { $0 >= 0 } ?? 1
    q = try fields.number("q", "a number from 0 to 1") { $0 >= 0 && $0 <= 1 } ?? 1
    margin = try fields.number("margin", "a finite number") { _ in true } ?? 0
    domain = try fields.label("domain")
    generator = try fields.label("generator")
  }
}

/// The fields of one row, read with faults that name place, field and expectation.
private struct RowFields {
  let location: String
  private let object: JSONObject

  init(json: [UInt8], location: String) throws {
    self.location = location
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(json, duplicateKeys: .reject)
    } catch {
      throw Fault(.data, "invalid JSON (\(error))", at: location, hint: "write one JSON object per line")
    }
    guard let object = value.objectValue else {
      throw Fault(
        .data, "expected a JSON object, found \(value.kindName)", at: location, hint: "write one JSON object per line")
    }
    self.object = object
  }

  func has(_ key: ByteString) -> Bool { value(key) != nil }

  func text(_ key: ByteString, mayBeEmpty: Bool = false) throws -> [UInt8] {
    guard let value = value(key) else {
      throw fault("field '\(key)' is missing", hint: "a pair needs 'chosen' and 'rejected'")
    }
    if case .array = value { throw conversational(key) }
    guard let text = value.byteString?.bytes else { throw mismatch(key, "a string", value) }
    guard mayBeEmpty || !text.isEmpty else {
      throw fault("field '\(key)' is empty", hint: "a completion needs at least one byte; remove the row")
    }
    return text
  }

  /// A list of texts, none of them empty.
  func texts(_ key: ByteString) throws -> [[UInt8]] {
    let texts = value(key)?.arrayValue?.map { $0.byteString?.bytes }
    guard let texts, !texts.isEmpty, texts.allSatisfy({ $0.map { !$0.isEmpty } ?? false }) else {
      throw fault("field '\(key)': expected a list of strings that are not empty", hint: "correct the row")
    }
    return texts.compactMap { $0 }
  }

  /// A list of numbers, or nil if there is none.
  func scores(_ key: ByteString) throws -> [Double]? {
    guard let value = value(key) else { return nil }
    let numbers = value.arrayValue?.map(\.doubleValue)
    guard let numbers, numbers.allSatisfy({ $0?.isFinite ?? false }) else {
      throw mismatch(key, "a list of finite numbers", value)
    }
    return numbers.compactMap { $0 }
  }

  func number(_ key: ByteString, _ expectation: String, _ isValid: (Double) -> Bool) throws -> Double? {
    guard let value = value(key) else { return nil }
    guard let number = value.doubleValue, number.isFinite, isValid(number) else {
      throw mismatch(key, expectation, value)
    }
    return number
  }

  /// The first of several spellings that the row has.
  func score(_ keys: [ByteString]) throws -> Double? {
    for key in keys {
      if let score = try number(key, "a finite number", { _ in true }) { return score }
    }
    return nil
  }

  func logp(_ key: ByteString) throws -> Double? {
    try number(key, "a log-probability: a finite number that is not positive") { $0 <= 0 }
  }

  /// `chosen_source_logp`, or `source_logp: {"chosen": …}`.
  func sourceLogp(_ side: ByteString) throws -> Double? {
    if let flat = try logp(ByteString("\(side)_source_logp")) { return flat }
    guard let value = value("source_logp") else { return nil }
    guard let nested = value.objectValue else {
      throw mismatch("source_logp", "an object with 'chosen' and 'rejected'", value)
    }
    return try RowFields(object: nested, location: location).logp(side)
  }

  func label(_ key: ByteString) throws -> String? {
    guard let value = value(key) else { return nil }
    guard let text = value.stringValue else { throw mismatch(key, "a string", value) }
    return text
  }

  func role() throws -> CompletionRole {
    guard let value = value("label") else { return .desirable }
    switch (value.boolValue, value.doubleValue) {
    case (true, _), (_, 1): return .desirable
    case (false, _), (_, 0): return .undesirable
    default: throw mismatch("label", "true, false, 1 or 0", value)
    }
  }

  func unrecognised() -> Fault {
    if let chat = ["messages", "conversations", "prompt"].first(where: { value($0)?.arrayValue != nil }) {
      return conversational(chat)
    }
    return fault(
      "the row has neither 'chosen' and 'rejected' nor 'completion'",
      hint: "give prompt+chosen+rejected, chosen+rejected, or prompt+completion(+label)")
  }

  func fault(_ what: String, hint: String) -> Fault { Fault(.data, what, at: location, hint: hint) }

  private init(object: JSONObject, location: String) {
    self.object = object
    self.location = location
  }

  private func value(_ key: ByteString) -> JSONValue? {
    guard let value = object[key], value != .null else { return nil }
    return value
  }

  private func mismatch(_ key: ByteString, _ expectation: String, _ value: JSONValue) -> Fault {
    fault("field '\(key)': expected \(expectation), found \(value.kindName)", hint: "correct the row")
  }

  private func conversational(_ key: ByteString) -> Fault {
    fault(
      "field '\(key)' is a list of chat messages, and plain text is needed",
      hint: "chat templates are not applied here; render the messages to strings first")
  }
}

extension JSONValue {
  fileprivate var kindName: String {
    switch self {
    case .null: "null"
    case .bool(let value): String(value)
    case .integer(let value): String(value)
    case .double(let value): String(value)
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}
