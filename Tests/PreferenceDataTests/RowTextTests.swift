import JSON
import PreferenceData
import Testing

/// Rows that get a value and stay as they are otherwise.
@Suite struct RowTextTests {
  /// A row, and what it becomes when it gets the weight 0.25.
  struct Case: CustomTestStringConvertible, Sendable {
    let row: String
    let expected: String
    var testDescription: String { row }

    init(_ row: String, _ expected: String) { (self.row, self.expected) = (row, expected) }
  }

  static let cases = [
    Case(#"{"prompt":"a"}"#, #"{"prompt":"a","weight":0.25}"#),
    Case(#"{ "prompt" : "a" , "n" : 1.00 } "#, #"{ "prompt" : "a" , "n" : 1.00 ,"weight":0.25} "#),
    Case(#"{"weight":2,"prompt":"a"}"#, #"{"weight":0.25,"prompt":"a"}"#),
    Case(#"{"prompt":"a","weight": 1e0 }"#, #"{"prompt":"a","weight": 0.25 }"#),
    Case(#"{"weight":null}"#, #"{"weight":0.25}"#),
    Case(#"{"w\u0065ight":3}"#, #"{"w\u0065ight":0.25}"#),
    // Not members of the row itself.
    Case(
      #"{"meta":{"weight":3,"list":[1,{"weight":4}]}}"#, #"{"meta":{"weight":3,"list":[1,{"weight":4}]},"weight":0.25}"#
    ),
    Case(#"{"prompt":"\"weight\":1","chosen":"}"}"#, #"{"prompt":"\"weight\":1","chosen":"}","weight":0.25}"#),
    Case(#"{"prompt":"\\","weight":1}"#, #"{"prompt":"\\","weight":0.25}"#),
    Case(#"{"list":["]","weight"],"weight":[1,[2]],"x":true}"#, #"{"list":["]","weight"],"weight":0.25,"x":true}"#),
    Case("{}", #"{"weight":0.25}"#),
    Case("{ }", #"{ "weight":0.25}"#),
    Case("\t{\"é\":\"ü\"}", "\t{\"é\":\"ü\",\"weight\":0.25}"),
  ]

  @Test(arguments: cases) func aValueIsSetAndAllElseStays(data: Case) throws {
    var text = RowText(Array(data.row.utf8))
    text.set("weight", to: .double(0.25))
    #expect(String(decoding: text.bytes, as: UTF8.self) == data.expected)
    let json = try JSONValue.parse(text.bytes)
    #expect(json["weight"] == .double(0.25))
  }
}
