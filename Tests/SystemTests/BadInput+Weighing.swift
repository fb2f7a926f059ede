import Foundation

// What users get wrong when they weigh data, or train with weights.

extension BadInput {
  static let weighing = [
    weigh("weights of no file", 66, ["nope.jsonl"]) { _, _ in ["--data", "nope.jsonl"] },
    weigh("weights of an empty file", 65, ["empty.jsonl", "no rows"]) { _, workspace in
      ["--data", try workspace.write("empty.jsonl", [])]
    },
    weigh("weights of a bad row", 65, ["bad.jsonl:2", "JSON"]) { _, workspace in
      ["--data", try workspace.write("bad.jsonl", lines: [#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#, "x"])]
    },
    weigh("weights towards a reward model", 64, ["reward model", "policy"]) { fixture, _ in
      ["--data", fixture.heldOut, "--model", RewardFixture.model]
    },
    weigh("an unknown estimator", 72, ["\"disc\"", "discriminator"]) { fixture, _ in
      ["--data", fixture.heldOut, "--estimator", "disc"]
    },
    weigh("an unknown setting of weights", 72, ["flaten", "did you mean weights.flatten?"]) { fixture, _ in
      ["--data", fixture.heldOut, "flaten=none"]
    },
    weigh("a setting of weights out of range", 72, ["weights.ess", "1"]) { fixture, _ in
      ["--data", fixture.heldOut, "ess=1.5"]
    },
    weigh("no word of who wrote the data", 65, ["row 0", "source_logp", "--source-model"]) { fixture, _ in
      ["--data", fixture.heldOut, "--estimator", "importance"]
    },
    weigh("a reward model that wrote the data", 64, ["reward model", "language model"]) { fixture, _ in
      ["--data", fixture.heldOut, "--estimator", "importance", "--source-model", RewardFixture.model]
    },
    weigh("rso without rewards", 72, ["weights.reward_model", "--reward-model"]) { fixture, _ in
      ["--data", fixture.heldOut, "--estimator", "rso"]
    },
    weigh("rso with a language model's rewards", 64, ["no reward model"]) { fixture, _ in
      ["--data", fixture.heldOut, "--estimator", "rso", "--reward-model", fixture.model]
    },
    weigh("no file of samples", 66, ["nope.jsonl"]) { fixture, _ in
      ["--data", fixture.heldOut, "--samples", "nope.jsonl"]
    },
    weigh("samples of nothing", 65, ["samples.jsonl:1", "prompt"]) { fixture, workspace in
      ["--data", fixture.heldOut, "--samples", try workspace.write("samples.jsonl", lines: [#"{"completion": "a"}"#])]
    },
    weigh("stored weights that are none", 65, ["no file of weights"]) { fixture, _ in
      ["--data", fixture.heldOut, "--stored", fixture.pairs]
    },
    BadInput(testDescription: "weights into a directory that is there", status: 73, words: ["there already"]) {
      fixture, workspace in
      ["weigh", "--data", fixture.heldOut, "--model", fixture.model, "--output", workspace.path]
    },
    BadInput(testDescription: "training with weights that are none", status: 65, words: ["no file of weights"]) {
      fixture, _ in ["train", fixture.recipe, "run=run", "data.weights=\(fixture.heldOut)"]
    },
    BadInput(testDescription: "training with stale weights", status: 65, words: ["stale", "adalign weigh"]) {
      fixture, workspace in
      let first = #"{"format":"adalign weights","version":1,"rows":0,"data":"0","model":"0","estimator":"uniform","#
      let weights = try workspace.write("weights.jsonl", lines: [first + #""settings":{},"source_models":[]}"#])
      return ["train", fixture.recipe, "run=run", "data.weights=\(weights)"]
    },
  ]

  /// The fixture's model is the policy unless the arguments name another.
  private static func weigh(
    _ name: String, _ status: Int32, _ words: [String],
    _ arguments: @escaping @Sendable (Fixture, Workspace) throws -> [String]
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      let own = try arguments(fixture, workspace)
      let model = own.contains("--model") ? [] : ["--model", fixture.model]
      return ["weigh", "--output", workspace("run")] + model + own
    }
  }
}
