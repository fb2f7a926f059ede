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

    /// The same of rounds, in the sections that the recipe has.
    private static func smaller(_ recipe: String) -> [String] {
      let always = [
        "run=run", "data.prompts_per_round=4", "policy.steps=2", "policy.batch.size=4", "policy.batch.unit_tokens=256",
      ]
      let sections = [
        ("\nsample:", ["sample.samples=3", "sample.max_new_tokens=6"]),
        ("\nreward_model:", ["reward_model.train.steps=2", "reward_model.train.batch.size=4"]),
        ("\n  refine:", ["reward_model.refine.steps=2", "reward_model.refine.batch.size=2", "label.expert.share=0.5"]),
        ("\n  rollout:", ["policy.rollout.samples=2", "policy.rollout.max_new_tokens=6"]),
        ("\n  online:", ["policy.online.max_new_tokens=6"]),
      ]
      return always + sections.filter { recipe.contains($0.0) }.flatMap(\.1)
    }

    @Test("every recipe begins with a command for itself")
    func firstLines() {
      #expect(DocumentedCommand.recipes.count > 10)
      for command in DocumentedCommand.recipes { #expect(command.given.count >= 2, "\(command.recipe)") }
    }

    @Test("rounds of a recipe and of its variants in README run on two ranks", arguments: adaptations)
    func adapt(_ command: DocumentedCommand) async throws {
      let arguments = try command.arguments(await files()) + Self.smaller(command.text)
      let outcome = try await workspace.command(arguments, ranks: 2).run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let run = RunDirectory(workspace("run"))
      #expect(try run.weights != Data(contentsOf: URL(fileURLWithPath: "\(fixture.model)/model.safetensors")))
      #expect(run.contents.keys.contains("report.html"))
    }

    @Test("what README says of weighing and labelling runs on two ranks")
    func readmeCommands() async throws {
      #expect(DocumentedCommand.readmeCommands.contains { $0[0] == "weigh" })
      let placeholders = try await files()
      try FileManager.default.copyItem(atPath: fixture.pairs, toPath: workspace("pairs.jsonl"))
      for words in DocumentedCommand.readmeCommands where !words.contains("FILE") {
        let arguments = words.map { word in placeholders.reduce(word) { $0.replacing($1.key, with: $1.value) } }
        let outcome = try await workspace.command(arguments, ranks: 2).run()
        #expect(outcome.status == 0, "\(words): \(outcome.stderr)")
      }
    }

    private static let adaptations = DocumentedCommand.all.filter(\.isAdaptation)
    private static let trainings = DocumentedCommand.all.filter { !$0.isAdaptation }

    @Test("a recipe and its variants in README run on two ranks", arguments: trainings)
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
      for domain in ["source", "target"] {
        let command = ["world", "generate", "--output", "runs/demo/world/\(domain)", "--domain", domain]
        let generated = try await workspace.command(command + small).run()
        #expect(generated.status == 0, "\(generated.stderr)")
      }
      for name in ["sft", "dpo", "reward-model", "grpo"] {
        let outcome = try await workspace.adalign(
          "train", "\(DocumentedCommand.folder)/demo-\(name).yaml", "steps=2", "batch.size=4", ranks: 2)
        #expect(outcome.status == 0, "\(outcome.stderr)")
      }
      let recipe = "\(DocumentedCommand.folder)/demo-adapt.yaml"
      let short = [
        "policy.steps=2", "policy.batch.size=4", "reward_model.train.steps=2", "reward_model.train.batch.size=4",
        "reward_model.refine.steps=2", "reward_model.refine.batch.size=2", "label.expert.share=1",
        "weights.fallback=uniform",
      ]
      for (name, changes) in [("source", ["weights=", "reward_model=", "label="]), ("combined", [])] {
        let settings = changes.isEmpty ? short : Array(short.prefix(2)) + changes
        let outcome = try await workspace.command(
          ["adapt", recipe, "run=runs/demo/\(name)"] + settings, ranks: 2
        ).run()
        #expect(outcome.status == 0, "\(outcome.stderr)")
      }
      let compared = try await workspace.adalign(
        "compare", "--run", "source=runs/demo/source", "--run", "combined=runs/demo/combined", "--from", "source",
        "--to",
        "combined", "--report", "report.html", ranks: 1)
      #expect(compared.status == 0, "\(compared.stderr)")
      let names = compared.stdout.split(separator: "\n").compactMap { $0.split(separator: " ").first }
      #expect(names == ["run", "first", "source", "combined"], "\(compared.stdout)")
    }

    /// A file for each placeholder.
    private func files() async throws -> [String: String] {
      let rows = (0..<8).map { n in
        (prompt: "Count from \(n):", good: " \(n) \(n + 1)", bad: " \(n) \(n)")
      }
      try FileManager.default.createDirectory(atPath: workspace("runs"), withIntermediateDirectories: true)
      return [
        "MODEL_DIR": try await AdaptationFixture.shared.patientModel, "SOURCE_DIR": fixture.model,
        "POLICY_DIR": fixture.model, "PAIRS.jsonl": fixture.pairs,
        "REWARD_DIR": try await RewardModel.shared.model,
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
        "DOMAINS.jsonl": try workspace.write(
          "domains.jsonl",
          lines: rows.enumerated().map { index, row in
            #"{"prompt": "\#(row.prompt)", "chosen": "\#(row.good)", "rejected": "\#(row.bad)", "domain": "\#(index % 2)"}"#
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
