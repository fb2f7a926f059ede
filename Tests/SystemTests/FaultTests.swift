import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#endif

extension SystemTests {
  /// Faults that are injected into a run (`ADALIGN_FAULTS`): how it ends, what it says, and that nothing else is lost.
  @Suite struct InjectedFaults {
    let fixture: Fixture
    let workspace: Workspace
    var run: RunDirectory { RunDirectory(workspace("run")) }

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    // MARK: Saving

    @Test("a checkpoint is the same, whether training waits for it or not", arguments: [nil, 2])
    func asynchronous(ranks: Int?) async throws {
      for (name, value) in [("run", "true"), ("waiting", "false")] {
        let outcome = try await train(
          "run=\(name)", "checkpoint.every=7", "checkpoint.keep=100", "checkpoint.asynchronous=\(value)", ranks: ranks)
        #expect(outcome.status == 0, "\(outcome.stderr)")
        #expect(outcome.stderr.contains(/9 checkpoints: training stood still for/))
      }
      let waiting = RunDirectory(workspace("waiting"))
      #expect(run.checkpoints.count == 9 && run.checkpoints == waiting.checkpoints)
      let shards = run.contents.filter { $0.key.hasPrefix("checkpoints/") }
      #expect(shards == waiting.contents.filter { $0.key.hasPrefix("checkpoints/") })
      #expect(run.rows.contains { $0.contains(#""seconds/checkpoint_write":"#) })
      #expect(try run.weights == fixture.reference.weights)
    }

    @Test(
      "a checkpoint that fails costs a warning, and the next one is written",
      arguments: [
        (nil, "fail=ENOSPC@write:times=2"), (2, "fail=EIO@write:rank=1:step=20"), (2, "fail=EDQUOT@commit"),
        (2, "fail=EROFS@save:step=10"),
      ] as [(Int?, String)])
    func failedCheckpoint(ranks: Int?, faults: String) async throws {
      let outcome = try await train("checkpoint.every=10", ranks: ranks, faults: faults)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.split(separator: "\n").count { $0.contains("training goes on and tries again") } == 1)
      #expect(outcome.stderr.contains("checkpoints can be written again"))
      #expect(run.checkpoints == ["step-000050", "step-000060"])
      #expect(try run.weights == fixture.reference.weights)
    }

    @Test(
      "three checkpoints that fail in a row end the run, which goes on from the last good one", arguments: [nil, 2])
    func failedCheckpoints(ranks: Int?) async throws {
      let faults = (2...4).map { "fail=ENOSPC@write:step=\($0 * 10)" }.joined(separator: ",")
      let outcome = try await train("checkpoint.every=10", ranks: ranks, faults: faults)
      #expect(outcome.status == 74)
      #expect(outcome.faults.first?.contains(/3 checkpoints in a row failed.*No space left on device/) == true)
      #expect(run.checkpoints == ["step-000010"])
      try await finish(resumingAfter: 10)
    }

