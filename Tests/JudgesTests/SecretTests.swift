import AlignmentCore
import Checkpoints
import Glibc
import JSON
import Judges
import TestServer
import Testing

@Suite struct SecretTests {
  /// The key, as it is and as JSON writes it.
  private let forms = [
    Array(secret.utf8), Array(JSONValue.string(ByteString(secret)).serialized().dropFirst().dropLast()),
    Array(secret.replacing("/", with: "\\/").utf8),
  ]

  private func expectNoKey(_ bytes: [UInt8], _ where: String) {
    for form in forms { #expect(bytes.firstRange(of: form) == nil, "the key is in \(`where`)") }
    // No half of it either.
    for half in [forms[0].prefix(10), forms[0].suffix(10)] {
      #expect(bytes.firstRange(of: half) == nil, "a half of the key is in \(`where`)")
    }
  }

  @Test func `a server that repeats the key puts it in no file, answer, report or fault`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { request in
      let key = request.headers["authorization"] ?? ""
      let quoted = String(decoding: JSONValue.string(ByteString("A key is \(key)\nA")).serialized(), as: UTF8.self)
      switch request.messages[1] {
      case "answer": return .body(#"{"choices":[{"message":{"content":\#(quoted)}}],"id":\#(quoted)}"#)
      case "slashes": return .body(#"{"choices":[{"message":{"content":\#(quoted.replacing("/", with: "\\/"))}}]}"#)
      case "unicode": return .body(#"{"choices":[{"message":{"content":\#(quoted.replacing("s", with: "\\u0073"))}}]}"#)
      case "json": return .http(400, [], #"{"error":{"message":\#(quoted)}}"#)
      case "text": return .http(400, ["x-request-id: \(key)"], "your key \(key) is odd")
      default: return .http(401, ["Location: /\(key)"], #"{"detail":\#(quoted)}"#)
      }
    }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) {
        $0.unansweredLimit = 1
        $0.budget.requests = 100
      }, waiting: FakeTime().waiting)
    let answers = try model.answers(to: ["answer", "slashes", "unicode", "json", "text"].map(question))
    #expect(server.requests[0].headers["authorization"] == "Bearer \(secret)")
    #expect(answers.map(\.absence) == [nil, nil, nil, .unanswered, .unanswered])
    #expect(answers[0].texts == ["A key is Bearer [key]\nA"])
    let caught = fault(.environment, containing: "[key]") { _ = try model.answers(to: [question("fault")]) }
    expectNoKey(Array("\(answers) \(model.report) \(model.report.remarks)".utf8), "the answers or the report")
    var dumped = model.identity
    dump(model, to: &dumped)
    dump(caught, to: &dumped)
    expectNoKey(Array(dumped.utf8), "a dump")
    expectNoKey(try directory.contents(), "a file")
  }

  @Test func `a missing key is a fault before anything is sent`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("A") }
    defer { server.stop() }
    for variable in ["ADALIGN_TEST_NONE", "ADALIGN_TEST_EMPTY"] {
      fault(.environment, containing: variable, "export") {
        _ = try APILabellingModel(settings: settings(server.url, directory) { $0.keyVariable = variable })
      }
    }
    #expect(server.requests.isEmpty)
    #expect(try FileSystem.list(directory.path).isEmpty)
  }

  @Test func `a key that would end its header is refused and not repeated`() throws {
    let directory = try TemporaryDirectory()
    let caught = fault(.environment, containing: "ADALIGN_TEST_BROKEN") {
      _ = try APILabellingModel(
        settings: settings("http://localhost/v1", directory) { $0.keyVariable = "ADALIGN_TEST_BROKEN" })
    }
    #expect(caught?.description.contains("sk-one") == false)
  }

  @Test func `white space around a key is no part of it`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("A") }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) { $0.keyVariable = "ADALIGN_TEST_SPACED" })
    _ = try model.answers(to: [question("?")])
    #expect(server.requests[0].headers["authorization"] == "Bearer sk-spaced-key")
  }

  @Test func `a short key, as servers without keys are given, leaves answers alone`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("It is EMPTY.\nA") }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) { $0.keyVariable = "ADALIGN_TEST_SHORT" })
    #expect(try model.answers(to: [question("?")])[0].texts == ["It is EMPTY.\nA"])
  }
}
