import AlignmentCore
import Glibc
import JSON
import Judges
import Synchronization
import TestServer
import Testing

@Suite struct BudgetTests {
  /// What a server billed, which its clients need not know.
  private final class Bill: Sendable {
    private let state = Mutex((requests: 0, tokens: 0, money: 0.0, paid: [String: Int]()))

    func add(prompt: Int, completion: Int, prices: TokenPrices) {
      state.withLock { state in
        state.tokens += prompt + completion
        state.money += (Double(prompt) * prices.prompt + Double(completion) * prices.completion) / 1e6
      }
    }

    func addRequest() { state.withLock { $0.requests += 1 } }
    /// A whole answer went out.
    func deliver(_ question: String) { state.withLock { $0.paid[question, default: 0] += 1 } }

    var requests: Int { state.withLock { $0.requests } }
    var tokens: Int { state.withLock { $0.tokens } }
    var money: Double { state.withLock { $0.money } }
    var paid: [String: Int] { state.withLock { $0.paid } }
  }

  private static let prices = TokenPrices(prompt: 2.5, completion: 10)

  /// A server that answers, fails and breaks off at random, and bills all that it worked for.
  private func server(seed: UInt64, failures: Double, _ bill: Bill) -> ScriptedServer {
    ScriptedServer { request in
      bill.addRequest()
      let stream = RandomStream(seed: seed, purpose: .judging, request.number)
      // As many tokens as a tokenizer could make of the request at most, and as the request allows for the answer.
      let prompt = 1 + stream.integer(below: request.messages.reduce(0) { $0 + $1.utf8.count }, at: 0)
      let completion = 1 + stream.integer(below: request.json?["max_tokens"]?.intValue ?? 1, at: 1)
      let isBilled = stream.uniform(at: 2) >= failures / 2
      if isBilled { bill.add(prompt: prompt, completion: completion, prices: Self.prices) }
      let whole = ScriptedServer.Reply.completion("A", usage: stream.uniform(at: 3) < 0.8 ? (prompt, completion) : nil)
      if !isBilled { return .http([429, 500, 503][stream.integer(below: 3, at: 4)], [], "") }
      if stream.uniform(at: 5) < failures / 2 { return whole.cut(1 + stream.integer(below: 200, at: 6)) }
      bill.deliver(request.messages[1])
      return whole
    }
  }

  @Test(arguments: 0..<12) func `no budget is exceeded, whatever the server does`(seed: UInt64) throws {
    let stream = RandomStream(seed: seed, purpose: .evaluation)
    let budget = Budget(
      requests: seed % 3 == 0 ? 5 + stream.integer(below: 40, at: 0) : nil,
      tokens: seed % 3 == 1 ? stream.integer(below: 5000, at: 1) : nil,
      money: seed % 3 == 2 ? stream.uniform(at: 2) * 0.01 : nil)
    let directory = try TemporaryDirectory()
    let bill = Bill()
    let server = server(seed: seed, failures: seed % 2 == 0 ? 0.6 : 0.2, bill)
    defer { server.stop() }
    // Three runs over one store, as after crashes; each asks for more.
    for run in 1...3 {
      let model = try APILabellingModel(
        settings: settings(server.url, directory) {
          $0.budget = budget
          $0.prices = Self.prices
          $0.concurrency = 1 + stream.integer(below: 6, at: 2 + run)
          $0.unansweredLimit = 1
          $0.retries = 2
        }, waiting: FakeTime().waiting)
      let answers = try model.answers(to: (0..<15 * run).map { question("question \($0)") })
      #expect(bill.requests <= budget.requests ?? .max)
      #expect(bill.tokens <= budget.tokens ?? .max)
      #expect(bill.money <= (budget.money ?? .infinity) * (1 + 1e-12))
      let spending = try model.budgetSpending()
      #expect(spending.spent.requests == bill.requests)
      #expect(spending.spent.tokens >= bill.tokens)
      #expect(spending.spent.money >= bill.money * (1 - 1e-12))
      #expect(spending.reserved == Spending())
      // What was delivered is there, and was delivered once.
      #expect(bill.paid.values.allSatisfy { $0 == 1 })
      let labelled = Set(answers.indices.filter { answers[$0].probabilities != nil }.map { "question \($0)" })
      #expect(labelled == Set(bill.paid.keys))
      #expect(answers.allSatisfy { $0.probabilities != nil || $0.absence == .unfunded || $0.absence == .unanswered })
    }
  }