    @Test("a last checkpoint that fails is a fault, but the model is written")
    func failedLastCheckpoint() async throws {
      let outcome = try await train("checkpoint.every=25", ranks: 2, faults: "fail=EIO@write:step=60:rank=1")
      #expect(outcome.status == 73)
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("rank 1: "), "\(outcome.stderr)")
      #expect(outcome.faults.first?.contains("Input/output error") == true)
      #expect(try run.weights == fixture.reference.weights)
      try await finish(resumingAfter: 50)
    }

    @Test(
      "a rank that is killed while it saves leaves no half checkpoint",
      arguments: ["kill@save:step=20", "kill@write:rank=1:step=20", "kill@commit:step=20", "kill@export"])
    func killed(faults: String) async throws {
      let outcome = try await train("checkpoint.every=10", ranks: 2, faults: faults)
      #expect(outcome.status == 137, "\(outcome.stderr)")
      try await finish(resumingAfter: faults == "kill@export" ? nil : 10)
    }

    // MARK: Numbers

    @Test("a gradient that is no number ends the run before it is applied, and names the rank")
    func notFinite() async throws {
      let outcome = try await train("checkpoint.every=5", ranks: 2, faults: "nan@step=7:rank=1")
      #expect(outcome.status == 76)
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("rank 1: the gradient of"), "\(outcome.stderr)")
      #expect(run.steps.last == 6)
      try await finish(resumingAfter: 5)
    }

    @Test("steps that are not finite are skipped by all ranks alike, if that is asked for")
    func skipped() async throws {
      let steps = "nan@step=7,nan@step=8,nan@step=30"
      for (name, ranks) in [("one", nil), ("two", 2)] as [(String, Int?)] {
        let outcome = try await train("run=\(name)", "on_nonfinite=skip", "max_skips=2", ranks: ranks, faults: steps)
        #expect(outcome.status == 0, "\(outcome.stderr)")
        #expect(outcome.stderr.contains("step 7 is skipped"))
      }
      let (one, two) = (RunDirectory(workspace("one")), RunDirectory(workspace("two")))
      #expect(try one.weights == two.weights && one.weights != fixture.reference.weights)
      #expect(one.metrics == two.metrics && one.steps == fixture.reference.steps)
      #expect(one.rows[7].contains(/"step":7,.*"skipped":1/) && one.rows.last?.contains(#""skipped":3"#) == true)
    }

    @Test("more skipped steps in a row than allowed end the run")
    func skippedTooOften() async throws {
      let outcome = try await train(
        "on_nonfinite=skip", "max_skips=2", "checkpoint.every=5", ranks: 2, faults: "nan@rank=1:times=3")
      #expect(outcome.status == 76)
      #expect(outcome.faults.first?.contains("3 steps in a row are not finite") == true, "\(outcome.stderr)")
      #expect(run.checkpoints == [])
    }

    @Test("a rank whose weights differ in one bit is named, and nothing of it is saved")
    func diverged() async throws {
      let outcome = try await train("checkpoint.every=5", ranks: 3, faults: "flip@step=8:rank=1")
      #expect(outcome.status == 77)
      #expect(
        outcome.faults.first?.contains(/the weights of rank 1 on \S+ are not those of the other ranks/) == true,
        "\(outcome.stderr)")
      #expect(run.steps.last == 8 && run.checkpoints == ["step-000005"])
      try await finish(resumingAfter: 5)
    }

    // MARK: Hanging and waiting

    @Test("a rank that hangs is told by the others, with host and phase", arguments: ["allreduce", "evaluation"])
    func hung(point: String) async throws {
      let running = try start("watchdog=3", "checkpoint.every=2", ranks: 2, faults: "pause@\(point):rank=1:step=7")
      let outcome = try await running.outcome(within: 20)
      let phase = point == "evaluation" ? "evaluation" : "step"
      #expect(outcome.status == 74)
      #expect(
        outcome.stderr.contains(try Regex("rank 0 on \\S+: no progress for \\d+ s in phase \(phase)")),
        "\(outcome.stderr)")
      try await finish(resumingAfter: nil)
    }

    @Test("a second job is refused, and told who has the directory")
    func locked() async throws {
      let running = try workspace.command(
        ["train", fixture.recipe, "run=run"],
        variables: ["ADALIGN_FAULTS": "delay=2@step=3", "SLURM_JOB_ID": "4711"]
      ).start()
      try await eventually("the first step") { run.steps.last ?? 0 >= 2 }
      let outcome = try await train()
      #expect(outcome.status == 73)
      #expect(outcome.faults.first?.contains(/in use by another job.*host=\S+ pid=\d+ job=4711 started=/) == true)
      #expect(try await running.outcome().status == 0)
      #expect(try run.weights == fixture.reference.weights)
    }

    @Test("data that change or vanish while they are trained on change nothing")
    func vanishingData() async throws {
      let data = try workspace.copy(fixture.pairs, to: "data.jsonl")
      let running = try start("data.train=\(data)", ranks: 2, faults: "delay=0.5@step=5")
      try await eventually("the first steps") { run.steps.last ?? 0 >= 3 }
      try FileManager.default.removeItem(atPath: data)
      #expect(try await running.outcome().status == 0)
      #expect(try run.weights == fixture.reference.weights)
    }

    // MARK: The variable

    @Test("injected faults are announced")
    func announced() async throws {
      let outcome = try await train("steps=1", faults: "kill@step=1000")
      #expect(outcome.status == 0)
      #expect(outcome.stderr.hasPrefix("warning: faults are injected on purpose: ADALIGN_FAULTS=kill@step=1000\n"))
    }

    @Test("a rule that is none is refused", arguments: [nil, 2])
    func wrongRule(ranks: Int?) async throws {
      let outcome = try await train(ranks: ranks, faults: "explode@save")
      #expect(outcome.status == 64)
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("\"explode@save\" is no fault to be injected"))
      #expect(run.contents.isEmpty)
    }

    // MARK: Running

    private func start(_ overrides: String..., ranks: Int? = nil, faults: String) throws -> RunningCommand {
      try workspace.command(
        ["train", fixture.recipe, "run=run"] + overrides, ranks: ranks, variables: ["ADALIGN_FAULTS": faults]
      ).start()
    }

    private func train(_ overrides: String..., ranks: Int? = nil, faults: String? = nil) async throws -> Outcome {
      try await workspace.command(
        ["train", fixture.recipe, "run=run"] + overrides, ranks: ranks,
        variables: faults.map { ["ADALIGN_FAULTS": $0] } ?? [:]
      ).run()
    }

    /// Goes on on one rank, as if nothing had happened.
    private func finish(resumingAfter step: Int?) async throws {
      let outcome = try await train()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      if let step { #expect(outcome.stderr.contains("resuming after step \(step)\n"), "\(outcome.stderr)") }
      #expect(try run.weights == fixture.reference.weights)
      #expect(run.metrics == fixture.reference.metrics)
    }
  }
}
