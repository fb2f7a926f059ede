import Foundation
import Testing

extension SystemTests {
  /// Policy optimisation: samples, rewards, steps, a rollout at a time.
  @Suite struct Policies {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    /// Settings of a run of six steps, two for each rollout of eight prompts.
    private func settings(_ objective: String) -> [String] {
      [
        "objective.name=\(objective)", "data.train=\(fixture.heldOut)", "data.eval=", "steps=6", "batch.size=4",
        "eval.every=2", "rollout.prompts=8", "rollout.samples=4", "rollout.max_new_tokens=12", "reward.name=length",
        "reward.target_tokens=6",
      ]
    }

    /// Runs to the end and returns what the run has left.
    @discardableResult
    private func train(_ run: String, _ settings: [String], ranks: Int? = nil) async throws -> RunDirectory {
      let outcome = try await workspace.command(["train", fixture.recipe, "run=\(run)"] + settings, ranks: ranks).run()
      try #require(outcome.status == 0, "\(outcome.stderr)")
      return RunDirectory(workspace(run))
    }

    private func expectSame(_ a: RunDirectory, _ b: RunDirectory) {
      #expect(a.final == b.final && !a.final.isEmpty)
      #expect(a.metrics == b.metrics)
      #expect(a.samples(ofRollout: 2) == b.samples(ofRollout: 2))
    }

    // MARK: Any number of ranks

    @Test(
      "the same bytes on any number of ranks",
      arguments: [
        (["grpo", "objective.beta=0.05", "lora.rank=4", "rollout.stop=9"], [2, 4]),
        (
          [
            "ppo", "rollout.samples=1", "optimizer.head.learning_rate=1e-2", "reward.normalize=true", "reward.clip=2",
          ], [2, 4]
        ),
        (["rloo", "rollout.epochs=2", "reward.missing_eos_penalty=0.5"], [3]),
        (["reinforce++", "batch.size=8", "rollout.temperature=0.7", "rollout.top_p=0.9"], [2]),
      ])
    func sameBytes(choice: [String], ranks: [Int]) async throws {
      var settings = settings(choice[0]) + choice.dropFirst() + ["data.eval=\(fixture.heldOut)"]
      // As long for one step of a rollout as for four.
      settings.append("steps=\(choice[0] == "reinforce++" ? 3 : choice[0] == "rloo" ? 12 : 6)")
      let alone = try await train("alone", settings)
      for ranks in ranks { expectSame(try await train("on-\(ranks)", settings, ranks: ranks), alone) }
      #expect(alone.samples(ofRollout: 2).count == (choice[0] == "ppo" ? 8 : 32))
      #expect(alone.numbers("eval/reward").count >= 2 && alone.numbers("reward").allSatisfy { $0 <= 0 && $0 > -5 })
      if choice[0] == "ppo" {
        #expect(alone.numbers("value_loss").allSatisfy { $0 > 0 })
        #expect(alone.final.keys.contains("value_head.safetensors"))
      }
    }

    @Test("GRPO learns what is rewarded")
    func learning() async throws {
      let run = try await train(
        "run",
        settings("grpo") + [
          "steps=40", "batch.size=8", "reward.target_tokens=2", "optimizer.learning_rate=3e-3", "objective.beta=0",
        ])
      let rewards = run.numbers("reward")
      let (first, last) = (rewards.prefix(5).reduce(0, +), rewards.suffix(5).reduce(0, +))
      #expect(last > first + 2.5, "\(rewards)")
    }

    // MARK: Kill and resume

