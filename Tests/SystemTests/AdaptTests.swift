import Foundation
import Testing

extension SystemTests {
  /// Rounds end as if nobody had disturbed them, on any number of ranks.
  @Suite struct Adapt {
    let fixture: Fixture
    let adaptation: AdaptationFixture
    let workspace: Workspace
    var run: RunDirectory { RunDirectory(workspace("run")) }

    init() async throws {
      fixture = try await Fixture.shared
      adaptation = try await AdaptationFixture.shared
      workspace = try Workspace()
    }

    /// What a round leaves, but for the runs of the trainer.
    private static let stages = [
      "samples.jsonl", "weights/weights.jsonl", "weights/data.jsonl", "reward-model/final/model.safetensors",
      "expert.jsonl", "expert.json", "refined-reward-model/final/model.safetensors", "labels.jsonl", "labels.json",
      "mixture.jsonl", "policy/final/model.safetensors", "evaluation.json",
    ]
    private static let allStages =
      ["rounds/000/evaluation.json"] + ["001", "002"].flatMap { round in stages.map { "rounds/\(round)/\($0)" } }

    @Test("every stage leaves its file, and the last policy is the final one")
    func files() async throws {
      let files = adaptation.reference.contents
      for name in Self.allStages + ["rounds.jsonl", "report.html", "config.yaml"] {
        #expect(files[name]?.isEmpty == false, "\(name)")
      }
      #expect(files["final/model.safetensors"] == files["rounds/002/policy/final/model.safetensors"])
      #expect(files["final/model.safetensors"] != files["rounds/001/policy/final/model.safetensors"])
      #expect(!files.keys.contains { $0.contains("checkpoints/") })
      let rounds = String(decoding: files["rounds.jsonl"] ?? Data(), as: UTF8.self).split(separator: "\n")
      #expect(rounds.count == 3)
      for (number, line) in rounds.enumerated() {
        #expect(line.hasPrefix(#"{"round":\#(number),"evaluation":{"score":"#))
      }
      let scores = workspace("scores.jsonl")
      let scored = try await workspace.adalign(
        "score", "--model", "\(adaptation.reference.path)/final", "--data", fixture.heldOut, "--output", scores)
      #expect(scored.status == 0, "\(scored.stderr)")
    }

    @Test("the files are the same on any number of ranks", arguments: [1, 2, 3])
    func ranks(count: Int) async throws {
      #expect(try await adapt(ranks: count).status == 0)
      #expect(run.differences(from: adaptation.reference) == [])
    }

    @Test(
      "killed ranks, then another number of them",
      arguments: [
        ("rounds/001/samples.jsonl", 2, 1), ("rounds/001/reward-model/metrics.jsonl", nil, 3),
        ("rounds/001/labels.jsonl", 3, 2), ("rounds/001/policy/metrics.jsonl", 2, 2),
        ("rounds/002/policy/checkpoints/step-000004", nil, 2),
      ] as [(String, Int?, Int)])
    func killed(at name: String, before: Int?, after: Int) async throws {
      let running = try workspace.command(["adapt", adaptation.recipe], ranks: before).start()
      try await eventually(name, within: 60) { FileManager.default.fileExists(atPath: workspace("run/\(name)")) }
      for rank in running.ranks { kill(rank, SIGKILL) }
      #expect(try await running.outcome().status != 0)
      try #require(run.contents["final/model.safetensors"] == nil, "the run was over before it could be killed")
      let done = run.identities(of: Self.allStages)
      #expect(done.count > 0)
      #expect(try await adapt(ranks: after).status == 0)
      #expect(run.identities(of: done.keys) == done, "what was done was done again")
      #expect(run.differences(from: adaptation.reference) == [])
    }

    @Test(
      "a request to stop ends with 75, and the rounds go on later",
      arguments: [(SIGTERM, nil, 2), (SIGUSR1, 2, 1)] as [(Int32, Int?, Int)])
    func stopped(signal: Int32, before: Int?, after: Int) async throws {
      let running = try workspace.command(["adapt", adaptation.recipe], ranks: before).start()
      try await eventually("the policy's training", within: 60) {
        FileManager.default.fileExists(atPath: workspace("run/rounds/001/policy/metrics.jsonl"))
      }
      running.send(signal)
      let outcome = try await running.outcome()
      #expect(outcome.status == 75, "\(outcome.stderr)")
      #expect(try await adapt(ranks: after).status == 0)
      #expect(run.differences(from: adaptation.reference) == [])
    }

