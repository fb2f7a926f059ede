import AlignmentCore
import JSON

/// What happened to the rows of a dataset.
package struct DataReport: Sendable, Equatable {
  /// A row that was left out because it is bad.
  package struct SkippedRow: Sendable, Equatable {
    /// `file:line`.
    package let location: String
    /// What is wrong with it.
    package let message: String

    /// Names a row and its fault.
    package init(location: String, message: String) {
      self.location = location
      self.message = message
    }
  }

  /// Most skipped rows that are listed.
  package static let listedRows = 20

  /// Rows read, good or bad, blank lines not counted.
  package var rows = 0
  /// Examples kept.
  package var examples = 0
  /// Completions kept.
  package var completions = 0
  /// Tokens kept, prompts counted once.
  package var tokens = 0
  /// Good rows that were not wanted, by reason.
  package var dropped: [String: Int] = [:]
  /// Bad rows left out.
  package var skipped = 0
  /// The first of the bad rows.
  package var skippedRows: [SkippedRow] = []
  /// Prompts that lost tokens.
  package var promptsCut = 0
  /// Completions that lost tokens.
  package var completionsCut = 0
  /// Completions tokenised separately because joined ids did not extend the prompt's.
  package var boundaryFallbacks = 0
  /// Pairs without a prompt of their own of which one text is a prefix of the other.
  package var prefixPairs = 0

  /// An empty report.
  package init() {}

  /// The report in one line.
  package var summary: String {
    let dropped = dropped.sorted { $0.key < $1.key }.map { ", \($0.value) dropped (\($0.key))" }.joined()
    let notes = [
      (skipped, "bad rows skipped"), (promptsCut, "prompts cut"), (completionsCut, "completions cut"),
      (boundaryFallbacks, "boundary fallbacks"), (prefixPairs, "prefix pairs"),
    ]
    let counted = notes.filter { $0.0 > 0 }.map { ", \($0.0) \($0.1)" }.joined()
    return "\(rows) rows, \(examples) examples, \(completions) completions, \(tokens) tokens\(dropped)\(counted)"
  }

  /// Counts a bad row, and lists it if it is among the first.
  mutating func skip(_ fault: Fault) {
    skipped += 1
    guard skippedRows.count < Self.listedRows else { return }
    skippedRows.append(SkippedRow(location: fault.location, message: fault.what))
  }

  /// Counts an example that is kept.
  mutating func count(_ example: EncodedExample) {
    examples += 1
    completions += example.completions.count
    tokens += example.completions.reduce(example.prompt.count) { $0 + $1.tokens.count }
    promptsCut += example.promptIsCut ? 1 : 0
    completionsCut += example.completionsCut
    boundaryFallbacks += example.fallbacks
  }
}

extension DataReport {
  private static let counters: [(ByteString, WritableKeyPath<DataReport, Int> & Sendable)] = [
    ("rows", \.rows), ("examples", \.examples), ("completions", \.completions), ("tokens", \.tokens),
    ("skipped", \.skipped), ("prompts_cut", \.promptsCut), ("completions_cut", \.completionsCut),
    ("boundary_fallbacks", \.boundaryFallbacks), ("prefix_pairs", \.prefixPairs),
  ]

  /// The report as a JSON object.
  package var json: JSONValue {
    var object = JSONObject(Self.counters.map { ($0, .integer(Int64(self[keyPath: $1]))) })
    let reasons = dropped.map { (ByteString($0.key), JSONValue.integer(Int64($0.value))) }.sorted { $0.0 < $1.0 }
    object["dropped"] = .object(JSONObject(reasons))
    object["skipped_rows"] = .array(
      skippedRows.map { .array([.string(ByteString($0.location)), .string(ByteString($0.message))]) })
    return .object(object)
  }

  /// Reads what `json` wrote; nil if it is anything else.
  package init?(json: JSONValue) {
    for (key, path) in Self.counters {
      guard let value = json[key]?.intValue, value >= 0 else { return nil }
      self[keyPath: path] = value
    }
    guard let reasons = json["dropped"]?.objectValue, let rows = json["skipped_rows"]?.arrayValue else { return nil }
    for (reason, count) in reasons.members { dropped[reason.description] = count.intValue }
    skippedRows = rows.compactMap { row in
      guard let parts = row.arrayValue, parts.count == 2, let place = parts[0].stringValue else { return nil }
      return SkippedRow(location: place, message: parts[1].stringValue ?? "")
    }
  }
}
