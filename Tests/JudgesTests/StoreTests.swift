import AlignmentCore
import Checkpoints
import Glibc
import JSON
import Judges
import TestServer
import Testing

@Suite struct StoreTests {
  private func model(
    _ server: ScriptedServer, _ directory: TemporaryDirectory, _ change: (inout APISettings) -> Void = { _ in }
  )
    throws -> APILabellingModel
  {
    try APILabellingModel(settings: settings(server.url, directory, change), waiting: FakeTime().waiting)
  }

  @Test func `a stored answer is the same answer, for nothing`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer {
      $0.number == 0 ? .http(500, [], "") : .completion("A", tokens: [[("A", log(0.7)), ("B", log(0.3))]])
    }
    let first = try model(server, directory).answers(to: [question("1"), question("2")])
    server.stop()
    let offline = try model(server, directory)
    #expect(try offline.answers(to: [question("1"), question("2")]) == first)
    #expect(first.map(\.cost.requests) == [2, 1])
    #expect(offline.report.stored == 2)
    #expect(offline.report.spent == Spending())
  }

  @Test func `whatever an answer may depend on makes another key`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("A") }
    defer { server.stop() }
    let changes: [(inout APISettings) -> Void] = [
      { _ in }, { $0.model = "judge-2" }, { $0.temperature = 0.5 }, { $0.temperature = nil }, { $0.maxTokens = 9 },
      { $0.tokenLimitField = .maxCompletionTokens }, { $0.seed = 1 }, { $0.seed = nil },
      { $0.asksLogProbabilities = false },
      { $0.serverName = "elsewhere" }, { $0.usesSystemRole = false },
    ]
    for change in changes { _ = try model(server, directory, change).answers(to: [question("?")]) }
    #expect(server.requests.count == changes.count)
    for change in changes { _ = try model(server, directory, change).answers(to: [question("?")]) }
    #expect(server.requests.count == changes.count)
    var other = question("?")
    other.system = "Judge well."
    #expect(Set(try changes.map { try model(server, directory, $0).identity }).count == changes.count)
    _ = try model(server, directory).answers(to: [other])
    #expect(server.requests.count == changes.count + 1)
  }

  @Test func `a server by name keeps its answers at another address`() throws {
    let directory = try TemporaryDirectory()
    for _ in 0..<2 {
      let server = ScriptedServer { _ in .completion("A") }
      defer { server.stop() }
      let labeller = try model(server, directory) { $0.serverName = "our vLLM" }
      _ = try labeller.answers(to: [question("?")])
      #expect(labeller.identity.contains("our vLLM"))
    }
    let last = ScriptedServer { _ in .completion("B") }
    defer { last.stop() }
    #expect(
      try model(last, directory) { $0.serverName = "our vLLM" }.answers(to: [question("?")])[0].probabilities == [1, 0])
    #expect(last.requests.isEmpty)
  }

  @Test func `what was answered before a fault is kept`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { $0.messages[1] == "7" ? .http(401, [], "no key") : .completion("A") }
    defer { server.stop() }
    let questions = (0..<8).map { question(String($0)) }
    fault(.environment, containing: "no key", "does not accept the key") {
      _ = try model(server, directory).answers(to: questions)
    }
    let again = try model(server, directory)
    _ = try again.answers(to: Array(questions[..<7]))
    #expect(again.report.stored == 7)
  }

  @Test func `a few questions may stay unanswered, more are a fault`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { Int($0.messages[1])! % 20 == 0 ? .http(400, [], "content filter") : .completion("A") }
    defer { server.stop() }
    let labeller = try model(server, directory)
    let answers = try labeller.answers(to: (0..<40).map { question(String($0)) })
    #expect(answers.indices.filter { answers[$0].absence == .unanswered } == [0, 20])
    #expect(labeller.report.firstReason == "HTTP 400: content filter")
    fault(.environment, containing: "2 of 39 questions", "content filter") {
      _ = try model(server, directory).answers(to: (0..<39).map { question(String($0)) })
    }
  }

  @Test func `processes that share a store wait for each other and share answers`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("A") }
    defer { server.stop() }
    // Connections of one process lock each other out as those of several do.
    let models = try (0..<4).map { _ in try model(server, directory) { $0.concurrency = 2 } }
    let results = Results(models.count)
    for (index, labeller) in models.enumerated() {
      nonisolated(unsafe) let labeller = labeller  // used by this thread alone until it is joined
      inThread { results[index] = Result { try labeller.answers(to: (0..<12).map { question(String($0)) }) } }
    }
    for result in results.all() { #expect(try result.get().allSatisfy { $0.probabilities == [1, 0] }) }
    let spending = try models[0].budgetSpending()
    #expect(spending.spent.requests == server.requests.count)
    #expect(try model(server, directory).answers(to: (0..<12).map { question(String($0)) }).count == 12)
    #expect(try models[0].budgetSpending().spent == spending.spent)
  }

  @Test func `a file that is no store is refused and left as it is`() throws {
    let directory = try TemporaryDirectory()
    let path = directory("answers.sqlite")
    try AtomicFile.write(path, Array("prompt,answer\n".utf8) + [UInt8](repeating: 7, count: 5000))
    let before = try directory.contents()
    fault(.data, containing: path) { _ = try AnswerStore(path: path) }
    #expect(try directory.contents() == before)
  }

  @Test func `a store in a directory that is not there is refused`() throws {
    let directory = try TemporaryDirectory()
    fault(.unwritable, containing: "there is no directory") {
      _ = try AnswerStore(path: directory("no/answers.sqlite"))
    }
  }

  @Test func `a store of another version is refused`() throws {
    let directory = try TemporaryDirectory()
    let path = directory("answers.sqlite")
    _ = try AnswerStore(path: path)
    var bytes = try FileSystem.readWhole(path)
    // The user version, four bytes at offset 60 of a file of SQLite.
    bytes[63] += 1
    try AtomicFile.write(path, bytes)
    fault(.data, containing: "this version") { _ = try AnswerStore(path: path) }
  }
}

/// Results of threads, gathered.
private final class Results: @unchecked Sendable {
  // Under `lock`.
  private var values: [Result<[JudgeAnswer], any Error>?]
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init(_ count: Int) {
    values = Array(repeating: nil, count: count)
    pthread_mutex_init(lock, nil)
  }

  subscript(index: Int) -> Result<[JudgeAnswer], any Error>? {
    get { locked { values[index] } }
    set { locked { values[index] = newValue } }
  }

  /// Waits for every one of them.
  func all() -> [Result<[JudgeAnswer], any Error>] {
    while locked({ values.contains { $0 == nil } }) { usleep(1000) }
    return locked { values.compactMap(\.self) }
  }

  private func locked<T>(_ body: () -> T) -> T {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }
}
