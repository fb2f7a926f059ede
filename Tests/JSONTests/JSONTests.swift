import JSON
import Testing

@Suite("JSON")
struct JSONTests {
  private func parse(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

  @Test(arguments: [
    #"{"b":1,"a":[true,false,null],"":{}}"#, #"[-1,0.5,1e+300,-0.0,9223372036854775807,-9223372036854775808]"#,
    #"[5e-324,1.7976931348623157e308,0.1,1E5,1e-7,18446744073709551616]"#,
    #""é e\u0301 \" \\ / \b\f\n\r\t \u0000 \u001f 😀 \ud83d\ude00""#, "[]", "{}", "0", "null",
    " [ 1 , { \"a\" : 2 } ]\r\n\t",
  ])
  func serializedTextParsesToTheSameValue(text: String) throws {
    let value = try parse(text)
    for isPretty in [false, true] {
      #expect(try JSONValue.parse(value.serialized(pretty: isPretty)) == value)
    }
  }

  @Test func compactTextIsReproducedExactly() throws {
    let text = #"{"z":1,"a":[1.5,"/\u0001\"é"],"m":{},"n":null}"#
    #expect(String(decoding: try parse(text).serialized(), as: UTF8.self) == text)
  }

  @Test func prettyTextIndentsByTwoSpaces() throws {
    let text = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}"
    #expect(String(decoding: try parse(text).serialized(pretty: true), as: UTF8.self) == text)
  }

  @Test(arguments: [
    ("", "expected a value, found the end of the text", 0), ("[1,]", "expected a value, found ']'", 3),
    (#"{"a":1,}"#, "expected a key in double quotes, found '}'", 7), ("[1 2]", "expected ',' or ']'", 3),
    (#"{"a" 1}"#, "expected ':' after a key", 5), (#"{"a":1 "b":2}"#, "expected ',' or '}'", 7),
    ("01", "without leading zeros", 1), ("-", "expected a digit", 1), ("1.", "expected a digit", 2),
    ("1e", "expected a digit", 2), (".5", "expected a value", 0), ("+1", "expected a value", 0),
    ("NaN", "expected a value", 0), ("-Infinity", "expected a digit", 1), ("1e999", "range of a double", 0),
    ("-1e999", "range of a double", 0), ("tru", "expected true", 0), ("nul", "expected null", 0),
    ("1 2", "expected the end of the text", 2), ("[", "expected a value", 1), (#"{"a":"#, "expected a value", 5),
    (#""abc"#, "expected a closing '\"'", 4), ("\"a\nb\"", "to be escaped, found byte 0xA", 2),
    (#""\x""#, "after '\\'", 2), (#""\u12g4""#, "four hexadecimal digits", 5), (#""\ud800""#, "lone \\uD800", 1),
    (#""\udc00""#, "lone \\uDC00", 1), (#""\ud800\n""#, "lone \\uD800", 1), (#""\ud800\u0041""#, "lone \\uD800", 1),
    (#"{"a":1,"a":2}"#, "found \"a\" twice", 7), ("\u{feff}1", "expected a value, found byte 0xEF", 0),
    ("'a'", "a value", 0),
    ("[1]// comment", "expected the end", 3), ("\u{a0}1", "a value", 0), ("\"", "a closing", 1),
    (#""\"#, "after '\\'", 2),
  ])
  func textOutsideTheGrammarIsRejected(text: String, message: String, offset: Int) {
    let error = #expect(throws: JSONError.self) { try parse(text) }
    #expect(error?.message.contains(message) == true, "\(String(describing: error))")
    #expect(error?.offset == offset)
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82],
      [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x28, 0xA1],
    ] as [[UInt8]])
  func invalidUTF8IsRejected(bytes: [UInt8]) {
    #expect(throws: JSONError.self) { try JSONValue.parse([0x22] + bytes + [0x22]) }
    #expect(throws: JSONError.self) { try JSONValue.parse([0x22] + bytes) }
  }

  @Test func everyScalarSurvivesInAString() throws {
    var text = [UInt8(ascii: "\"")]
    var expected: [UInt8] = []
    for scalar in stride(from: 0x20, through: 0x10FFFF, by: 7).compactMap({ Unicode.Scalar(UInt32($0)) })
    where scalar != "\"" && scalar != "\\" {
      expected.append(contentsOf: Array(String(scalar).utf8))
    }
    text += expected + [UInt8(ascii: "\"")]
    #expect(try JSONValue.parse(text) == .string(ByteString(expected)))
  }

  @Test func integersKeepTheirKindUntilTheyDoNotFit() throws {
    #expect(try parse("9223372036854775807") == .integer(.max))
    #expect(try parse("-9223372036854775808") == .integer(.min))
    #expect(try parse("9223372036854775808") == .double(9_223_372_036_854_775_808))
    #expect(try parse("1.0") == .double(1))
    #expect(try parse("1e2").intValue == 100)
    #expect(try parse("1.5").intValue == nil)
  }

  @Test func nestingHasALimit() throws {
    let depth = 512
    let deepest = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    #expect(throws: Never.self) { try parse(deepest) }
    #expect(throws: JSONError.self) { try parse("[" + deepest + "]") }
    #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 100_000)) }
    #expect(throws: JSONError.self) { try parse(String(repeating: #"{"a":"#, count: 100_000)) }
  }

  @Test func duplicateKeysAreFoundInLargeObjects() throws {
    let members = (0..<50_000).map { "\"k\($0)\":\($0)" }
    let text = Array(("{" + (members + ["\"k7\":-1"]).joined(separator: ",") + "}").utf8)
    #expect(throws: JSONError.self) { try JSONValue.parse(text) }
    let object = try #require(try JSONValue.parse(text, duplicateKeys: .lastWins).objectValue)
    #expect(object.members.count == 50_000)
    #expect(object.members[7].value == .integer(-1))
  }

  @Test func canonicallyEquivalentKeysAreDistinct() throws {
    let value = try parse(#"{"\u00e9":1,"e\u0301":2}"#)
    #expect(value["\u{e9}"]?.intValue == 1)
    #expect(value["e\u{301}"]?.intValue == 2)
    #expect(ByteString("\u{e9}") != "e\u{301}")
  }

  @Test func settingAMemberKeepsItsPlace() {
    var object = JSONObject([("a", .integer(1)), ("b", .integer(2))])
    object["a"] = .bool(true)
    object["c"] = .null
    #expect(object == JSONObject([("a", .bool(true)), ("b", .integer(2)), ("c", .null)]))
    object["a"] = nil
    object["missing"] = nil
    #expect(object.members.map(\.key) == ["b", "c"])
  }

  @Test func numbersWithoutJSONFormBecomeNull() {
    let value = JSONValue.array([.double(.nan), .double(.infinity), .double(1e-7), .double(3)])
    #expect(String(decoding: value.serialized(), as: UTF8.self) == "[null,null,1e-07,3.0]")
  }

  @Test func accessorsReturnNilForOtherKinds() {
    #expect(JSONValue.string("x").stringValue == "x")
    #expect(JSONValue.integer(2).doubleValue == 2)
    #expect(JSONValue.null.intValue == nil && JSONValue.null.doubleValue == nil && JSONValue.null.boolValue == nil)
    #expect(JSONValue.null.byteString == nil && JSONValue.null.arrayValue == nil && JSONValue.null["a"] == nil)
  }
}