    @Test("more rounds go on behind the last one")
    func moreRounds() async throws {
      #expect(try await adapt("rounds=1").status == 0)
      #expect(
        try run.weights
          == Data(contentsOf: URL(fileURLWithPath: workspace("run/rounds/001/policy/final/model.safetensors"))))
      let first = run.identities(of: Self.allStages)
      #expect(try await adapt("rounds=2", ranks: 2).status == 0)
      #expect(run.identities(of: first.keys) == first)
      #expect(run.differences(from: adaptation.reference) == [])
    }

    @Test("finished rounds have nothing left to do")
    func finished() async throws {
      let done = try await finishedRun().identities(of: Self.allStages)
      #expect(done.count == Self.allStages.count)
      #expect(try await adapt(ranks: 2).status == 0)
      #expect(run.identities(of: done.keys) == done)
      #expect(run.differences(from: adaptation.reference) == [])
    }

    @Test(
      "another setting is refused by its name",
      arguments: [
        ("seed", "1"), ("reference", "previous"), ("sample.temperature", "0.5"), ("weights.ess", "0.6"),
        ("label.pairing.name", "tournament"), ("label.expert.share", "0.5"), ("mix.pseudo", "2"),
        ("policy.objective.beta", "0.2"), ("policy.steps", "9"), ("reward_model.train.batch.size", "4"),
        ("evaluate.judge.name", "repetition"),
      ])
    func otherSetting(key: String, value: String) async throws {
      try await expectRefusal(key, "\(key)=\(value)")
    }

    @Test("other data, prompts and models are refused")
    func otherData() async throws {
      try await expectRefusal("source data", "data.source=\(fixture.heldOut)")
      try await expectRefusal("prompts", "data.prompts=\(fixture.pairs)")
      try await expectRefusal("model", "model=\(fixture.reference.path)/final")
    }

    @Test("what does not change the result may change")
    func freeSettings() async throws {
      _ = try await finishedRun()
      let pairs = workspace("moved.jsonl")
      try FileManager.default.copyItem(atPath: fixture.pairs, toPath: pairs)
      let outcome = try await adapt("data.source=\(pairs)", "policy.checkpoint.every=3", "policy.watchdog=60")
      #expect(outcome.status == 0)
      #expect(try run.weights == adaptation.reference.weights)
    }

    // What an untrained model says is no UTF-8: from its text, a response is read as three times as many tokens.
    @Test("responses that fill the context stop no round")
    func longResponses() async throws {
      #expect(try await adapt("rounds=1", "sample.max_new_tokens=128").status == 0)
      #expect(run.differences(from: adaptation.reference).contains("rounds/001/samples.jsonl"))
    }

    @Test("a second job in the same run directory is refused")
    func secondJob() async throws {
      let first = try workspace.command(["adapt", adaptation.recipe, "rounds=100"]).start()
      try await eventually("the first stage") { FileManager.default.fileExists(atPath: workspace("run/rounds/000")) }
      let second = try await workspace.adalign("adapt", adaptation.recipe, "rounds=100", ranks: 2)
      #expect(second.status == 73)
      #expect(second.faults.count == 1 && second.faults[0].contains("in use by another job"), "\(second.stderr)")
      first.send(SIGTERM)
      #expect(try await first.outcome().status == 75)
    }

    private func adapt(_ overrides: String..., ranks: Int? = nil) async throws -> Outcome {
      let outcome = try await workspace.command(["adapt", adaptation.recipe] + overrides, ranks: ranks).run()
      if outcome.status != 0 { Issue.record("\(outcome.stderr)") }
      return outcome
    }

    /// The reference run, moved here.
    private func finishedRun() async throws -> RunDirectory {
      RunDirectory(try workspace.copy(adaptation.reference.path, to: "run"))
    }

    /// Expects one line with these words, and a run directory that is as it was.
    private func expectRefusal(_ words: String, _ override: String) async throws {
      if !FileManager.default.fileExists(atPath: workspace("run")) { _ = try await finishedRun() }
      let outcome = try await workspace.adalign("adapt", adaptation.recipe, override)
      #expect(outcome.status == 72, "\(outcome.stderr)")
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains(words), "\(outcome.stderr)")
      #expect(run.differences(from: adaptation.reference) == [])
    }
  }
}