    /// The file whose appearance begins a stage of the second rollout; the first is the end of the rollout before.
    @Test(
      "killed in any stage, then another number of ranks",
      arguments: [
        ("checkpoints/step-000002/manifest.json", 2, nil), ("rollouts/000001/samples.tokens", nil, 2),
        ("rollouts/000001/rewards.numbers", nil, nil), ("rollouts/000001/experience.numbers", nil, 3),
      ] as [(String, Int?, Int?)])
    func killed(file: String, before: Int?, after: Int?) async throws {
      let settings =
        settings("ppo") + [
          "checkpoint.every=1", "rollout.samples=8", "rollout.max_new_tokens=40", "reward.normalize=true",
          "reward.missing_eos_penalty=1",
        ]
      let reference = try await train("reference", settings)
      let running = try workspace.command(["train", fixture.recipe, "run=run"] + settings, ranks: before).start()
      try await eventually("\(file)") { FileManager.default.fileExists(atPath: workspace("run/\(file)")) }
      for rank in running.ranks { kill(rank, SIGKILL) }
      #expect(try await running.outcome().status != 0)
      let run = RunDirectory(workspace("run"))
      #expect(run.final.isEmpty, "the run was over before it could be killed")
      expectSame(try await train("run", settings, ranks: after), reference)
    }

    // A run that has no checkpoint yet begins anew, and may begin otherwise: no number of the first try may live on.
    @Test("stages of a run with other settings are not taken over")
    func staleStages() async throws {
      let settings = settings("grpo")
      let first = try workspace.command(
        ["train", fixture.recipe, "run=run", "steps=100000"] + settings.filter { !$0.hasPrefix("steps") }
      ).start()
      try await eventually("the first steps") { RunDirectory(workspace("run")).steps.last ?? 0 >= 1 }
      for rank in first.ranks { kill(rank, SIGKILL) }
      _ = try await first.outcome()
      #expect(FileManager.default.fileExists(atPath: workspace("run/rollouts/000000/rewards.numbers")))
      let other = settings + ["reward.target_tokens=20", "rollout.samples=3"]
      let fresh = try await train("fresh", other)
      expectSame(try await train("run", other, ranks: 2), fresh)
    }

    @Test("a signal saves, and the next start goes on")
    func requested() async throws {
      let settings = settings("rloo") + ["rollout.epochs=2", "steps=24", "reward.normalize=true"]
      let reference = try await train("reference", settings)
      let running = try workspace.command(["train", fixture.recipe, "run=run"] + settings, ranks: 2).start()
      let run = RunDirectory(workspace("run"))
      try await eventually("step 3") { run.steps.last ?? 0 >= 3 }
      running.send(SIGUSR1)
      #expect(try await running.outcome().status == 75)
      try await train("run", settings)
      #expect(run.final == reference.final && run.metrics == reference.metrics)
    }

    @Test("rollouts that no checkpoint needs are removed")
    func pruned() async throws {
      let run = try await train("run", settings("grpo") + ["checkpoint.every=1"])
      #expect(run.rollouts == ["000002"])
      let interrupted = try await train("other", settings("grpo") + ["steps=5", "checkpoint.every=1"])
      #expect(interrupted.rollouts == ["000001", "000002"])
    }

    // MARK: Stored samples

    /// Rows of several completions with scores.
    private func scoredRows() throws -> String {
      let rows = (0..<8).map { n in
        let texts = (0...n % 3 + 1).map { "\" \(n + $0)\"" }.joined(separator: ", ")
        let scores = (0...n % 3 + 1).map { "\(Double($0 * $0) - 0.5)" }.joined(separator: ", ")
        return #"{"prompt": "Count from \#(n):", "completions": [\#(texts)], "scores": [\#(scores)]}"#
      }
      return try workspace.write("scored.jsonl", lines: rows)
    }

    // Float32 log-probabilities from units of different sizes: log-ratios of 10⁻⁶, squared.
    private static let roundingOfDivergence = 1e-10

    @Test(
      "stored samples: pairs with labels, or scores",
      arguments: [("grpo", "label"), ("grpo", "score"), ("ppo", "label"), ("ppo", "score")])
    func storedSamples(objective: String, reward: String) async throws {
      var settings = settings(objective) + ["rollout.source=data", "reward.name=\(reward)", "reward.target_tokens="]
      if reward == "score" { settings.append("data.train=\(try scoredRows())") }
      let alone = try await train("alone", settings)
      expectSame(try await train("on-2", settings, ranks: 2), alone)
      // The reference stands for the policy that drew them: before the first step they are the same.
      let (movement, clipped) = (alone.numbers("approx_kl"), alone.numbers("clip_ratio"))
      #expect(movement[0] < Self.roundingOfDivergence && clipped[0] == 0 && movement[1] > Self.roundingOfDivergence)
      let rewards = alone.numbers("reward")
      #expect(reward == "score" || rewards.allSatisfy { $0 == 0 })
    }

