import AlignmentCore
import PreferenceData
import Testing

@Suite struct PreferenceRowTests {
  private func row(_ json: String) throws -> PreferenceRow { try PreferenceRow(json: Array(json.utf8), at: "f:7") }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func explicitPair() throws {
    let row = try row(
      """
      {"prompt":"p","chosen":"a","rejected":"b","weight":2,"q":0.75,"margin":-1.5,"domain":"news","generator":"g",
      "source_logp":{"chosen":-3.5,"rejected":-4},"label":"ignored","score":[1],"extra":null}
      """)
    #expect(text(row.prompt) == "p" && row.completions.map { text($0.text) } == ["a", "b"])
    #expect(row.completions.map(\.role) == [.chosen, .rejected])
    #expect(row.completions.map(\.sourceLogp) == [-3.5, -4])
    #expect(row.weight == 2 && row.q == 0.75 && row.margin == -1.5)
    #expect(row.domain == "news" && row.generator == "g" && !row.isPrefixPair)
  }

  @Test func defaults() throws {
    let row = try row("{\"prompt\":\"\",\"chosen\":\"a\",\"rejected\":\"a\",\"weight\":null,\"domain\":null}")
    #expect(row.weight == 1 && row.q == 1 && row.margin == 0 && row.prompt.isEmpty)
    #expect(row.domain == nil && row.generator == nil && row.completions.allSatisfy { $0.sourceLogp == nil })
  }

  @Test func flatSourceLogps() throws {
    let row = try row("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"rejected_source_logp\":-2}")
    #expect(row.completions.map(\.sourceLogp) == [nil, -2])
  }

  @Test(arguments: [
    ("", CompletionRole.desirable), (",\"label\":true", .desirable), (",\"label\":false", .undesirable),
    (",\"label\":1", .desirable), (",\"label\":0", .undesirable), (",\"label\":0.0", .undesirable),
    (",\"label\":null", .desirable),
  ])
  func unpaired(label: String, role: CompletionRole) throws {
    let row = try row("{\"prompt\":\"p\",\"completion\":\"c\",\"source_logp\":-0.5\(label)}")
    #expect(row.completions == [.init(text: Array("c".utf8), role: role, sourceLogp: -0.5)])
  }

  // (chosen, rejected, prompt); checked against extract_prompt of TRL 1.16 except where it fails or looks at index -1.
  @Test(arguments: [
    ("Q: x A: yes", "Q: x A: no", "Q: x A:", false),
    ("ab", "ac", "a", false),
    ("a b", "a c", "a", false),
    ("a  b", "a  c", "a ", false),
    ("x", "y", "", false),
    ("x ", "y ", "", false),
    (" x", " y", "", false),
    ("abc", "abcdef", "ab", true),
    ("abcdef", "abc", "ab", true),
    ("same", "same", "sam", true),
    ("a ", "a b", "a", true),
    ("a", "a", "", true),
    ("né", "nè", "n", false),
    ("n 日本", "n 日元", "n 日", false),
    ("日", "日本", "", true),
    ("e\u{301}x", "e\u{301}y", "e\u{301}", false),
    ("x😀", "x😁", "x", false),
    ("x 😀", "x 😁", "x", false),
  ])
  func implicitPrompt(chosen: String, rejected: String, prompt: String, isPrefixPair: Bool) throws {
    let row = try row("{\"chosen\":\"\(chosen)\",\"rejected\":\"\(rejected)\"}")
    #expect(text(row.prompt).unicodeScalars.elementsEqual(prompt.unicodeScalars))
    #expect(row.prompt + row.completions[0].text == Array(chosen.utf8))
    #expect(row.prompt + row.completions[1].text == Array(rejected.utf8))
    #expect(row.completions.allSatisfy { !$0.text.isEmpty })
    #expect(row.isPrefixPair == isPrefixPair)
  }

