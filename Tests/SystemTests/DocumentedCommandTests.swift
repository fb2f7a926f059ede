import Foundation
import Testing

extension SystemTests {
  /// What README and the first lines of recipes tell people to type does run.
  @Suite struct DocumentedCommands {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    // Small batches, and more rollouts than one.
    private static let smaller = [
      "run=run", "steps=3", "batch.size=4", "batch.unit_tokens=256", "rollout.prompts=8", "rollout.samples=2",
      "rollout.max_new_tokens=8", "checkpoint.every=2",
    ]

    @Test("every recipe begins with a command for itself")
    func firstLines() {
      #expect(DocumentedCommand.recipes.count > 10)
      for command in DocumentedCommand.recipes { #expect(command.given.count >= 2, "\(command.recipe)") }
    }

    @Test("a recipe and its variants in README run on two ranks", arguments: DocumentedCommand.all)
    func run(_ command: DocumentedCommand) async throws {
      let arguments = try command.arguments(await files()) + Self.smaller
      let outcome = try await workspace.command(arguments, ranks: 2).run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(RunDirectory(workspace("run")).steps == [1, 2, 3])
      let results = (try? FileManager.default.contentsOfDirectory(atPath: workspace("run"))) ?? []
      #expect(results.contains("final"))
      #expect(results.contains("adapter") == command.testDescription.contains("lora"))
    }

    @Test("the recipes of the demo run after each other")
    func demo() async throws {
      let small = ["--sft", "8", "--pairs", "8", "--held-out", "4"]
      let generated = try await workspace.command(["world", "generate", "--output", "runs/demo/world"] + small).run()
      #expect(generated.status == 0, "\(generated.stderr)")
      for name in ["sft", "dpo", "reward-model", "grpo"] {
        let outcome = try await workspace.adalign(
          "train", "\(DocumentedCommand.folder)/demo-\(name).yaml", "steps=2", "batch.size=4", ranks: 2)
        #expect(outcome.status == 0, "\(outcome.stderr)")
      }
    }

    /// A file for each placeholder.
    private func files() async throws -> [String: String] {
      let rows = (0..<8).map { n in
        (prompt: "Count from \(n):", good: " \(n) \(n + 1)", bad: " \(n) \(n)")
      }
      return [
        "MODEL_DIR": fixture.model, "PAIRS.jsonl": fixture.pairs, "REWARD_DIR": try await RewardModel.shared.model,
        "ROWS.jsonl": try workspace.write(
          "rows.jsonl", lines: rows.map { #"{"prompt": "\#($0.prompt)", "completion": "\#($0.good)"}"# }),
        "LABELLED.jsonl": try workspace.write(
          "labelled.jsonl",
          lines: rows.flatMap { row in
            [(row.good, true), (row.bad, false)].map {
              #"{"prompt": "\#(row.prompt)", "completion": "\#($0)", "label": \#($1)}"#
            }
          }),
        "SCORED.jsonl": try workspace.write(
          "scored.jsonl",
          lines: rows.map { #"{"prompt": "\#($0.prompt)", "completion": "\#($0.good)", "score": 0.5}"# }),
        "SAMPLES.jsonl": try workspace.write(
          "samples.jsonl",
          lines: rows.map {
            #"{"prompt": "\#($0.prompt)", "completions": ["\#($0.good)", "\#($0.bad)"], "scores": [1, 0.2]}"#
          }),
        "PROMPTS.jsonl": try workspace.write("prompts.jsonl", lines: rows.map { #"{"prompt": "\#($0.prompt)"}"# }),
      ]
    }
  }
}

private let rewardModelPath = NSTemporaryDirectory() + "adalign-reward-model-\(getpid())"

/// A reward model, made once by its recipe.
private struct RewardModel {
  private static let made = Task { try await RewardModel() }
  let model: String
  private let workspace: Workspace

  static var shared: RewardModel { get async throws { try await made.value } }

  private init() async throws {
    let fixture = try await Fixture.shared
    workspace = try Workspace(path: rewardModelPath)
    atexit { try? FileManager.default.removeItem(atPath: rewardModelPath) }
    let outcome = try await workspace.adalign(
      "train", "\(DocumentedCommand.folder)/reward-model.yaml", "run=run", "model=\(fixture.model)",
      "data.train=\(fixture.pairs)", "steps=5", "batch.size=8", "optimizer.learning_rate=1e-3")
    guard outcome.status == 0 else { throw Failure(description: outcome.stderr) }
    model = workspace("run/final")
  }
}
