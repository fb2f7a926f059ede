import AlignmentCore
import Checkpoints
import Glibc
import JSON
import Judges
import Synchronization
import TestServer
import Testing

/// What a child process does until it is killed: it labels, over one store, what the server at `port` is asked.
private func label(port: UInt16, store: String, questions: Int, time: Waiting = FakeTime().waiting) throws
  -> [JudgeAnswer]
{
  var settings = APISettings()
  settings.baseURL = "http://127.0.0.1:\(port)/v1"
  settings.serverName = "crash"
  settings.model = "judge-1"
  settings.keyVariable = ""
  settings.storePath = store
  settings.concurrency = 3
  settings.budget.tokens = 1_000_000
  return try APILabellingModel(settings: settings, waiting: time).answers(
    to: (0..<questions).map { question(String($0)) })
}

@Suite struct ProcessTests {
  @Test func `kill -9 at any moment loses no label and pays for none twice but those under way`() async throws {
    let directory = try TemporaryDirectory()
    let store = directory("answers.sqlite")
    let questions = 60
    let delivered = Mutex([Int: Int]())
    let server = ScriptedServer { request in
      let number = Int(request.messages[1])!
      delivered.withLock { $0[number, default: 0] += 1 }
      var reply = ScriptedServer.Reply.completion("A", tokens: [[("A", -0.1 * Double(number)), ("B", -1)]])
      reply.delay = 2000
      return reply
    }
    defer { server.stop() }
    let kills = 4
    for kill in 0..<kills {
      let (port, milliseconds) = (server.port, 40 + 60 * kill)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [port = port as UInt16, store = store as String, milliseconds = milliseconds as Int] in
        inThread {
          usleep(UInt32(milliseconds) * 1000)
          Glibc.kill(getpid(), SIGKILL)
        }
        _ = try label(port: port, store: store, questions: 1_000_000)
      }
      // What is in the store now must never be asked again.
      let kept = try offline(store, questions)
      let before = delivered.withLock { $0 }
      _ = try label(port: server.port, store: store, questions: min(questions, kept.count + 5))
      let after = delivered.withLock { $0 }
      for question in kept { #expect(after[question] == before[question], "question \(question) was paid for again") }
    }
    let resumed = try label(port: server.port, store: store, questions: questions)
    let unbroken = try label(port: server.port, store: directory("other.sqlite"), questions: questions)
    #expect(resumed == unbroken)
    #expect(resumed.allSatisfy { $0.probabilities != nil })
    // One delivery is the unbroken run's; each kill may waste one for each thread.
    let wasted = delivered.withLock { all in (0..<questions).map { all[$0]! - 2 }.reduce(0, +) }
    #expect(wasted >= 0 && wasted <= 3 * kills)
  }

  /// The questions whose answers are in a store.
  private func offline(_ store: String, _ questions: Int) throws -> [Int] {
    var settings = APISettings()
    settings.baseURL = "http://127.0.0.1:9/v1"
    settings.serverName = "crash"
    settings.model = "judge-1"
    settings.keyVariable = ""
    settings.storePath = store
    settings.budget = Budget(requests: 0)
    let answers = try APILabellingModel(settings: settings, waiting: FakeTime().waiting).answers(
      to: (0..<questions).map { question(String($0)) })
    return answers.indices.filter { answers[$0].probabilities != nil }
  }

  @Test func `a proxy of the environment is asked`() async throws {
    let directory = try TemporaryDirectory()
    let proxy = ScriptedServer { _ in .completion("A") }
    defer { proxy.stop() }
    let port = proxy.port
    // In a process of its own, since all connections of a process see the variable.
    await #expect(processExitsWith: .success) { [port = port as UInt16, store = directory("a.sqlite") as String] in
      setenv("http_proxy", "http://127.0.0.1:\(port)", 1)
      var settings = APISettings()
      settings.baseURL = "http://judge.invalid/v1"
      settings.model = "judge-1"
      settings.keyVariable = ""
      settings.storePath = store
      let answers = try APILabellingModel(settings: settings).answers(to: [question("?")])
      #expect(answers[0].probabilities == [1, 0])
    }
    #expect(proxy.requests.map(\.line) == ["POST http://judge.invalid/v1/chat/completions HTTP/1.1"])
  }

  @Test func `what a killed process had reserved stays counted`() async throws {
    let directory = try TemporaryDirectory()
    let store = directory("answers.sqlite")
    let server = ScriptedServer { _ in ScriptedServer.Reply(bytes: [], ending: .stalls) }
    defer { server.stop() }
    let port = server.port
    await #expect(processExitsWith: .signal(SIGKILL)) { [port = port as UInt16, store = store as String] in
      inThread {
        sleep(1)
        Glibc.kill(getpid(), SIGKILL)
      }
      _ = try label(port: port, store: store, questions: 3)
    }
    let spending = try AnswerStore(path: store).spending(of: "default")
    #expect(spending.spent.requests == 0)
    #expect(spending.reserved.requests == 3)
    #expect(spending.reserved.tokens > 3 * 256)
  }
}
