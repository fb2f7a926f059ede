import Foundation
import JSON
import Testing
import Tokenization

/// A directory with models and references, if one is given.
private let oracleDirectory = ProcessInfo.processInfo.environment["ADALIGN_ORACLE"]

/// Comparison with an external directory of reference tokenizers, where there is one.
@Suite("Tokenizers of the oracle", .enabled(if: oracleDirectory != nil))
struct OracleTests {
  @Test func everyStringIsEncodedAndDecodedAsByTheReference() throws {
    let directory = try #require(oracleDirectory)
    let references = directory + "/reference/tokenizers"
    let texts = try lines(directory + "/reference/data/strings.jsonl")
    for file in try FileManager.default.contentsOfDirectory(atPath: references).sorted() {
      let reference = try json(references + "/" + file)
      let cases = try #require(reference["strings"]?.arrayValue)
      try #require(cases.count == texts.count)
      let models = try #require(reference["models"]?.arrayValue)
      for model in models.compactMap(\.stringValue) {
        let tokenizer = try Tokenizer.load(directory: directory + "/models/" + model)
        #expect(tokenizer.vocabularySize == reference["size"]?.intValue)
        for (text, expected) in zip(texts, cases) { try check(tokenizer, text, expected, file) }
        print("\(file) \(model): \(cases.count) strings compared")
      }
    }
  }

  private func check(_ tokenizer: Tokenizer, _ text: [UInt8], _ expected: JSONValue, _ name: String) throws {
    let comment: Comment = "\(name): \(String(decoding: text, as: UTF8.self).debugDescription)"
    let ids = try tokenizer.encode(text, addSpecialTokens: false)
    #expect(ids.map(Int.init) == expected["ids"]?.arrayValue?.compactMap(\.intValue), comment)
    let special = try tokenizer.encode(text, addSpecialTokens: true)
    #expect(special.map(Int.init) == expected["ids_special"]?.arrayValue?.compactMap(\.intValue), comment)
    let decoded = try tokenizer.decode(ids, skipSpecialTokens: false)
    #expect(decoded == expected["decoded"]?.byteString?.bytes, comment)
    let skipped = try tokenizer.decode(ids, skipSpecialTokens: true)
    #expect(skipped == (expected["decoded_skip_special"] ?? expected["decoded"])?.byteString?.bytes, comment)
  }

  private func json(_ path: String) throws -> JSONValue {
    try JSONValue.parse(Array(try Data(contentsOf: URL(filePath: path))))
  }

  private func lines(_ path: String) throws -> [[UInt8]] {
    let bytes = Array(try Data(contentsOf: URL(filePath: path)))
    return try bytes.split(separator: 0x0A).map { line in
      try #require(try JSONValue.parse(Array(line))["text"]?.byteString?.bytes)
    }
  }
}
