import AlignmentCore
import Checkpoints
import JSON
import PreferenceData
import Tokenization

/// The work of `adalign tokenize`: a file of texts becomes a file of ids.
package struct TokenizeFile {
  let model: String
  let input: String
  let output: String
  let addsSpecialTokens: Bool

  package init(model: String, input: String, output: String, addsSpecialTokens: Bool) {
    self.model = model
    self.input = input
    self.output = output
    self.addsSpecialTokens = addsSpecialTokens
  }

  /// Writes the output, which appears when it is complete.
  package func write() throws {
    try FileSystem.checkParent(of: output)
    let tokenizer = try Tokenizer.load(directory: model)
    let reader = try RowReader(path: input)
    try AtomicFile.write(output) { file in
      while let row = try reader.next() {
        let ids = try tokenizer.encode(text(of: row), addSpecialTokens: addsSpecialTokens)
        let result = JSONObject([("ids", .array(ids.map { .integer(Int64($0)) }))])
        try file.append(JSONValue.object(result).serialized() + [UInt8(ascii: "\n")])
      }
    }
  }

  private func text(of row: RowReader.Row) throws -> [UInt8] {
    let place = "\(input):\(row.line)"
    guard let text = try ModelSource.parse(row.bytes.get(), place)["text"]?.byteString else {
      throw Fault(.data, "the row has no string \"text\"", at: place, hint: "rows look like {\"text\": \"…\"}")
    }
    return text.bytes
  }
}
