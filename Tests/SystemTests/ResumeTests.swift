import Foundation
import Testing

extension SystemTests {
  /// A run that was cut off ends as if nothing had happened.
  @Suite struct Resume {
    let fixture: Fixture
    let workspace: Workspace
    var run: RunDirectory { RunDirectory(workspace("run")) }

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    @Test("killed ranks, then another number of them", arguments: [(2, 3), (3, 1), (nil, 2)] as [(Int?, Int)])
    func killed(before: Int?, after: Int) async throws {
      let running = try start(ranks: before, "checkpoint.every=2")
      try await eventually("step 5") { run.steps.last ?? 0 >= 5 }
      for rank in running.ranks { kill(rank, SIGKILL) }
      #expect(try await running.outcome().status != 0)
      #expect(try #require(run.steps.last) < Fixture.steps, "the run was over before it could be killed")
      try await finish(ranks: after)
    }

    @Test("one rank that dies or hangs ends all, promptly", arguments: [SIGKILL, SIGSTOP])
    func lostRank(signal: Int32) async throws {
      let running = try start(ranks: 3, "checkpoint.every=2", "watchdog=3")
      try await eventually("step 5") { run.steps.last ?? 0 >= 5 }
      kill(try #require(running.ranks.last), signal)
      let outcome = try await running.outcome(within: 15)
      #expect(outcome.status == (signal == SIGSTOP ? 74 : 128 + SIGKILL), "\(outcome.stderr)")
      #expect(outcome.stderr.contains("no progress") == (signal == SIGSTOP))
      try await finish(ranks: 2)
    }

    @Test("a signal to one rank stops all of them")
    func oneRankAsked() async throws {
      let running = try start(ranks: 3)
      try await eventually("step 5") { run.steps.last ?? 0 >= 5 }
      kill(try #require(running.ranks.last), SIGTERM)
      #expect(try await running.outcome().status == 75)
      try await finish(ranks: 1)
    }

    @Test("SIGUSR1 to mpirun saves and exits with 75", arguments: [(2, 1), (3, 2)])
    func requested(before: Int, after: Int) async throws {
      try await stop(SIGUSR1, ranks: before)
      try await finish(ranks: after)
    }

    @Test("a signal to a process without mpirun saves and exits with 75", arguments: [SIGTERM, SIGINT, SIGUSR1])
    func single(signal: Int32) async throws {
      try await stop(signal, ranks: nil)
      try await finish(ranks: 1)
    }

    @Test("a run can be stopped again and again")
    func repeatedly() async throws {
      for round in 1...3 {
        let running = try start(ranks: round == 2 ? 2 : nil)
        try await eventually("\(round * 10) steps") { run.steps.last ?? 0 >= round * 10 }
        running.send(SIGUSR1)
        #expect(try await running.outcome().status == 75)
      }
      try await finish(ranks: 3)
    }

    // A launcher ends an mpirun whose ranks are gone by this file.
    @Test("a run promises progress within its watchdog's limit and ten seconds")
    func heartbeat() async throws {
      let variables = ["ADALIGN_HEARTBEAT": workspace("heartbeat")]
      let running = try workspace.command(
        ["train", fixture.recipe, "run=run", "watchdog=30"], ranks: 2, variables: variables
      ).start()
      try await eventually("step 5") { run.steps.last ?? 0 >= 5 }
      let line = try String(contentsOfFile: workspace("heartbeat"), encoding: .utf8)
      #expect(line.wholeMatch(of: /\s*40 [1-9]\d*\n/) != nil, "\(line)")
      #expect(try await running.outcome().status == 0)
    }

    /// Stops the run when it has done some steps, and checks that it was saved where it stopped.
    private func stop(_ signal: Int32, ranks: Int?) async throws {
      let running = try start(ranks: ranks)
      try await eventually("step 5") { run.steps.last ?? 0 >= 5 }
      running.send(signal)
      let outcome = try await running.outcome()
      #expect(outcome.status == 75, "\(outcome.stderr)")
      let step = try #require(run.steps.last)
      #expect(step < Fixture.steps, "the run was over before it could be stopped")
      #expect(run.checkpoints.count == 1)
      #expect(run.checkpoints.first?.hasSuffix("0\(step)") == true, "\(run.checkpoints) after step \(step)")
      #expect(outcome.stderr.contains("saved after step \(step)"))
    }

    private func start(ranks: Int?, _ overrides: String...) throws -> RunningCommand {
      try workspace.command(["train", fixture.recipe, "run=run"] + overrides, ranks: ranks).start()
    }

    private func finish(ranks: Int) async throws {
      let outcome = try await workspace.adalign("train", fixture.recipe, "run=run", "checkpoint.every=2", ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.contains("resuming after step"))
      #expect(try run.weights == fixture.reference.weights)
      #expect(run.metrics == fixture.reference.metrics)
    }
  }
}
