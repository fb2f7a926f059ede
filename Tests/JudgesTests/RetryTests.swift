import AlignmentCore
import Glibc
import Judges
import TestServer
import Testing

@Suite struct RetryTests {
  /// One question to a server that fails as scripted, then answers "A".
  private func ask(
    failures: [ScriptedServer.Reply], _ change: (inout APISettings) -> Void = { _ in }
  ) throws -> (answer: JudgeAnswer, pauses: [Double], requests: Int) {
    let directory = try TemporaryDirectory()
    let time = FakeTime()
    let server = ScriptedServer { $0.number < failures.count ? failures[$0.number] : .completion("A") }
    defer { server.stop() }
    let model = try APILabellingModel(settings: settings(server.url, directory, change), waiting: time.waiting)
    let answer = try model.answers(to: [question("?")])[0]
    return (answer, time.pauses, server.requests.count)
  }

  // FakeTime begins at Sun, 06 Nov 1994 08:49:37 GMT.
  @Test(
    arguments: [
      (["Retry-After: 3"], 3), (["Retry-After: 0.25"], 0.25), (["Retry-After: 120"], 120),
      (["retry-after-ms: 1500"], 1.5), (["Retry-After: 7", "Retry-After-Ms: 20"], 0.02),
      (["Retry-After-Ms: soon", "Retry-After: 7"], 7), (["Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 30),
      (["Retry-After: Sunday, 06-Nov-94 08:50:07 GMT"], 30), (["Retry-After: Sun Nov  6 08:50:07 1994"], 30),
    ] as [([String], Double)])
  func `every form of Retry-After is honoured`(headers: [String], seconds: Double) throws {
    for status in [429, 503] {
      let result = try ask(failures: [.http(status, headers, "busy")])
      #expect(result.pauses == [seconds])
      #expect(result.requests == 2)
      #expect(result.answer.probabilities == [1, 0])
    }
  }

  @Test(arguments: [
    "Retry-After: 0", "Retry-After: -4", "Retry-After: later", "Retry-After: nan", "Retry-After-Ms: 0", "X-Nothing: 1",
    "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sat, 05 Nov 1994 08:49:37 GMT",
  ])
  func `advice that is none leads to the first pause of the schedule`(header: String) throws {
    let result = try ask(failures: [.http(429, [header], "")])
    #expect(result.pauses.count == 1)
    #expect(result.pauses.allSatisfy { (0.375...0.5).contains($0) })
  }

  @Test(arguments: [
    "Retry-After: 120.5", "Retry-After: 86400", "Retry-After-Ms: 120001", "Retry-After: Sun, 06 Nov 1994 08:51:38 GMT",
  ])
  func `a pause above two minutes is given up`(header: String) throws {
    fault(.environment, containing: "429", "to be tried again in") {
      _ = try ask(failures: [.http(429, [header], "busy")])
    }
  }

  @Test func `pauses double from half a second to eight and lose up to a quarter`() throws {
    let result = try ask(failures: (0..<6).map { _ in .http(500, "") })
    #expect(result.requests == 7)
    #expect(result.pauses.count == 6)
    for (pause, longest) in zip(result.pauses, [0.5, 1, 2, 4, 8, 8]) {
      #expect(pause > 0.75 * longest && pause <= longest)
    }
    #expect(Set(zip(result.pauses, [0.5, 1, 2, 4, 8, 8]).map { $0 / $1 }).count == 6, "pauses without jitter")
  }

  @Test func `a server that fails at every try is a fault after the last one`() throws {
    let caught = fault(.environment, containing: "1 of 1 questions", "HTTP 500: boom") {
      _ = try ask(failures: (0..<7).map { _ in .http(500, "boom") })
    }
    #expect(caught != nil)
  }

  @Test(arguments: [408, 409, 429, 500, 502, 503, 504, 529, 599])
  func `a status that may pass is tried again`(status: Int) throws {
    #expect(try ask(failures: [.http(status, "")]).requests == 2)
  }

  @Test(arguments: [400, 401, 402, 403, 404, 405, 413, 422, 451])
  func `a status that will not pass is not tried again`(status: Int) throws {
    fault(.environment, containing: "HTTP \(status): no") { _ = try ask(failures: [.http(status, "no")]) }
  }

  @Test func `x-should-retry decides against the status`() throws {
    #expect(try ask(failures: [.http(400, ["x-should-retry: true"], "")]).requests == 2)
    fault(.environment, containing: "HTTP 500") {
      _ = try ask(failures: [.http(500, ["x-should-retry: false"], "")])
    }
  }

  @Test func `a used-up quota of the account is not tried again`() throws {
    let body =
      #"{"error":{"message":"You exceeded your quota","type":"insufficient_quota","code":"insufficient_quota"}}"#
    fault(.environment, containing: "You exceeded your quota", "used up") {
      _ = try ask(failures: [.http(429, ["Retry-After: 1"], body)])
    }
  }

  @Test func `bodies that are cut off or wrong are asked for again`() throws {
    let whole = ScriptedServer.Reply.completion("B")
    let text = completionBody("B")
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(String(text.utf8.count, radix: 16))\r\n"
    let unframed = "HTTP/1.1 200 OK\r\n\r\n"
    let replies: [ScriptedServer.Reply] = [
      whole.cut(1), whole.cut(text.utf8.count),
      .init(bytes: Array((chunked + text).utf8).dropLast(20), ending: .closes),
      .init(bytes: Array((unframed + text).utf8).dropLast(3), ending: .closes), .init(bytes: [], ending: .closes),
      .init(bytes: Array("HTTP/1.1 200".utf8), ending: .closes), .body("<html>busy</html>"), .body("[]"),
      .body("{}"), .body(#"{"choices":[]}"#), .body(#"{"choices":[{"message":"A"}]}"#),
      .body(#"{"error":{"message":"overloaded","code":503}}"#), .body("\u{0}\u{1}\u{2}"),
    ]
    for reply in replies {
      let result = try ask(failures: [reply])
      #expect(result.requests == 2, "\(String(decoding: reply.bytes, as: UTF8.self))")
      #expect(result.answer.probabilities == [1, 0])
    }
  }

  @Test func `a server that stops in the middle is left and asked again`() throws {
    let begun = ScriptedServer.Reply(
      bytes: Array(ScriptedServer.Reply.completion("B").bytes.dropLast(9)), ending: .stalls)
    let silent = ScriptedServer.Reply(bytes: [], ending: .stalls)
    #expect(try ask(failures: [silent]) { $0.stallSeconds = 1 }.requests == 2)
    #expect(try ask(failures: [silent, begun]) { $0.timeoutSeconds = 0.3 }.requests == 3)
  }

  @Test func `a refused connection is tried again, and a fault in the end`() throws {
    let directory = try TemporaryDirectory()
    let time = FakeTime()
    let server = ScriptedServer { _ in .completion("A") }
    server.stop()
    let model = try APILabellingModel(settings: settings(server.url, directory), waiting: time.waiting)
    fault(.environment, containing: "Couldn't connect") { _ = try model.answers(to: [question("?")]) }
    #expect(time.pauses.count == 6)
  }

  @Test(arguments: [301, 302, 303, 307, 308])
  func `a redirect is not followed`(status: Int) throws {
    let directory = try TemporaryDirectory()
    let thief = ScriptedServer { _ in .completion("A") }
    let server = ScriptedServer { [url = thief.url] _ in .http(status, ["Location: \(url)/chat/completions"], "") }
    defer {
      thief.stop()
      server.stop()
    }
    let model = try APILabellingModel(settings: settings(server.url, directory), waiting: FakeTime().waiting)
    fault(.environment, containing: "HTTP \(status)", "points elsewhere") { _ = try model.answers(to: [question("?")]) }
    #expect(server.requests.count == 1)
    #expect(thief.requests.isEmpty)
  }

  @Test func `a stop ends the wait for another try and keeps what there is`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { $0.messages.last == "1" ? .completion("A") : .http(500, "") }
    defer { server.stop() }
    var waiting = FakeTime().waiting
    waiting.isStopping = { server.requests.count > 2 }
    let configuration = settings(server.url, directory)
    let model = try APILabellingModel(settings: configuration, waiting: waiting)
    fault(.interrupted, containing: "stopped") { _ = try model.answers(to: [question("1"), question("2")]) }
    #expect(server.requests.count == 3)
    let again = try APILabellingModel(settings: configuration, waiting: FakeTime().waiting)
    #expect(try again.answers(to: [question("1")])[0].probabilities == [1, 0])
    #expect(again.report.stored == 1)
  }
}

extension ScriptedServer.Reply {
  fileprivate static func http(_ status: Int, _ body: String) -> Self { http(status, [], body) }
}
