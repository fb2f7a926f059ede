import AlignmentCore
import JSON
import PreferenceData

/// Prompts from a JSONL file: rows with `prompt`, or preference pairs whose common beginning is the prompt.
struct PromptFile {
  /// A prompt and where it stands.
  struct Prompt {
    let text: [UInt8]
    let place: String
  }

  /// All prompts in the order of the rows.
  ///
  /// - Throws: ``Fault`` that names the file, and the line of a bad row.
  static func read(_ path: String) throws -> [Prompt] {
    let reader = try RowReader(path: path)
    var prompts: [Prompt] = []
    while let row = try reader.next() {
      let place = "\(path):\(row.line)"
      prompts.append(Prompt(text: try text(of: row.bytes.get(), at: place), place: place))
    }
    guard !prompts.isEmpty else {
      throw Fault(.data, "the file has no prompts", at: path, hint: "rows look like {\"prompt\": \"…\"}")
    }
    return prompts
  }

  private static func text(of bytes: [UInt8], at place: String) throws -> [UInt8] {
    let row = try ModelSource.parse(bytes, place)
    if let prompt = row["prompt"]?.byteString { return prompt.bytes }
    guard row["prompt"].map({ $0 == .null }) ?? true else {
      throw Fault(
        .data, "field 'prompt' is not a string", at: place,
        hint: "chat templates are not applied here; render the messages to strings first")
    }
    if row["chosen"] != nil, row["rejected"] != nil { return try PreferenceRow(json: bytes, at: place).prompt }
    throw Fault(.data, "the row has no string \"prompt\"", at: place, hint: "rows look like {\"prompt\": \"…\"}")
  }
}
