import Foundation
import Testing

extension SystemTests {
  /// Training on pairs that the policy says itself is a run like any other.
  @Suite struct Online {
    let fixture: Fixture
    let workspace: Workspace
    private static let online =
      "online={samples: 2, max_new_tokens: 6, source_share: 0.25, label: {judge: {name: repetition}, "
      + "pairing: {name: first_round}}}"

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    @Test("weights and metrics are the same on any number of ranks, after a kill as without")
    func sameBits() async throws {
      #expect(try await train("whole").status == 0)
      let whole = RunDirectory(workspace("whole"))
      #expect(whole.steps == Array(0...Self.steps))
      #expect(whole.metrics.dropFirst().allSatisfy { $0.contains("labels/kept") }, "\(whole.metrics)")
      #expect(try await train("three", ranks: 3).status == 0)
      let broken = RunDirectory(workspace("broken"))
      let running = try command("broken", ["checkpoint.every=2"], ranks: 2).start()
      try await eventually("step 5") { broken.steps.last ?? 0 >= 5 }
      for rank in running.ranks { kill(rank, SIGKILL) }
      #expect(try await running.outcome().status != 0)
      try #require(try #require(broken.steps.last) < Self.steps, "the run was over before it could be killed")
      let resumed = try await train("broken", ranks: 3)
      #expect(resumed.stderr.contains("resuming after step"))
      for run in [RunDirectory(workspace("three")), broken] {
        #expect(try run.weights == whole.weights)
        #expect(run.metrics == whole.metrics)
      }
    }

    private static let steps = 30

    private func command(_ run: String, _ overrides: [String] = [], ranks: Int?) -> Command {
      workspace.command(
        ["train", fixture.recipe, "run=\(run)", "steps=\(Self.steps)", "batch.size=8", Self.online] + overrides,
        ranks: ranks)
    }

    private func train(_ run: String, ranks: Int? = nil) async throws -> Outcome {
      let outcome = try await command(run, ranks: ranks).run()
      if outcome.status != 0 { Issue.record("\(outcome.stderr)") }
      return outcome
    }
  }
}