  @Test func `a budget of requests is used to its last one, and the rest abstains`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("B") }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) {
        $0.budget.requests = 10
        $0.concurrency = 8
      }, waiting: FakeTime().waiting)
    let answers = try model.answers(to: (0..<25).map { question(String($0)) })
    #expect(answers.filter { $0.probabilities == [0, 1] }.count == 10)
    #expect(answers.filter { $0.absence == .unfunded }.count == 15)
    #expect(server.requests.count == 10)
    #expect(model.report.unfunded == 15)
    #expect(model.report.remarks == ["the budget is used up: 15 of 25 questions were not asked"] + votes(10, of: 25))
  }

  private func votes(_ count: Int, of questions: Int) -> [String] {
    ["the server gave no probabilities for \(count) of \(questions) questions; votes decided them"]
  }

  @Test func `what requests under way have reserved is waited for, not given up`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in
      var reply = ScriptedServer.Reply.completion("B", usage: (10, 1))
      reply.delay = 2000
      return reply
    }
    defer { server.stop() }
    let limit = 1000
    let model = try APILabellingModel(
      settings: settings(server.url, directory) {
        $0.budget.tokens = limit
        $0.concurrency = 8
      }, waiting: FakeTime().waiting)
    // A request reserves some 270 tokens and takes 11: three fit at a time, far more in all.
    let answers = try model.answers(to: (0..<100).map { question(String($0)) })
    let spent = try model.budgetSpending().spent.tokens
    #expect(spent <= limit && spent > limit - 300)
    #expect(answers.filter { $0.probabilities != nil }.count == spent / 11)
    #expect(server.mostUnderWay <= 3)
  }

  @Test func `a budget is remembered by its name`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("B") }
    defer { server.stop() }
    func answered(_ name: String, _ questions: Range<Int>, limit: Int) throws -> Int {
      let model = try APILabellingModel(
        settings: settings(server.url, directory) { $0.budget = Budget(name: name, requests: limit) },
        waiting: FakeTime().waiting)
      return try model.answers(to: questions.map { question(String($0)) }).filter { $0.probabilities != nil }.count
    }
    #expect(try answered("first", 0..<5, limit: 3) == 3)
    #expect(try answered("first", 0..<5, limit: 3) == 3)
    #expect(try answered("first", 0..<8, limit: 5) == 5)
    #expect(try answered("second", 0..<8, limit: 1) == 6)
    #expect(server.requests.count == 6)
  }

  @Test func `unlimited spending is counted, too, and limits a later run`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("B", usage: (100, 2)) }
    defer { server.stop() }
    let free = try APILabellingModel(
      settings: settings(server.url, directory) { $0.prices = Self.prices }, waiting: FakeTime().waiting)
    let answers = try free.answers(to: (0..<4).map { question(String($0)) })
    #expect(free.report.spent.tokens == 408)
    #expect(abs(free.report.spent.money - 4 * (100 * 2.5 + 2 * 10) / 1e6) < 1e-12)
    #expect(answers[0].cost.promptTokens == 100)
    #expect(abs(answers[0].cost.money - 270e-6) < 1e-12)
    let limited = try APILabellingModel(
      settings: settings(server.url, directory) { $0.budget.tokens = 400 }, waiting: FakeTime().waiting)
    #expect(try limited.answers(to: [question("new")])[0].absence == .unfunded)
    #expect(try limited.answers(to: [question("0")])[0] == answers[0])
  }

  @Test func `retries count, and a budget that ends during them leaves the question open`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .http(500, [], "") }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) { $0.budget.requests = 4 }, waiting: FakeTime().waiting)
    #expect(try model.answers(to: [question("?")])[0].absence == .unfunded)
    #expect(server.requests.count == 4)
  }

  @Test func `tokens beyond what was reserved are counted and reported`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { _ in .completion("B", tokens: [[("B", -0.1), ("A", -3)]], usage: (1000, 1)) }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) { $0.budget.tokens = 5000 }, waiting: FakeTime().waiting)
    _ = try model.answers(to: [question("?")])
    #expect(model.report.spent.tokens == 1001)
    #expect(model.report.remarks.count == 1 && model.report.remarks[0].contains("api.template_tokens"))
    let roomy = try APILabellingModel(
      settings: settings(server.url, directory) {
        $0.budget.tokens = 5000
        $0.templateTokens = 1000
      }, waiting: FakeTime().waiting)
    _ = try roomy.answers(to: [question("!")])
    #expect(roomy.report.remarks.isEmpty)
  }

  @Test func `a server that lies about tokens is not believed`() throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedServer { .completion("B", usage: [(Int.max, 1), (-5, 1), (1, Int.max)][$0.number % 3]) }
    defer { server.stop() }
    let model = try APILabellingModel(
      settings: settings(server.url, directory) {
        $0.budget.tokens = 10_000
        $0.budget.money = 1
        $0.prices = Self.prices
      }, waiting: FakeTime().waiting)
    let answers = try model.answers(to: (0..<3).map { question(String($0)) })
    #expect(answers.allSatisfy { $0.probabilities == [0, 1] })
    #expect((600...1000).contains(model.report.spent.tokens))
  }
}
