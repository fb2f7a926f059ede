import Foundation
import Testing

extension SystemTests {
  /// The number of ranks is nobody's business but the clock's.
  @Suite struct SameBits {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    @Test("training gives the same weights and metrics on any number of ranks", arguments: [1, 2, 3, 4])
    func training(ranks: Int) async throws {
      let outcome = try await workspace.adalign("train", fixture.recipe, "run=run", ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let run = RunDirectory(workspace("run"))
      #expect(try run.weights == fixture.reference.weights)
      #expect(run.metrics == fixture.reference.metrics)
    }

    @Test(
      "every kind of communication gives the same weights and metrics", arguments: ["overlapped", "ring", "allreduce"],
      [2, 4])
    func communication(mode: String, ranks: Int) async throws {
      let outcome = try await workspace.adalign(
        "train", fixture.recipe, "run=run", "communication=\(mode)", ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let run = RunDirectory(workspace("run"))
      #expect(try run.weights == fixture.reference.weights)
      #expect(run.metrics == fixture.reference.metrics)
      // What is not overlapped is waited for.
      let hidden = try run.rows.dropFirst().map { try number("overlap", in: $0) }
      #expect(mode == "overlapped" || hidden.allSatisfy { $0 == 0 })
      #expect(!outcome.stderr.contains("communication=ring instead of overlapped"))
    }

    @Test("where the time goes is logged for every step, adds up, and is told at the end")
    func phases() async throws {
      let outcome = try await workspace.adalign("train", fixture.recipe, "run=run", ranks: 2)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      for row in RunDirectory(workspace("run")).rows.dropFirst() {
        let parts = try ["compute", "wait", "optimizer", "data"].map { try number("seconds/\($0)", in: row) }
        #expect(parts.allSatisfy { $0 >= 0 })
        #expect(try parts.reduce(0, +) <= number("seconds", in: row) * 1.000_001)
        #expect(try (0...1).contains(number("overlap", in: row)))
      }
      #expect(outcome.stderr.contains(/most of a rank: compute .* checkpoint .* % of communication hidden/))
    }

    private func number(_ key: String, in row: String) throws -> Double {
      let match = try #require(row.firstMatch(of: Regex("\"\(key)\":([-.e\\d]+)", as: (Substring, Substring).self)))
      return try #require(Double(match.1))
    }

    @Test("the reference run logs every step and evaluates when asked to")
    func metrics() throws {
      #expect(fixture.reference.steps == Array(0...Fixture.steps))
      let evaluated = fixture.reference.metrics.enumerated().filter { $1.contains("eval/loss") }.map(\.offset)
      #expect(evaluated == Array(stride(from: 0, through: Fixture.steps, by: 7)) + [Fixture.steps])
      for name in ["loss", "grad_norm", "learning_rate", "examples", "tokens", "rewards/margins", "logps/rejected"] {
        #expect(fixture.reference.metrics.dropFirst().allSatisfy { $0.contains("\"\(name)\":") }, "\(name)")
      }
    }

    @Test("DPO moves what it is for")
    func learning() throws {
      let margins = fixture.reference.metrics.compactMap { row in
        row.firstMatch(of: /"eval\/rewards\/margins":([-.e\d]+)/).flatMap { Double($0.1) }
      }
      let (first, last) = (try #require(margins.first), try #require(margins.last))
      #expect(first == 0)
      #expect(last > 0.3)
    }

    @Test("scores are the same bytes, one object for each row in the order of the rows")
    func scores() async throws {
      var files: [Data] = []
      for ranks in [nil, 1, 3] {
        let output = workspace("scores-\(ranks ?? 0).jsonl")
        let outcome = try await workspace.adalign(
          "score", "--model", fixture.model, "--data", fixture.heldOut, "--output", output, "--per-token", ranks: ranks)
        #expect(outcome.status == 0, "\(outcome.stderr)")
        files.append(try Data(contentsOf: URL(fileURLWithPath: output)))
      }
      #expect(files[1] == files[0])
      #expect(files[2] == files[0])
      let lines = String(decoding: files[0], as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 16)
      #expect(lines.enumerated().allSatisfy { $1.hasPrefix("{\"index\":\($0),") })
    }

    @Test("samples of the synthetic world and their rewards are the same")
    func samples() async throws {
      let generated = try await workspace.adalign(
        "world", "generate", "--output", "world", "--sft", "4", "--pairs", "4", "--held-out", "100")
      #expect(generated.status == 0, "\(generated.stderr)")
      let arguments = ["world", "evaluate", "--model", fixture.model, "--data", "world/held-out.jsonl"]
      let one = try await workspace.command(arguments).run()
      let three = try await workspace.command(arguments, ranks: 3).run()
      #expect(one.status == 0, "\(one.stderr)")
      #expect(one.lines.count == 2)
      #expect(three.stdout == one.stdout)
    }

    @Test("fast sums are the same from run to run and close to exact ones")
    func fastReduction() async throws {
      for name in ["a", "b"] {
        let outcome = try await workspace.adalign("train", fixture.recipe, "run=\(name)", "reduction=fast", ranks: 2)
        #expect(outcome.status == 0, "\(outcome.stderr)")
      }
      let (a, b) = (RunDirectory(workspace("a")), RunDirectory(workspace("b")))
      #expect(try a.weights == b.weights)
      #expect(a.metrics == b.metrics)
      // Rounding to Float32 in each sum, amplified by the steps in between; measured below 1e-5.
      #expect(zip(try losses(a), try losses(fixture.reference)).allSatisfy { abs($0 - $1) < 1e-3 })
    }

    private func losses(_ run: RunDirectory) throws -> [Double] {
      try run.metrics.dropFirst().map { row in
        try Double(#require(row.firstMatch(of: /"loss":([-.e\d]+)/)).1) ?? .nan
      }
    }
  }
}
