import AlignmentCore
import Glibc
import JSON
import Judges
import TestServer
import Testing

@Suite struct ChatTests {
  private func answer(
    _ reply: ScriptedServer.Reply, options: [String] = ["A", "B"], _ change: (inout APISettings) -> Void = { _ in }
  ) throws -> JudgeAnswer {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in reply }
    defer { server.stop() }
    let model = try APILabellingModel(settings: settings(server.url, directory, change), waiting: FakeTime().waiting)
    return try model.answers(to: [JudgePrompt(user: "?", options: options)])[0]
  }

  private func request(_ prompt: JudgePrompt, _ change: (inout APISettings) -> Void) throws -> ScriptedServer.Request {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("A") }
    defer { server.stop() }
    let model = try APILabellingModel(settings: settings(server.url, directory, change), waiting: FakeTime().waiting)
    _ = try model.answers(to: [prompt])
    return try #require(server.requests.first)
  }

  @Test func `a request is what the wire format says`() throws {
    let prompt = JudgePrompt(system: "Be \"fair\".", user: "é\n{}", options: ["A", "B"])
    let plain = try request(prompt) { $0.baseURL += "/" }
    #expect(plain.line == "POST /v1/chat/completions HTTP/1.1")
    #expect(plain.headers["authorization"] == "Bearer \(secret)")
    #expect(plain.headers["content-type"] == "application/json")
    #expect(
      String(decoding: plain.body, as: UTF8.self)
        == #"{"model":"judge-1","messages":[{"role":"system","content":"Be \"fair\"."},"#
        + #"{"role":"user","content":"é\n{}"}],"max_tokens":8,"temperature":0.0,"seed":0,"#
        + #""logprobs":true,"top_logprobs":20}"#)
    let changed = try request(prompt) {
      $0.tokenLimitField = .maxCompletionTokens
      $0.temperature = nil
      $0.seed = nil
      $0.asksLogProbabilities = false
      $0.usesSystemRole = false
      $0.keyVariable = ""
    }
    #expect(
      String(decoding: changed.body, as: UTF8.self)
        == #"{"model":"judge-1","messages":[{"role":"user","content":"Be \"fair\".\n\né\n{}"}],"max_completion_tokens":8}"#
    )
    #expect(changed.headers["authorization"] == nil)
  }

  @Test func `a long request is sent at once`() throws {
    let text = String(repeating: "0123456789abcdef", count: 200_000)
    let sent = try request(question(text)) { _ in }
    #expect(sent.messages.last == text)
    #expect(sent.headers["expect"] == nil)
  }

  @Test func `probabilities are the shares of the options among the likeliest tokens`() throws {
    let tokens = [[("A", log(0.5)), (" B", log(0.2)), ("b", log(0.1)), ("The", log(0.15)), ("\n", -9999.0)]]
    let result = try answer(.completion("A", tokens: tokens))
    let probabilities = try #require(result.probabilities)
    #expect(abs(probabilities[0] - 0.5 / 0.8) < 1e-12)
    #expect(abs(probabilities[1] - 0.3 / 0.8) < 1e-12)
    #expect(result.evidence == .logProbabilities)
    #expect(result.texts == ["A"])
  }

  @Test func `a first token that is no option still shows the options behind it`() throws {
    let result = try answer(.completion("The", tokens: [[("The", log(0.4)), ("A", log(0.15)), ("B", log(0.45))]]))
    #expect(abs(try #require(result.probabilities)[0] - 0.25) < 1e-12)
  }

  @Test func `a word that begins a sentence is no verdict`() throws {
    let tokens = [[("A", log(0.9)), ("B", log(0.1))], [(" close", log(0.5))], [(" call", log(0.5))]]
    #expect(try answer(.completion("A close call", tokens: tokens)).absence == .unreadable)
  }

  @Test func `tokens that leave too little to the options are not read`() throws {
    let tokens = [[("It", log(0.7)), ("A", log(0.2)), ("B", log(0.1))]]
    #expect(try answer(.completion("It", tokens: tokens)).absence == .unreadable)
    let read = try answer(.completion("It", tokens: tokens)) { $0.leastOptionMass = 0.25 }
    #expect(abs(try #require(read.probabilities)[0] - 2.0 / 3) < 1e-12)
  }

  @Test func `the verdict behind an explanation is read at its own token`() throws {
    let tokens = [
      [("A", log(0.99)), ("B", log(0.01))], [(" is", -0.1)], [(" shorter", -0.1)], [(".\n", -0.1)],
      [("Verdict", -0.1)], [(":", -0.1)], [(" B", log(0.6)), (" A", log(0.2))], [("<|end|>", -0.1)],
    ]
    let result = try answer(.completion("A is shorter.\nVerdict: B", tokens: tokens))
    #expect(abs(try #require(result.probabilities)[0] - 0.25) < 1e-12)
  }

  @Test func `an option of two tokens is followed along what was written`() throws {
    let options = (1...10).map(String.init)
    let tokens = [[("1", log(0.6)), ("7", log(0.4))], [("0", log(0.75)), ("", log(0.25))]]
    let probabilities = try #require(try answer(.completion("10", tokens: tokens), options: options).probabilities)
    #expect(abs(probabilities[9] - 0.45) < 1e-12)
    #expect(abs(probabilities[0] - 0.15) < 1e-12)
    #expect(abs(probabilities[6] - 0.4) < 1e-12)
  }

  @Test(arguments: [
    #""logprobs":null"#, #""logprobs":{"content":null}"#, #""logprobs":{"content":[]}"#, #""logprobs":7"#, #""x":0"#,
    #""logprobs":{"content":[{"token":"A"}]}"#,
    #""logprobs":{"content":[{"token":"A","logprob":null,"top_logprobs":[]}]}"#,
    #""logprobs":{"content":[{"token":"A","logprob":-9999.0,"top_logprobs":null}]}"#,
    #""logprobs":{"content":[{"token":"A","logprob":-Infinity,"top_logprobs":[{"token":"NaN","logprob":NaN}]}]}"#,
    #""logprobs":{"content":[{"logprob":-0.1}]}"#,
  ])
  func `an answer whose probabilities say nothing is read as text`(logprobs: String) throws {
    let result = try answer(.body(#"{"choices":[{"message":{"content":"A"},\#(logprobs)}]}"#))
    #expect(result.probabilities == [1, 0])
    #expect(result.evidence == .votes)
  }

  @Test(arguments: [
    #"{"content":null}"#, #"{"content":null,"refusal":"I can't."}"#, #"{"content":""}"#, #"{"content":[]}"#, "{}",
    #"{"content":7}"#,
  ])
  func `an answer without text is paid for and unreadable`(message: String) throws {
    let result = try answer(.body(#"{"choices":[{"message":\#(message)}],"usage":{"prompt_tokens":5}}"#))
    #expect(result.absence == .unreadable)
    #expect(result.cost.promptTokens == 5)
    #expect(result.cost.requests == 1)
  }

  @Test func `a last line that the limit of tokens made is no verdict, a single letter is one`() throws {
    let cut = "It is hard to say.\nA"
    #expect(try answer(.completion(cut, finish: "length")).absence == .unreadable)
    #expect(try answer(.completion(cut)).probabilities == [1, 0])
    let tokens = [[("A", log(0.9)), ("B", log(0.1))]]
    #expect(try answer(.completion("A", tokens: tokens, finish: "length")).evidence == .logProbabilities)
  }

  @Test func `a text in parts is put together`() throws {
    let body = #"{"choices":[{"message":{"content":[{"type":"text","text":"Verdict: "},{"type":"text","text":"B"}]}}]}"#
    #expect(try answer(.body(body)).probabilities == [0, 1])
  }

  @Test(arguments: [
    (#"{"error":{"message":"bad model","type":"invalid_request_error"}}"#, "bad model"),
    (#"{"error":"bad model"}"#, "bad model"), (#"{"detail":"bad model"}"#, "bad model"),
    (#"{"detail":[{"loc":["body","seed"],"msg":"extra fields"}]}"#, "extra fields"),
    (#"{"message":"bad model"}"#, "bad model"), ("bad\nmodel\u{1b}[2J", "bad model [2J"), ("", "no words"),
  ])
  func `an error is reported in the server's words, in one line`(body: String, words: String) throws {
    let caught = fault(.environment, containing: words, "422", "request req-9") {
      _ = try answer(.http(422, ["x-request-id: req-9"], body))
    }
    #expect(caught?.description.contains { $0.isNewline || $0 == "\u{1b}" } == false)
  }

  @Test(arguments: [
    "A", " a ", "**B**", "[[A]]", "Verdict: A", "Final verdict: **B**", "Let me see.\n\nA is long.\n(B)", "Response A",
    "```json\n{\"verdict\": \"A\"}\n```", "Reasons …\n```\n{\"winner\": \"b\"}\n```\nThat is all.", #"{"choice":"B"}"#,
    #"["A","B"]"#, #"[{"model":"B","rank":1},{"model":"A","rank":2}]"#,
    "Ranking:\n[{'model': 'A', 'rank': 2}, {'model': 'B', 'rank': 1}]",
  ])
  func `verdicts in text are read by an ordered list of parsers`(text: String) throws {
    let isB =
      text.contains("B**") || text.contains("(B)") || text.contains("\"b\"") || text.contains(#":"B"}"#)
      || text.contains(#"{"model":"B","rank":1}"#) || text.contains("'B', 'rank': 1")
    #expect(try answer(.completion(text)).probabilities == (isB ? [0, 1] : [1, 0]))
  }

  @Test(arguments: ["tie", "C", "[[C]]", "Verdict: Tie", #"[{"model":"A","rank":1},{"model":"B","rank":1}]"#])
  func `a tie is half and half`(text: String) throws {
    #expect(try answer(.completion(text)).probabilities == [0.5, 0.5])
  }

  @Test(arguments: [
    "", "   \n", "A and B are equal", "Both", "A or B", "AB", "D", "The answer is A", "B.\nA hard choice",
    "I prefer A because:\nit is shorter", "A/B",
    "```json\n{\"verdict\": \"A\"}\n```\n```json\n{\"verdict\": \"B\"}\n```",
    "```json\n{\"verdict\": \"X\"}\n```", #"["A","A"]"#, #"[{"model":"A","rank":1}]"#, "[[", "][",
    "```", "Note: A", "{\"verdict\": null}", "\u{0}", "🅰️", "Ａ",
  ])
  func `a text without a clear verdict is none`(text: String) throws {
    #expect(try answer(.completion(text)).absence == .unreadable)
  }

  @Test(arguments: [("8", 7), ("Score: 8", 7), ("Fine.\nFinal score: 8/10", 7), ("10", 9), ("**1**", 0)])
  func `scores are read like any option`(text: String, place: Int) throws {
    let result = try answer(.completion(text), options: (1...10).map(String.init))
    #expect(result.probabilities?.firstIndex(of: 1) == place)
  }

  @Test(arguments: ["11", "0", "7.5", "-3", "8/9", "Score: none"])
  func `a score off the scale is none`(text: String) throws {
    #expect(try answer(.completion(text), options: (1...10).map(String.init)).absence == .unreadable)
  }

  @Test func `no text makes the parsers fail, and none of noise is a verdict by accident of length`() throws {
    let pieces = [
      "A", "B", "[", "]", "{", "}", "\"", "'", ":", ",", "```", "\n", " ", "verdict", "model", "rank", "1", "é", "\\",
    ]
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { request in
      let stream = RandomStream(seed: 7, purpose: .judging, Int(request.messages[1])!)
      let length = stream.integer(below: 12, at: 0)
      return .completion((0..<length).map { pieces[stream.integer(below: pieces.count, at: 1 + $0)] }.joined())
    }
    defer { server.stop() }
    let model = try APILabellingModel(settings: settings(server.url, directory), waiting: FakeTime().waiting)
    let answers = try model.answers(to: (0..<150).map { question(String($0)) })
    for answer in answers {
      guard let probabilities = answer.probabilities else { continue }
      #expect(probabilities.reduce(0, +) == 1)
      #expect(answer.texts[0].contains(probabilities == [1, 0] ? "A" : "B") || probabilities == [0.5, 0.5])
    }
  }

  @Test func `without probabilities the votes decide, each with a seed of its own`() throws {
    let directory = try TemporaryDirectory()
    let verdicts = ["A", "B", "A", "none", "A"]
    let server = ScriptedServer { .completion(verdicts[$0.number]) }
    defer { server.stop() }
    let configuration = settings(server.url, directory) {
      $0.votes = 5
      $0.temperature = 0.7
      $0.seed = 40
    }
    let model = try APILabellingModel(settings: configuration, waiting: FakeTime().waiting)
    let answer = try model.answers(to: [question("?")])[0]
    #expect(answer.probabilities == [0.75, 0.25])
    #expect(answer.evidence == .votes)
    #expect(answer.texts == verdicts)
    #expect(answer.cost.requests == 5)
    #expect(server.requests.map { $0.json?["seed"]?.intValue } == [40, 41, 42, 43, 44])
    #expect(model.report.withoutProbabilities == 1)
  }

  @Test func `an answer with probabilities needs no votes`() throws {
    let result = try answer(.completion("A", tokens: [[("A", log(0.9)), ("B", log(0.1))]])) {
      $0.votes = 5
      $0.temperature = 1
    }
    #expect(result.texts.count == 1)
  }

  @Test func `requests run side by side up to the cap and answers keep the order of the questions`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { request in
      var reply = ScriptedServer.Reply.completion(Int(request.messages[1])! % 3 == 0 ? "A" : "B")
      reply.delay = 30_000
      return reply
    }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) { $0.concurrency = 4 }, waiting: FakeTime().waiting)
    // Each question twice: equal ones are asked once.
    let answers = try model.answers(to: (0..<40).map { question(String($0 / 2)) })
    #expect(answers.map { $0.probabilities?[0] } == (0..<40).map { $0 / 2 % 3 == 0 ? 1 : 0 })
    #expect(server.mostUnderWay == 4)
    #expect(server.requests.count == 20)
  }

  @Test func `a setting that cannot be is refused by its name`() throws {
    let directory = try TemporaryDirectory()
    let changes: [(String, (inout APISettings) -> Void)] = [
      ("base_url", { $0.baseURL = "file:///etc/passwd" }), ("base_url", { $0.baseURL = "ftp://host/v1" }),
      ("base_url", { $0.baseURL = "host/v1" }), ("base_url", { $0.baseURL = "https://" }),
      ("base_url", { $0.baseURL = "https://user:pass@host/v1" }),
      ("base_url", { $0.baseURL = "https://host/v1?key=x" }),
      ("base_url", { $0.baseURL = "https://ho st/v1" }), ("model", { $0.model = "" }), ("votes", { $0.votes = 3 }),
      ("votes", { $0.votes = 0 }), ("temperature", { $0.temperature = .nan }), ("max_tokens", { $0.maxTokens = 0 }),
      ("retries", { $0.retries = -1 }), ("concurrency", { $0.concurrency = 0 }), ("store", { $0.storePath = "" }),
      ("timeout_seconds", { $0.timeoutSeconds = 0 }), ("connect_seconds", { $0.connectSeconds = .infinity }),
      ("stall_seconds", { $0.stallSeconds = 0 }), ("least_option_mass", { $0.leastOptionMass = 2 }),
      ("unanswered_limit", { $0.unansweredLimit = -1 }), ("budget.requests", { $0.budget.requests = -1 }),
      ("budget.tokens", { $0.budget.tokens = -1 }), ("budget.money", { $0.budget.money = -1 }),
      ("budget.money", { $0.budget.money = 1 }), ("budget.name", { $0.budget.name = "" }),
      ("prices.prompt", { $0.prices.prompt = .nan }), ("template_tokens", { $0.templateTokens = -1 }),
      ("prices.completion", { $0.prices.completion = -1 }),
    ]
    for (name, change) in changes {
      fault(.configuration, containing: "api.\(name)") {
        try settings("http://localhost/v1", directory, change).validate()
      }
    }
    try settings("http://localhost/v1", directory).validate()
  }
}
