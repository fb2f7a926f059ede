import Foundation
import TestServer
import Testing

extension SystemTests {
  /// A judge behind an API: what is paid for is kept, what is secret stays so, and what is not allowed is not spent.
  @Suite struct APIJudges {
    let fixture: Fixture
    let workspace: Workspace
    private static let key = "sk-sentinel-5up3r-s3cr3t-9f27"
    private static let prompts = 6
    /// Four responses of a prompt make two pairs, and each pair two questions.
    private static let questions = 4 * prompts

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    @Test("labels come from the server once, and from the store ever after")
    func store() async throws {
      let server = Self.server()
      defer { server.stop() }
      let candidates = try workspace.counting(Self.prompts)
      let first = try await label(candidates, server, "first", ranks: 2)
      #expect(first.status == 0, "\(first.stderr)")
      #expect(server.requests.count == Self.questions)
      let rows = try LabelledRow.read(workspace("first.jsonl"))
      #expect(rows.count == 2 * Self.prompts)
      for row in rows {
        let (chosen, rejected) = (try #require(row.chosen), try #require(row.rejected))
        #expect(chosen.utf8.count > rejected.utf8.count)
        #expect(abs(try #require(row.q) - 0.8) < 1e-12)
        #expect(row.labelledBy == "judge")
      }
      #expect(try LabelNumbers(contentsOf: workspace("first.json")).requests == Self.questions)
      let second = try await label(candidates, server, "second", ranks: 3)
      #expect(second.status == 0, "\(second.stderr)")
      #expect(server.requests.count == Self.questions)
      #expect(try workspace.bytes("second.jsonl") == workspace.bytes("first.jsonl"))
    }

    @Test("the key is in the header of each request and nowhere else")
    func secret() async throws {
      let server = Self.server()
      defer { server.stop() }
      let candidates = try workspace.counting(2)
      let outcome = try await label(candidates, server, "labels", ranks: 2)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let unwilling = ScriptedServer { .http(401, [], "no access for \($0.headers["authorization"] ?? "")") }
      defer { unwilling.stop() }
      let refused = try await label(candidates, unwilling, "refused", "judge.api.server_name=other")
      #expect(refused.status == 69)
      #expect(unwilling.requests.count > 0)
      for request in server.requests + unwilling.requests {
        #expect(request.headers["authorization"] == "Bearer \(Self.key)")
        #expect(!String(decoding: request.body, as: UTF8.self).contains(Self.key))
      }
      let contents = RunDirectory(workspace.path).contents
      #expect(contents.keys.contains { $0.hasSuffix("judgements.sqlite") })
      #expect(contents.keys.count { $0.hasSuffix(".err") } == 2)
      for (name, bytes) in contents { #expect(bytes.range(of: Data(Self.key.utf8)) == nil, "\(name)") }
    }

    @Test("kill -9 in the middle loses no answer that was paid for", arguments: [(nil, 2), (2, 1)] as [(Int?, Int)])
    func killed(before: Int?, after: Int) async throws {
      let server = Self.server(delay: 20_000)
      defer { server.stop() }
      let candidates = try workspace.counting(Self.prompts)
      let running = try command(candidates, server, "out", ["judge.api.concurrency=2"], ranks: before).start()
      try await eventually("ten questions") { server.requests.count >= 10 }
      for rank in running.ranks { kill(rank, SIGKILL) }
      #expect(try await running.outcome().status != 0)
      let asked = server.requests.count
      try #require(asked < Self.questions, "all was asked before it could be killed")
      #expect(!FileManager.default.fileExists(atPath: workspace("out.jsonl")))
      let resumed = try await label(candidates, server, "out", ranks: after)
      #expect(resumed.status == 0, "\(resumed.stderr)")
      // Two may have been under way.
      #expect((Self.questions...Self.questions + 2).contains(server.requests.count))
      let again = Dictionary(grouping: server.requests, by: \.body).values.filter { $0.count > 1 }
      #expect(again.allSatisfy { $0.count == 2 } && again.count <= 2)
      let whole = try await label(candidates, server, "whole", "judge.api.store=other.sqlite")
      #expect(whole.status == 0, "\(whole.stderr)")
      #expect(try workspace.bytes("out.jsonl") == workspace.bytes("whole.jsonl"))
    }

    @Test("a budget is not exceeded, and a larger one goes on where it ended")
    func budget() async throws {
      let server = Self.server()
      defer { server.stop() }
      let candidates = try workspace.counting(Self.prompts)
      let short = try await label(
        candidates, server, "short", "judge.api.budget.requests=9", "judge.api.concurrency=4", ranks: 2)
      #expect(short.status == 0, "\(short.stderr)")
      #expect(server.requests.count == 9)
      #expect(
        short.stderr.contains("the budget is used up: \(Self.questions - 9) of \(Self.questions)"), "\(short.stderr)")
      let numbers = try LabelNumbers(contentsOf: workspace("short.json"))
      #expect((1...4).contains(numbers.kept))
      #expect(numbers.kept + (numbers.dropped["abstained"] ?? 0) == 2 * Self.prompts)
      let long = try await label(candidates, server, "long", "judge.api.budget.requests=\(Self.questions)")
      #expect(long.status == 0, "\(long.stderr)")
      #expect(server.requests.count == Self.questions)
      #expect(try LabelledRow.read(workspace("long.jsonl")).count == 2 * Self.prompts)
    }

    @Test("a server that fails is a fault and leaves no labels", arguments: [nil, 2])
    func failure(ranks: Int?) async throws {
      let server = ScriptedServer { _ in .http(503, ["retry-after-ms: 1"], "busy") }
      defer { server.stop() }
      let outcome = try await label(try workspace.counting(2), server, "out", "judge.api.retries=1", ranks: ranks)
      #expect(outcome.status == 69, "\(outcome.stderr)")
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("503"), "\(outcome.stderr)")
      for name in ["out.jsonl", "out.json"] { #expect(!FileManager.default.fileExists(atPath: workspace(name))) }
    }

    @Test("rounds that are killed while they label pay for nothing twice")
    func rounds() async throws {
      let server = Self.server(delay: 20_000)
      defer { server.stop() }
      let adaptation = try await AdaptationFixture.shared
      let judge =
        "label.expert.judge={name: api, api: {base_url: \(server.url), model: m, concurrency: 2, logprobs: true}}"
      let command = { (run: String, ranks: Int?) in
        workspace.command(
          ["adapt", adaptation.recipe, "run=\(run)", "rounds=1", judge, "label.expert.share=0.8"], ranks: ranks,
          variables: ["ADALIGN_API_KEY": Self.key])
      }
      let whole = try await command("whole", 1).run()
      #expect(whole.status == 0, "\(whole.stderr)")
      let questions = server.requests.count
      #expect(questions > 8)
      let running = try command("run", 2).start()
      try await eventually("some questions", within: 60) { server.requests.count >= questions + 6 }
      for rank in running.ranks { kill(rank, SIGKILL) }
      #expect(try await running.outcome().status != 0)
      let run = RunDirectory(workspace("run"))
      try #require(run.contents["rounds/001/labels.jsonl"] == nil, "all was labelled before it could be killed")
      let samples = run.identities(of: ["rounds/001/samples.jsonl"])
      let resumed = try await command("run", 3).run()
      #expect(resumed.status == 0, "\(resumed.stderr)")
      #expect(run.identities(of: samples.keys) == samples)
      #expect((2 * questions...2 * questions + 2).contains(server.requests.count))
      for name in ["samples.jsonl", "labels.jsonl", "mixture.jsonl", "policy/final/model.safetensors"] {
        #expect(try workspace.bytes("run/rounds/001/\(name)") == workspace.bytes("whole/rounds/001/\(name)"), "\(name)")
      }
    }

    /// A server that prefers the longer response, with probability 0.8.
    private static func server(delay: UInt32 = 0) -> ScriptedServer {
      ScriptedServer { request in
        let lengths = ["A", "B"].map { material($0, in: request.messages.last ?? "").utf8.count }
        let (likely, other) = lengths[0] > lengths[1] ? ("A", "B") : ("B", "A")
        var reply = ScriptedServer.Reply.completion(likely, tokens: [[(likely, log(0.8)), (other, log(0.2))]])
        reply.delay = delay
        return reply
      }
    }

    /// What stands between the lines of a response.
    private static func material(_ letter: String, in question: String) -> Substring {
      guard let begin = question.range(of: "[BEGIN RESPONSE \(letter) "),
        let end = question.range(of: "[END RESPONSE \(letter) ")
      else { return "" }
      return question[begin.upperBound..<end.lowerBound]
    }

    private func command(
      _ candidates: String, _ server: ScriptedServer, _ name: String, _ settings: [String], ranks: Int?
    ) -> Command {
      let files = ["--output", workspace("\(name).jsonl"), "--statistics", workspace("\(name).json")]
      let judge = [
        "pairing.name=first_round", "judge.name=api", "judge.api.base_url=\(server.url)", "judge.api.model=m",
      ]
      return workspace.command(
        ["label", "--candidates", candidates] + files + judge + settings, ranks: ranks,
        variables: ["ADALIGN_API_KEY": Self.key])
    }

    private func label(
      _ candidates: String, _ server: ScriptedServer, _ name: String, _ settings: String..., ranks: Int? = nil
    ) async throws -> Outcome {
      try await command(candidates, server, name, settings, ranks: ranks).run()
    }
  }
}
