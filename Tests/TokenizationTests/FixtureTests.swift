import Foundation
import JSON
import Testing
import Tokenization

/// Every tokenizer of `Fixtures` against what the Hugging Face library makes of the same texts.
@Suite("Tokenizers of the fixtures")
struct FixtureTests {
  static let names = [
    "gpt2", "llama2", "llama2-metaspace", "llama2-normalized", "llama3", "metaspace-split", "neox", "prefix-space",
    "qwen2", "smollm2", "splits", "tekken",
  ]

  @Test(arguments: names)
  func everyStringIsEncodedAndDecodedAsByTheReference(name: String) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    let texts = try #require(try Fixtures.json("strings.json").arrayValue)
    let cases = try #require(try Fixtures.json("\(name).expected.json").arrayValue)
    try #require(texts.count == cases.count && texts.count > 80)
    for (text, expected) in zip(texts, cases) {
      try check(tokenizer, try #require(text.byteString), try #require(expected.arrayValue))
    }
  }

  private func check(_ tokenizer: Tokenizer, _ text: ByteString, _ expected: [JSONValue]) throws {
    let comment: Comment = "\(text.description.debugDescription)"
    let expectedIDs = try #require(Self.ids(expected[0]))
    let ids = try tokenizer.encode(text.bytes, addSpecialTokens: false)
    #expect(ids == expectedIDs, comment)
    #expect(try tokenizer.encode(text.bytes, addSpecialTokens: true) == Self.ids(expected[1]) ?? expectedIDs, comment)
    let decoded = expected[2].byteString ?? text
    #expect(ByteString(try tokenizer.decode(expectedIDs, skipSpecialTokens: false)) == decoded, comment)
    let skipped = expected[3].byteString ?? decoded
    #expect(ByteString(try tokenizer.decode(expectedIDs, skipSpecialTokens: true)) == skipped, comment)
  }

  private static func ids(_ value: JSONValue) -> [Int32]? {
    value.arrayValue?.compactMap(\.intValue).map(Int32.init)
  }

  @Test(arguments: names)
  func aSecondEncodingOfAWordEqualsTheFirst(name: String) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    for text in try #require(try Fixtures.json("strings.json").arrayValue).compactMap(\.byteString?.bytes) {
      let first = try tokenizer.encode(text, addSpecialTokens: true)
      #expect(try tokenizer.encode(text, addSpecialTokens: true) == first)
    }
  }
}

/// Access to the files beside the tests.
enum Fixtures {
  private static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

  static func bytes(_ file: String) throws -> [UInt8] {
    Array(try Data(contentsOf: directory.appending(path: file)))
  }

  static func json(_ file: String) throws -> JSONValue { try JSONValue.parse(try bytes(file)) }

  static func tokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(json: try bytes("\(name).tokenizer.json"), path: "\(name).tokenizer.json")
  }
}
