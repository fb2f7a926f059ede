import AlignmentCore
import JSON
import Testing
import Tokenization

/// Faults, bounds and single properties of tokenizers that the fixtures do not show.
@Suite("Tokenizer")
struct TokenizerTests {
  /// A small valid file with some members of it replaced.
  private func file(_ changes: [String: String] = [:]) throws -> [UInt8] {
    let text = #"""
      {"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,
      "post_processor":null,"decoder":null,"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<u>":3},"merges":["a b"]}}
      """#
    var object = try #require(try JSONValue.parse(Array(text.utf8)).objectValue)
    for (key, value) in changes { object[ByteString(key)] = try JSONValue.parse(Array(value.utf8)) }
    return JSONValue.object(object).serialized()
  }

  private func tokenizer(_ changes: [String: String] = [:]) throws -> Tokenizer {
    try Tokenizer(json: try file(changes), path: "dir/tokenizer.json")
  }

  private func ids(_ text: String, _ changes: [String: String] = [:]) throws -> [Int32] {
    try tokenizer(changes).encode(Array(text.utf8), addSpecialTokens: false)
  }

  @Test(arguments: [
    ("normalizer", #"{"type":"Lowercase"}"#, #"normalizer "Lowercase" is not supported"#),
    (
      "normalizer", #"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFKC"}]}"#,
      #"normalizer.normalizers[1] "NFKC" is not supported"#
    ),
    ("pre_tokenizer", #"{"type":"BertPreTokenizer"}"#, #"pre_tokenizer "BertPreTokenizer" is not supported"#),
    ("post_processor", #"{"type":"RobertaProcessing"}"#, #"post_processor "RobertaProcessing" is not supported"#),
    ("decoder", #"{"type":"WordPiece"}"#, #"decoder "WordPiece" is not supported"#),
    ("model", #"{"type":"Unigram","vocab":[]}"#, #"model "Unigram" is not supported"#),
  ])
  func unknownComponentsAreNamed(key: String, value: String, message: String) throws {
    let fault = try #require(#expect(throws: Fault.self) { try tokenizer([key: value]) })
    #expect(fault.kind == .data)
    #expect(fault.what == message)
    #expect(fault.location == "dir/tokenizer.json")
    #expect(fault.hint.contains("supported: "))
  }

  @Test(arguments: [
    ("version", #""2.0""#, "version"), ("normalizer", "7", "not an object"),
    ("normalizer", "{}", "\"type\" is missing"),
    ("normalizer", #"{"type":"Replace","pattern":{"String":""},"content":""}"#, "must not be empty"),
    ("normalizer", #"{"type":"Replace","pattern":{"Regex":"("},"content":""}"#, "compiling the regular expression ("),
    ("pre_tokenizer", #"{"type":"Split","pattern":{"String":"x"},"behavior":"Odd"}"#, "Odd"),
    ("pre_tokenizer", #"{"type":"Split","behavior":"Removed"}"#, "\"pattern\" is missing"),
    ("pre_tokenizer", #"{"type":"Digits","individual_digits":1}"#, "must be true or false"),
    ("pre_tokenizer", #"{"type":"Metaspace","replacement":"ab"}"#, "one character"),
    ("pre_tokenizer", #"{"type":"Metaspace","prepend_scheme":"first","add_prefix_space":false}"#, "contradicts"),
    (
      "pre_tokenizer", #"{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}"#,
      "ByteLevel before the end"
    ),
    ("post_processor", #"{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}]}"#, "sequence A"),
    ("post_processor", #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}]}"#, "not defined"),
    ("decoder", #"{"type":"Strip","content":" ","start":-1,"stop":0}"#, "must be an integer"),
    ("model", "null", "\"model\" is missing"), ("model", #"{"type":"BPE","vocab":{}}"#, "\"merges\" must be a list"),
    ("model", #"{"type":"BPE","vocab":[],"merges":[]}"#, "must be an object"),
    ("model", #"{"type":"BPE","vocab":{"a":-1},"merges":[]}"#, "no id"),
    ("model", #"{"type":"BPE","vocab":{"a":4294967296},"merges":[]}"#, "no id"),
    ("model", #"{"type":"BPE","vocab":{"a":2147483647},"merges":[]}"#, "no id"),
    ("model", #"{"type":"BPE","vocab":{"a":0.5},"merges":[]}"#, "no id"),
    ("model", #"{"type":"BPE","vocab":{"a":1,"b":1},"merges":[]}"#, "to two tokens"),
    ("model", #"{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}"#, "needs \"ab\""),
    ("model", #"{"type":"BPE","vocab":{"a":0,"ab":1},"merges":[["a","b"]]}"#, "needs \"b\""),
    ("model", #"{"type":"BPE","vocab":{"a":0},"merges":["a"]}"#, "entry 0 is not a pair"),
    ("model", #"{"type":"BPE","vocab":{"a":0},"merges":["a  a"]}"#, "entry 0 is not a pair"),
    ("model", #"{"type":"BPE","vocab":{"a":0},"merges":[3]}"#, "entry 0 is not a pair"),
    ("model", #"{"type":"BPE","vocab":{},"merges":[],"end_of_word_suffix":"</w>"}"#, "is not supported"),
    ("added_tokens", #"{}"#, "must be a list"), ("added_tokens", #"[{"id":9,"content":"<x>"}]"#, "gives it 4"),
    ("added_tokens", #"[{"id":1,"content":"a"}]"#, "gives it 0"),
    ("added_tokens", #"[{"content":"x"}]"#, "\"id\" must be"),
  ])
  func filesThatMakeNoSenseAreRejected(key: String, value: String, message: String) throws {
    let fault = try #require(#expect(throws: Fault.self) { try tokenizer([key: value]) })
    #expect(fault.description.contains(message), "\(fault)")
    #expect(fault.kind == .data)
  }

  @Test func addedTokensThatNormalizeToTheSameTextAreRejected() throws {
    let added = #"[{"id":4,"content":"\u00e9","normalized":true},{"id":5,"content":"e\u0301","normalized":true}]"#
    let fault = #expect(throws: Fault.self) {
      try tokenizer(["added_tokens": added, "normalizer": #"{"type":"NFC"}"#])
    }
    #expect(fault?.location == "dir/tokenizer.json")
  }

  @Test func textThatIsNotJSONIsRejectedWithItsPath() throws {
    let fault = try #require(#expect(throws: Fault.self) { try Tokenizer(json: Array("{".utf8), path: "p") })
    #expect(fault.location == "p" && fault.what.contains("not valid JSON"))
    let missing = #expect(throws: Fault.self) { try Tokenizer.load(directory: "/nonexistent") }
    #expect(missing?.kind == .missingInput && missing?.location == "/nonexistent/tokenizer.json")
  }

  @Test func textThatIsNotUTF8IsRejected() throws {
    let tokenizer = try tokenizer()
    #expect(throws: Fault.self) { try tokenizer.encode([0x61, 0xF0, 0x9F], addSpecialTokens: false) }
  }

  @Test func runawayExpressionsEndWithAFault() throws {
    let split = #"{"type":"Split","pattern":{"Regex":"(?:a|aa)+$"},"behavior":"Isolated"}"#
    let tokenizer = try tokenizer(["pre_tokenizer": split])
    let text = Array((String(repeating: "a", count: 200) + "b").utf8)
    let fault = #expect(throws: Fault.self) { try tokenizer.encode(text, addSpecialTokens: false) }
    #expect(fault?.what.contains("too many steps") == true)
  }

  @Test func charactersOutsideTheVocabularyVanishWithoutAnUnknownToken() throws {
    #expect(try ids("xaxbab") == [2, 2])
  }

  @Test func unknownCharactersAreFusedOnlyOnDemand() throws {
    let model = #"{"type":"BPE","unk_token":"<u>","vocab":{"a":0,"<u>":1},"merges":[],"fuse_unk":"#
    #expect(try ids("xyaz", ["model": model + "false}"]) == [1, 1, 0, 1])
    #expect(try ids("xyaz", ["model": model + "true}"]) == [1, 0, 1])
  }

  @Test func aMissingUnknownTokenMattersOnlyWhenItIsNeeded() throws {
    let tokenizer = try tokenizer(["model": #"{"type":"BPE","unk_token":"?","vocab":{"a":0},"merges":[]}"#])
    #expect(try tokenizer.encode(Array("aa".utf8), addSpecialTokens: false) == [0, 0])
    #expect(throws: Fault.self) { try tokenizer.encode(Array("ax".utf8), addSpecialTokens: false) }
  }

  @Test func ofEqualMergesTheLastRankCounts() throws {
    let vocabulary = #""vocab":{"a":0,"b":1,"c":2,"ab":3,"bc":4}"#
    #expect(try ids("abc", ["model": #"{"type":"BPE",\#(vocabulary),"merges":["a b","b c"]}"#]) == [3, 2])
    #expect(try ids("abc", ["model": #"{"type":"BPE",\#(vocabulary),"merges":["a b","b c","a b"]}"#]) == [0, 4])
    #expect(try ids("abc", ["model": ##"{\##(vocabulary),"merges":["#version: 0.2","b c"]}"##]) == [0, 4])
  }

  @Test(arguments: [2, 39, 40, 41, 42, 1000, 200_001])
  func shortAndLongWordsMergeFromTheLeft(count: Int) throws {
    let model = #"{"type":"BPE","vocab":{"a":0,"aa":1,"aaaa":2},"merges":[["a","a"],["aa","aa"]]}"#
    let tail: [Int32] = [[], [0], [1], [1, 0]][count % 4]
    #expect(
      try ids(String(repeating: "a", count: count), ["model": model]) == Array(repeating: 2, count: count / 4) + tail)
  }

  @Test func sizeAndIdsCoverAddedTokens() throws {
    let tokenizer = try tokenizer(["added_tokens": #"[{"id":4,"content":"<x>","special":true},{"id":0,"content":"a"}]"#]
    )
    #expect(tokenizer.vocabularySize == 5)
    #expect(tokenizer.id(of: "<x>") == 4 && tokenizer.id(of: "ab") == 2 && tokenizer.id(of: "zz") == nil)
  }

  @Test func decodingDropsUnknownIdsAndJoinsBySpacesWithoutADecoder() throws {
    let tokenizer = try tokenizer(["added_tokens": #"[{"id":4,"content":"<x>","special":true}]"#])
    #expect(ByteString(try tokenizer.decode([0, -1, 4, 99, 2], skipSpecialTokens: false)) == "a <x> ab")
    #expect(ByteString(try tokenizer.decode([0, -1, 4, 99, 2], skipSpecialTokens: true)) == "a ab")
  }

  private static let allScalars: String = {
    var text = String.UnicodeScalarView()
    for value in UInt32(0)...0x10FFFF {
      if let scalar = Unicode.Scalar(value) { text.append(scalar) }
    }
    return String(text)
  }()

  /// Number of scalars in each general category of Unicode 16, over all scalars.
  @Test(arguments: [
    ("L", 141_028), ("N", 1_911), ("M", 2_501), ("Lu", 1_858), ("Ll", 2_258), ("Lt", 31), ("Lm", 404), ("Lo", 136_477),
  ])
  func propertiesOfExpressionsAreThoseOfUnicode16(name: String, count: Int) throws {
    let split = #"{"type":"Split","pattern":{"Regex":"[^\\p{\#(name)}]+"},"behavior":"Removed"}"#
    let model = #"{"type":"BPE","unk_token":"<u>","vocab":{"<u>":0},"merges":[]}"#
    #expect(try ids(Self.allScalars, ["pre_tokenizer": split, "model": model]).count == count)
  }
}
