import Foundation
import Testing
import Tokenization
import Training

/// Stop strings in texts that grow token by token.
@Suite struct StopStringsTests {
  /// A tokenizer with a token for each byte, and one like Llama 2's: marks for spaces, bytes for what it does not know.
  static let names = ["bytes", "llama2", "gpt2"]

  private func tokenizer(_ name: String) throws -> Tokenizer {
    guard name != "bytes" else {
      return try Tokenizer(json: ByteTokenizer.json.serialized(), path: "tokenizer.json")
    }
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "TokenizationTests/Fixtures/\(name).tokenizer.json")
    return try Tokenizer(json: Array(Data(contentsOf: path)), path: name)
  }

  /// How many tokens there are when the watch speaks up, and how many when the whole text first has a stop string.
  private func ends(_ text: String, _ stops: [String], _ name: String) throws -> (watch: Int?, whole: Int?) {
    let tokenizer = try tokenizer(name)
    let strings = StopStrings(stops, tokenizer: tokenizer)
    let watch = StopWatch(strings, samples: 2)
    let ids = try tokenizer.encode(Array(text.utf8), addSpecialTokens: false)
    var result: (watch: Int?, whole: Int?) = (nil, nil)
    for count in 1...ids.count {
      let some = Array(ids[..<count])
      _ = try watch.isStopped(sample: 0, ids: [ids[count / 2]])
      if result.watch == nil, try watch.isStopped(sample: 1, ids: some) { result.watch = count }
      let whole = try tokenizer.decode(some, skipSpecialTokens: true)
      if result.whole == nil, strings.firstStart(in: whole) != nil { result.whole = count }
    }
    return result
  }

  static let prose = String(repeating: "It is a long way, über alle Berge 🏔️ and back again. ", count: 9)

  @Test(arguments: names)
  func theFirstTokenThatCompletesAStringIsFound(name: String) throws {
    for stop in ["\n\nHuman:", "é", "👩‍👩‍👧", " Berg\n", "ü!", "ab", "end of it all, where nothing follows"] {
      for prefix in ["", "x", String(Self.prose.prefix(40)), Self.prose, Self.prose + Self.prose] {
        let (watch, whole) = try ends("\(prefix)\(stop) and more", ["nowhere", stop], name)
        #expect(watch == whole && whole != nil, "\(stop) behind \(prefix.utf8.count) bytes")
      }
    }
  }

  @Test(arguments: names)
  func nothingIsFoundWhereThereIsNothing(name: String) throws {
    let (watch, whole) = try ends(Self.prose, ["Bergen", "\n", "agai."], name)
    #expect(watch == nil && whole == nil)
  }

  @Test func theTextIsCutBeforeTheFirstOfThem() throws {
    let strings = StopStrings(["cd", "bcdx", "é"], tokenizer: try tokenizer("bytes"))
    #expect(strings.firstStart(in: Array("abcdx".utf8)) == 1)
    #expect(strings.firstStart(in: Array("abcd é".utf8)) == 2)
    // Half a character is not the character.
    #expect(strings.firstStart(in: [0x61, 0xC3]) == nil && strings.firstStart(in: [0x61, 0xC3, 0xA9]) == 1)
    #expect(strings.firstStart(in: []) == nil)
  }
}
