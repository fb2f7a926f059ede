import Foundation
import Testing

extension SystemTests {
  /// Bad input gets one clear line and a non-zero exit, promptly, and leaves nothing behind.
  @Suite struct BadInputs {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      _ = try await RewardFixture.shared
      workspace = try Workspace()
    }

    // Every rank sees them alike; two ranks take mpirun's time.
    @Test(
      "methods refused with one clear line", arguments: BadInput.policyRecipes + BadInput.policyData + BadInput.methods)
    func methodRefusal(of input: BadInput) async throws { try await refusal(of: input, ranks: 1) }

    @Test("rounds and labels refused with one clear line", arguments: BadInput.rounds)
    func roundRefusal(of input: BadInput) async throws { try await refusal(of: input, ranks: 1) }

    @Test(
      "refused by two ranks with one clear line",
      arguments: [
        BadInput.policyData[2], BadInput.methods[0], BadInput.labelling[1], BadInput.labelling[20],
        BadInput.adaptations[13], BadInput.adaptations[14],
      ])
    func sharedRefusal(of input: BadInput) async throws { try await refusal(of: input, ranks: 2) }

    @Test("refused with one clear line", arguments: BadInput.all, [1, 2])
    func refusal(of input: BadInput, ranks: Int) async throws {
      let arguments = try input.arguments(fixture, workspace)
      let outcome = try await workspace.command(arguments, ranks: ranks == 1 ? nil : ranks).run(within: 20)
      #expect(outcome.status == input.status)
      #expect(outcome.seconds < 10)
      #expect(outcome.stdout.isEmpty)
      #expect(outcome.faults.count == 1, "\(outcome.stderr)")
      let line = outcome.faults.first ?? ""
      for word in input.words { #expect(line.contains(word), "\(outcome.stderr)") }
      #expect(!FileManager.default.fileExists(atPath: workspace("out.jsonl")))
      #expect(!FileManager.default.fileExists(atPath: workspace("run")))
    }

    @Test("a second job in the same run directory is refused, the first goes on", arguments: [nil, 2])
    func secondJob(ranks: Int?) async throws {
      let first = try workspace.command(["train", fixture.recipe, "run=run", "steps=1000000"]).start()
      let run = RunDirectory(workspace("run"))
      try await eventually("the first step") { run.steps.last ?? 0 >= 1 }
      let second = try await workspace.adalign("train", fixture.recipe, "run=run", ranks: ranks)
      #expect(second.status == 73)
      #expect(second.faults.count == 1 && second.faults[0].contains("in use by another job"), "\(second.stderr)")
      #expect(second.faults.first?.contains("pid=") == true)
      let steps = run.steps.count
      try await eventually("more steps of the first job") { run.steps.count > steps }
      first.send(SIGTERM)
      #expect(try await first.outcome().status == 75)
    }

    @Test("skipped rows are counted where the recipe says so")
    func skippedRows() async throws {
      let good = #"{"prompt": "a", "chosen": "b", "rejected": "c"}"#
      let data = try workspace.write("data.jsonl", lines: [good, "nonsense"])
      let outcome = try await workspace.adalign(
        "train", fixture.recipe, "run=run", "steps=1", "data.train=\(data)", "data.on_error=skip")
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.contains(/2 rows, 1 examples.*1 .*skipped/), "\(outcome.stderr)")
    }

    @Test("rows are cut to the context where the recipe asks for more, and that is said")
    func cutRows() async throws {
      let row = #"{"prompt": "\#(String(repeating: "long ", count: 100))", "chosen": "b", "rejected": "c"}"#
      let data = try workspace.write("data.jsonl", lines: [row])
      let outcome = try await workspace.adalign(
        "train", fixture.recipe, "run=run", "steps=1", "data.train=\(data)", "data.max_length=500")
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.contains(/data\.max_length 500 .* 128 tokens/), "\(outcome.stderr)")
      #expect(outcome.stderr.contains("1 prompts cut"), "\(outcome.stderr)")
    }

    @Test("a learning rate beyond reason ends with 76 and whole checkpoints", arguments: [nil, 2])
    func divergence(ranks: Int?) async throws {
      let outcome = try await workspace.adalign(
        "train", fixture.recipe, "run=run", "optimizer.learning_rate=1000", "checkpoint.every=1", ranks: ranks)
      #expect(outcome.status == 76)
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("learning rate"), "\(outcome.stderr)")
      #expect(!FileManager.default.fileExists(atPath: workspace("run/final")))
    }
  }
}