  static let bad: [(String, String)] = [
    ("{", "invalid JSON"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"", "invalid JSON"),
    ("{\"prompt\":\"p\",\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}", "invalid JSON"),
    ("{\"prompt\":\"\\ud800\",\"chosen\":\"a\",\"rejected\":\"b\"}", "invalid JSON"),
    ("{\"prompt\":NaN,\"chosen\":\"a\",\"rejected\":\"b\"}", "invalid JSON"),
    ("{\"weight\":1e999,\"prompt\":\"p\",\"completion\":\"a\"}", "invalid JSON"),
    (String(repeating: "[", count: 100_000), "invalid JSON"),
    ("[1,2]", "expected a JSON object, found a list"),
    ("\"text\"", "expected a JSON object, found a string"),
    ("null", "expected a JSON object, found null"),
    ("{}", "neither 'chosen' and 'rejected' nor 'completion'"),
    ("{\"text\":\"abc\"}", "neither 'chosen' and 'rejected' nor 'completion'"),
    ("{\"prompt\":\"abc\"}", "neither 'chosen' and 'rejected' nor 'completion'"),
    ("{\"chosen\":null,\"rejected\":null}", "neither 'chosen' and 'rejected' nor 'completion'"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\"}", "'rejected' is missing"),
    ("{\"prompt\":\"p\",\"rejected\":\"a\"}", "'chosen' is missing"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":null}", "'rejected' is missing"),
    ("{\"completion\":\"c\"}", "'prompt' is missing"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"completion\":\"c\"}", "'completion' beside"),
    ("{\"prompt\":\"p\",\"chosen\":\"\",\"rejected\":\"b\"}", "'chosen' is empty"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"\"}", "'rejected' is empty"),
    ("{\"chosen\":\"\",\"rejected\":\"b\"}", "'chosen' is empty"),
    ("{\"prompt\":\"p\",\"completion\":\"\"}", "'completion' is empty"),
    ("{\"prompt\":1,\"chosen\":\"a\",\"rejected\":\"b\"}", "'prompt': expected a string, found 1"),
    ("{\"prompt\":\"p\",\"chosen\":true,\"rejected\":\"b\"}", "'chosen': expected a string, found true"),
    ("{\"prompt\":\"p\",\"chosen\":{\"a\":1},\"rejected\":\"b\"}", "'chosen': expected a string, found an object"),
    (
      "{\"prompt\":\"p\",\"chosen\":[{\"role\":\"user\",\"content\":\"x\"}],\"rejected\":[]}",
      "'chosen' is a list of chat"
    ),
    (
      "{\"prompt\":[{\"role\":\"user\",\"content\":\"x\"}],\"chosen\":\"a\",\"rejected\":\"b\"}",
      "'prompt' is a list of chat"
    ),
    ("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "chat templates are not applied"),
    ("{\"conversations\":[]}", "'conversations' is a list of chat"),
    ("{\"prompt\":\"p\",\"completion\":[{}]}", "'completion' is a list of chat"),
    ("{\"prompt\":\"p\",\"completion\":\"c\",\"label\":2}", "'label': expected true, false, 1 or 0, found 2"),
    (
      "{\"prompt\":\"p\",\"completion\":\"c\",\"label\":\"true\"}",
      "'label': expected true, false, 1 or 0, found a string"
    ),
    ("{\"prompt\":\"p\",\"completion\":\"c\",\"weight\":-1}", "'weight': expected a finite number"),
    ("{\"prompt\":\"p\",\"completion\":\"c\",\"weight\":\"1\"}", "'weight': expected a finite number"),
    ("{\"prompt\":\"p\",\"completion\":\"c\",\"weight\":true}", "'weight': expected a finite number"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"q\":1.5}", "'q': expected a number from 0 to 1"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"q\":-0.1}", "'q': expected a number from 0 to 1"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"margin\":[]}", "'margin': expected a finite number"),
    ("{\"prompt\":\"p\",\"completion\":\"c\",\"domain\":3}", "'domain': expected a string, found 3"),
    ("{\"prompt\":\"p\",\"completion\":\"c\",\"generator\":{}}", "'generator': expected a string, found an object"),
    ("{\"prompt\":\"p\",\"completion\":\"c\",\"source_logp\":0.5}", "'source_logp': expected a log-probability"),
    ("{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"source_logp\":-1}", "'source_logp': expected an object"),
    (
      "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"chosen_source_logp\":\"x\"}",
      "'chosen_source_logp': expected"
    ),
    (
      "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"source_logp\":{\"rejected\":1}}",
      "'rejected': expected a log"
    ),
  ]

  @Test(arguments: bad)
  func badRowsNamePlaceFieldAndExpectation(json: String, words: String) {
    fault(.data, containing: "f:7: ", words) { _ = try row(json) }
  }
}
