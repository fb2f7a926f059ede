import Foundation
import Testing

extension SystemTests {
  /// Every method of adaptation, as its preset says it.
  @Suite struct Presets {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      _ = try await RewardFixture.shared
      workspace = try Workspace()
    }

    private static let small = ["sample.samples=4", "sample.max_new_tokens=6"]
    private static let judge = ["label.judge.model=\(RewardFixture.model)"]
    private static let rewardModel = ["reward_model.train.steps=2", "reward_model.train.batch.size=4"]
    private static let rollout = ["policy.rollout.samples=2", "policy.rollout.max_new_tokens=6"]

    /// What each preset needs besides a policy and data, and what keeps it small.
    private static let settings = [
      "oaif": ["policy.online.label.judge.model=\(RewardFixture.model)", "policy.online.max_new_tokens=6"],
      "iterative_dpo": small + judge + ["rounds=2"],
      "rso": small + judge,
      "ocrm": rewardModel + rollout + ["rounds=2", "weights.source_models=SOURCE"],
      "self_rewarding": small + ["rounds=1", "data.prompts_per_round=2", "sample.samples=2"],
      "west_of_n": small + rewardModel + rollout,
      "combined": small + rewardModel + ["rounds=2"],
    ]

    @Test("no preset is left out")
    func all() {
      let presets = DocumentedCommand.recipes.compactMap { $0.text.firstMatch(of: /\npreset: (\w+)/)?.1 }
      #expect(Set(presets.map(String.init)) == Set(Self.settings.keys))
    }

    @Test("a preset gives the same policy on one rank and on three", arguments: settings.keys.sorted())
    func sameBits(preset: String) async throws {
      // The policy judges itself, in many words.
      let model = preset == "self_rewarding" ? try await AdaptationFixture.shared.patientModel : fixture.model
      let settings = (Self.settings[preset] ?? []).map { $0.replacing("SOURCE", with: fixture.model) }
      let recipe = try workspace.write(
        "recipe.yaml",
        lines: [
          "preset: \(preset)", "model: \(model)", "policy: {steps: 2, batch: {size: 4}}",
          "data: {source: \(fixture.pairs), prompts: \(fixture.heldOut), prompts_per_round: 4}",
        ])
      for ranks in [1, 3] {
        let arguments = ["adapt", recipe, "run=run-\(ranks)"] + settings
        let outcome = try await workspace.command(arguments, ranks: ranks == 1 ? nil : ranks).run()
        #expect(outcome.status == 0, "\(outcome.stderr)")
      }
      let (one, three) = (RunDirectory(workspace("run-1")), RunDirectory(workspace("run-3")))
      #expect(try one.weights == three.weights)
      #expect(try one.weights != Data(contentsOf: URL(fileURLWithPath: "\(model)/model.safetensors")))
      for (name, bytes) in one.contents where name.hasSuffix(".jsonl") && !name.hasSuffix("metrics.jsonl") {
        #expect(three.contents[name] == bytes, "\(name)")
      }
    }
  }
}