    // MARK: Rewards

    @Test("a reward model, and several rewards with weights")
    func rewards() async throws {
      try await train(
        "judge", ["objective.name=bradley_terry", "steps=3", "data.eval=", "optimizer.learning_rate=1e-2"])
      let judge = "reward.model=\(workspace("judge/final"))"
      var totals: [String: [Double]] = [:]
      for (run, name, more) in [
        ("model", "model", [judge]), ("length", "length", []), ("overlong", "overlong", ["reward.free_tokens=4"]),
        ("sum", "[model, length, overlong]", [judge, "reward.free_tokens=4", "reward.weights=[2, 0.5, -1]"]),
      ] {
        let settings = settings("grpo") + ["reward.name=\(name)", "steps=2"] + more
        totals[run] = try await train(run, settings, ranks: run == "sum" ? 2 : nil).rewards(ofRollout: 0)
      }
      let parts = try ["model", "length", "overlong"].map { try #require(totals[$0]) }
      let sums = try #require(totals["sum"])
      #expect(sums.count == 32 && Set(parts[0]).count > 8)
      for (index, sum) in sums.enumerated() {
        let expected = 2 * parts[0][index] + 0.5 * parts[1][index] - parts[2][index]
        #expect(abs(sum - expected) <= 1e-12 * max(1, abs(expected)))
      }
      try await expectScores(totals["model"] ?? [])
    }

    // What the reward model says inside the loop is what `adalign score` says of the same texts, where they are ended.
    private func expectScores(_ found: [Double]) async throws {
      let samples = RunDirectory(workspace("model")).samples(ofRollout: 0)
      let rows = try samples.map { try JSONDecoder().decode(JudgedRow.self, from: Data($0.utf8)) }
      let isText = rows.map { !$0.completion.isEmpty && !$0.completion.contains("\u{FFFD}") }
      let lines = try rows.map { row in
        let completion = row.completion.isEmpty ? "-" : row.completion
        return String(
          decoding: try JSONEncoder().encode(["prompt": row.prompt, "completion": completion]), as: UTF8.self)
      }
      let data = try workspace.write("judged.jsonl", lines: lines)
      let outcome = try await workspace.adalign(
        "score", "--model", workspace("judge/final"), "--data", data, "--output", workspace("scores.jsonl"))
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let scores = try String(contentsOfFile: workspace("scores.jsonl"), encoding: .utf8).split(separator: "\n")
      try #require(scores.count == found.count && isText.contains(true))
      for index in scores.indices where isText[index] {
        let score = try #require(scores[index].firstMatch(of: /"score":([-.e\d]+)/).flatMap { Double($0.1) })
        // The same sums in units of another size.
        #expect(abs(score - found[index]) <= 1e-5)
      }
    }

    private struct JudgedRow: Decodable {
      let prompt: String
      let completion: String
    }

    @Test("held-out prompts are evaluated with the same random numbers each time")
    func heldOut() async throws {
      let run = try await train(
        "run", settings("grpo") + ["data.eval=\(fixture.heldOut)", "optimizer.learning_rate=0", "eval.every=3"])
      let rewards = run.numbers("eval/reward")
      #expect(rewards.count == 3 && Set(rewards).count == 1)
      #expect(run.numbers("eval/loss") == rewards.map { -$0 })
      let lines = try String(contentsOfFile: workspace("run/evaluation/000000/samples.jsonl"), encoding: .utf8)
      #expect(lines.split(separator: "\n").count == 16)
    }

    // Many prompts of one token in a unit, with samples of one token each: hardly an input and many predictions.
    @Test("samples of a single token")
    func shortSamples() async throws {
      let prompts = try workspace.write("prompts.jsonl", lines: (0..<32).map { #"{"prompt": "\#($0 % 10)"}"# })
      let settings =
        settings("ppo") + [
          "data.train=\(prompts)", "rollout.prompts=32", "batch.size=32", "rollout.max_new_tokens=1", "steps=3",
          "batch.unit_tokens=40", "rollout.samples=16",
        ]
      expectSame(try await train("two", settings, ranks: 2), try await train("one", settings))
    }
  }

  /// Methods of training beside DPO.
  @Suite struct Methods {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    static let choices = [
      ["objective.name=kto"], ["objective.name=bco", "lora.rank=4", "lora.target_modules=[q_proj, v_proj]"],
      ["objective.name=bradley_terry", "optimizer.head.learning_rate=1e-2"],
      ["objective.humanline=yes", "objective.reference_sync=1", "objective.reference_mixup=1"],
    ]

    @Test("the same bytes on any number of ranks, and after a kill", arguments: choices)
    func sameBytes(choice: [String]) async throws {
      let arguments = ["train", fixture.recipe, "steps=12", "eval.every=6"] + choice
      let train = { (run: String, ranks: Int?) async throws -> RunDirectory in
        let outcome = try await workspace.command(arguments + ["run=\(run)"], ranks: ranks).run()
        #expect(outcome.status == 0, "\(outcome.stderr)")
        return RunDirectory(workspace(run))
      }
      let alone = try await train("alone", nil)
      #expect(!alone.final.isEmpty)
      let four = try await train("on-4", 4)
      #expect(four.final == alone.final && four.metrics == alone.metrics)
      let running = try workspace.command(arguments + ["run=killed", "checkpoint.every=1"], ranks: 2).start()
      try await eventually("step 4") { RunDirectory(workspace("killed")).steps.last ?? 0 >= 4 }
      for rank in running.ranks { kill(rank, SIGKILL) }
      _ = try await running.outcome()
      #expect(RunDirectory(workspace("killed")).final.isEmpty, "the run was over before it could be killed")
      let resumed = try await train("killed", nil)
      #expect(resumed.final == alone.final && resumed.metrics == alone.metrics)
    }

    @Test("an adapter that is gone on with is exported with its own rank and scale")
    func continuedAdapter() async throws {
      for (run, settings) in [
        ("first", ["lora.rank=2", "lora.alpha=3"]), ("second", ["lora.start=\(workspace("first/adapter"))"]),
      ] {
        let outcome = try await workspace.command(
          ["train", fixture.recipe, "run=\(run)", "steps=3"] + settings
        ).run()
        #expect(outcome.status == 0, "\(outcome.stderr)")
      }
      let text = try String(contentsOfFile: workspace("second/adapter/adapter_config.json"), encoding: .utf8)
      #expect(text.contains(#""r": 2"#) && text.contains(#""lora_alpha": 3.0"#), "\(text)")
      // Loaded again, it gives the merged model: with a learning rate of 0 nothing else is in final/.
      let third = try await workspace.adalign(
        "train", fixture.recipe, "run=third", "steps=1", "optimizer.learning_rate=0",
        "lora.start=\(workspace("second/adapter"))")
      #expect(third.status == 0, "\(third.stderr)")
      #expect(try RunDirectory(workspace("third")).weights == RunDirectory(workspace("second")).weights)
    }
  }
}

extension RunDirectory {
  /// The files of the final model.
  var final: [String: Data] { RunDirectory("\(path)/final").contents }

  /// Names of the rollouts that are kept.
  var rollouts: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/rollouts")) ?? []).sorted()
  }

  /// Lines of samples with their rewards.
  func samples(ofRollout number: Int) -> [String] {
    let text = try? String(contentsOfFile: "\(path)/rollouts/00000\(number)/samples.jsonl", encoding: .utf8)
    return (text ?? "").split(separator: "\n").map(String.init)
  }

  func rewards(ofRollout number: Int) -> [Double] {
    samples(ofRollout: number).compactMap { $0.firstMatch(of: /"reward":([-.e\d]+)/).flatMap { Double($0.1) } }
  }

  /// A number of each row of the metrics that has it.
  func numbers(_ name: String) -> [Double] {
    metrics.compactMap { row in
      guard let range = row.range(of: "\"\(name)\":") else { return nil }
      return Double(row[range.upperBound...].prefix { $0 != "," && $0 != "}" })
    }
  }
}
