import Foundation
import Testing

extension SystemTests {
  /// What is in a run directory is never believed, never mixed and never lost.
  @Suite struct Checkpoints {
    let fixture: Fixture
    let workspace: Workspace
    var run: RunDirectory { RunDirectory(workspace("run")) }

    /// Begins with a run that is a quarter done and has three checkpoints.
    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
      let outcome = try await train("steps=15", "checkpoint.every=5", "checkpoint.keep=3")
      try #require(outcome.status == 0, "\(outcome.stderr)")
      try #require(run.checkpoints == ["step-000005", "step-000010", "step-000015"])
    }

    @Test("the newest ones are kept, as many as asked for", arguments: [1, 2])
    func keep(count: Int) async throws {
      let outcome = try await train("checkpoint.every=7", "checkpoint.keep=\(count)")
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(run.checkpoints == ["step-000056", "step-000060"].suffix(count))
    }

    @Test("more steps go on from the last checkpoint where the schedule is constant", arguments: [1, 2])
    func moreSteps(ranks: Int) async throws {
      let outcome = try await train(ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.contains("resuming after step 15"))
      #expect(try run.weights == fixture.reference.weights)
      #expect(run.steps == fixture.reference.steps)
    }

    @Test("fewer steps than done are refused")
    func fewerSteps() async throws {
      try await expectRefusal(72, "15 steps", "steps=10")
    }

    @Test("a finished run has nothing left to do", arguments: [nil, 2])
    func finished(ranks: Int?) async throws {
      let before = run.contents
      let outcome = try await train("steps=15", ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.seconds < 10)
      #expect(before.filter { $0.key != "lock" } == run.contents.filter { $0.key != "lock" })
    }

    @Test("a lost final model is written again")
    func lostModel() async throws {
      let weights = try run.weights
      try FileManager.default.removeItem(atPath: workspace("run/final"))
      #expect(try await train("steps=15").status == 0)
      #expect(try run.weights == weights)
    }

    // A crash or a full disk between the last checkpoint and the model leaves the model of the shorter run behind.
    @Test("the model of a shorter run is not taken for that of a longer one")
    func staleModel() async throws {
      let old = try workspace.copy(workspace("run/final"), to: "old")
      #expect(try await train().status == 0)
      try FileManager.default.removeItem(atPath: workspace("run/final"))
      try FileManager.default.moveItem(atPath: old, toPath: workspace("run/final"))
      #expect(try await train().status == 0)
      #expect(try run.weights == fixture.reference.weights)
    }

    @Test("a damaged checkpoint is named, and the one before it used", arguments: [nil, 2])
    func damaged(ranks: Int?) async throws {
      try run.damage("step-000015")
      let outcome = try await train(ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.contains(/warning: skipping a damaged checkpoint: .*step-000015\/shard-/))
      #expect(outcome.stderr.contains("resuming after step 10"))
      #expect(try run.weights == fixture.reference.weights)
      #expect(run.steps == fixture.reference.steps)
    }

    @Test("half a checkpoint does not count", arguments: ["manifest.json", "shard-00001-of-00001.safetensors"])
    func incomplete(missing: String) async throws {
      try FileManager.default.removeItem(atPath: workspace("run/checkpoints/step-000015/\(missing)"))
      let outcome = try await train(ranks: 2)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.contains("resuming after step 10"))
      #expect(try run.weights == fixture.reference.weights)
    }

    @Test("if all are damaged, nothing is overwritten", arguments: [nil, 2])
    func allDamaged(ranks: Int?) async throws {
      for checkpoint in run.checkpoints { try run.damage(checkpoint) }
      try await expectRefusal(65, "none of 3", ranks: ranks)
    }

    @Test(
      "another setting is refused by its name",
      arguments: [
        ("optimizer.learning_rate", "2e-3"), ("seed", "1"), ("batch.size", "8"), ("objective.beta", "0.2"),
        ("data.shuffle", "false"), ("reduction", "fast"),
      ])
    func otherSetting(key: String, value: String) async throws {
      try await expectRefusal(72, key, "\(key)=\(value)")
    }

    @Test("other data are refused", arguments: [nil, 2])
    func otherData(ranks: Int?) async throws {
      try await expectRefusal(72, "training data", "data.train=\(fixture.heldOut)", ranks: ranks)
    }

    @Test("another model is refused")
    func otherModel() async throws {
      try await expectRefusal(72, "model", "model=\(fixture.reference.path)/final")
    }

    @Test("what does not change the result may change")
    func freeSettings() async throws {
      let data = workspace("moved.jsonl")
      try FileManager.default.copyItem(atPath: fixture.pairs, toPath: data)
      let outcome = try await train("data.train=\(data)", "checkpoint.every=20", "eval.every=0", "watchdog=60")
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(try run.weights == fixture.reference.weights)
    }

    @Test("a damaged cache is made again")
    func damagedCache() async throws {
      let cache = try FileManager.default.contentsOfDirectory(atPath: workspace("cache"))
      #expect(Set(cache.map { $0.prefix { $0 != "-" } }) == ["tokens", "logps"])
      for name in cache {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: workspace("cache/\(name)")))
        bytes[bytes.count / 2] ^= 1
        try workspace.write("cache/\(name)", bytes)
      }
      #expect(try await train("run=again", ranks: 2).status == 0)
      #expect(try RunDirectory(workspace("again")).weights == fixture.reference.weights)
    }

    private func train(_ overrides: String..., ranks: Int? = nil) async throws -> Outcome {
      try await workspace.command(["train", fixture.recipe, "run=run"] + overrides, ranks: ranks).run()
    }

    /// Expects one line with these words, and a run directory that is as it was.
    private func expectRefusal(
      _ status: Int32, _ words: String, _ overrides: String..., ranks: Int? = nil
    ) async throws {
      let before = run.contents
      let outcome = try await workspace.command(["train", fixture.recipe, "run=run"] + overrides, ranks: ranks).run()
      #expect(outcome.status == status, "\(outcome.stderr)")
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains(words), "\(outcome.stderr)")
      #expect(before.filter { $0.key != "lock" } == run.contents.filter { $0.key != "lock" })
    }
  }
}
