import Foundation

// What users get wrong with the commands that work on trained models.

extension BadInput {
  static let evaluations = evaluate + calibrate + ensembles + adapters

  private static let evaluate = [
    command("nothing to evaluate with", 64, ["--data"]) { fixture, _ in ["evaluate", "--model", fixture.model] },
    command("evaluation of no file", 66, ["nope.jsonl"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--data", "nope.jsonl"]
    },
    command("evaluation of an empty file", 65, ["empty.jsonl", "no rows"]) { fixture, workspace in
      ["evaluate", "--model", fixture.model, "--data", try workspace.write("empty.jsonl", [])]
    },
    command("an objective without its reference", 64, ["dpo", "--reference"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--data", fixture.heldOut, "--objective", "dpo"]
    },
    command("an objective for reward models", 64, ["bradley_terry", "language model"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--data", fixture.heldOut, "--objective", "bradley_terry"]
    },
    command("an objective on samples", 64, ["grpo", "preferences"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--data", fixture.heldOut, "--objective", "grpo"]
    },
    command("an unknown option of the objective", 72, ["bta", "average"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--data", fixture.heldOut, "bta=1"]
    },
    command("a reward model with an objective", 64, ["sft", "--objective"]) { fixture, _ in
      ["evaluate", "--model", RewardFixture.model, "--data", fixture.heldOut, "--objective", "sft"]
    },
    command("a reward model with a reference", 64, ["--reference"]) { fixture, _ in
      ["evaluate", "--model", RewardFixture.model, "--data", fixture.heldOut, "--reference", fixture.model]
    },
    command("a reward model as the reference", 64, ["reward model", "--reference"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--data", fixture.heldOut, "--reference", RewardFixture.model]
    },
    command("rows without preference, label or score", 65, ["bare.jsonl", "label", "score"]) { _, workspace in
      let rows = try workspace.write("bare.jsonl", lines: [#"{"prompt": "a", "completions": ["b", "c"]}"#])
      return ["evaluate", "--model", RewardFixture.model, "--data", rows]
    },
    command("prompts without a use", 64, ["--prompts", "--samples"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--data", fixture.heldOut, "--prompts", fixture.heldOut]
    },
    command("an opponent without a judge", 64, ["--against", "--judge"]) { fixture, _ in
      ["evaluate", "--model", fixture.model, "--against", fixture.model, "--prompts", fixture.heldOut]
    },
    command("a judge that is no reward model", 64, ["no reward model", "--judge"]) { fixture, _ in
      [
        "evaluate", "--model", fixture.model, "--against", fixture.model, "--judge", fixture.model, "--prompts",
        fixture.heldOut,
      ]
    },
    command("no answers", 64, ["--answers"]) { fixture, _ in
      [
        "evaluate", "--model", fixture.model, "--against", fixture.model, "--judge", RewardFixture.model, "--prompts",
        fixture.heldOut, "--answers", "0",
      ]
    },
    command("samples in no directory", 73, ["/nowhere"]) { fixture, _ in
      [
        "evaluate", "--model", fixture.model, "--data", fixture.heldOut, "--prompts", fixture.heldOut, "--samples",
        "/nowhere/out.jsonl",
      ]
    },
    command("samples of a reward model", 64, ["reward model", "language model"]) { fixture, workspace in
      [
        "sample", "--model", RewardFixture.model, "--prompts", fixture.heldOut, "--output", workspace("out.jsonl"),
        "--max-new-tokens", "3",
      ]
    },
  ]

  private static let calibrate = [
    command("calibration of a language model", 64, ["no reward model"]) { fixture, workspace in
      ["calibrate", "--model", fixture.model, "--data", fixture.heldOut, "--output", workspace("run")]
    },
    command("calibration into a directory that is there", 73, ["there already"]) { fixture, workspace in
      ["calibrate", "--model", RewardFixture.model, "--data", fixture.heldOut, "--output", workspace.path]
    },
    command("calibration on labels", 65, ["rows.jsonl:1", "pairs"]) { _, workspace in
      let rows = try workspace.write("rows.jsonl", lines: [#"{"prompt": "a", "completion": "b", "label": true}"#])
      return ["calibrate", "--model", RewardFixture.model, "--data", rows, "--output", workspace("run")]
    },
    // Of a pair and the same pair swapped one is right: no better than chance.
    command("calibration without information", 65, ["rows.jsonl", "chance", "swapped"]) { _, workspace in
      let swapped = #"{"prompt": "a", "chosen": "c", "rejected": "b"}"#
      let rows = try workspace.write("rows.jsonl", lines: [pair, swapped])
      return ["calibrate", "--model", RewardFixture.model, "--data", rows, "--output", workspace("run")]
    },
    // Answers of training's kind: the longer the repetition, the clearer.
    command("calibration on pairs that are all right", 65, ["rows.jsonl", "right about all", "more pairs"]) {
      _, workspace in
      let rows = try workspace.write(
        "rows.jsonl",
        lines: [
          #"{"prompt": "Count from 7:", "chosen": " 7 8 9 10 11", "rejected": " 7 7 7 7 7 7 7 7"}"#
        ])
      return ["calibrate", "--model", RewardFixture.model, "--data", rows, "--output", workspace("run")]
    },
  ]

  private static let ensembles = [
    score("an ensemble of language models", 64, ["no reward model", "ensemble"]) { fixture in
      ["--model", RewardFixture.model, "--model", fixture.model]
    },
    score("one model to combine", 64, ["--combine", "several"]) { _ in
      ["--model", RewardFixture.model, "--combine", "minimum"]
    },
    score("λ of nothing", 64, ["--lambda", "lower_bound"]) { _ in
      ["--model", RewardFixture.model, "--model", RewardFixture.model, "--lambda", "2"]
    },
    score("negative λ", 64, ["--lambda", "negative"]) { _ in
      [
        "--model", RewardFixture.model, "--model", RewardFixture.model, "--combine", "lower_bound", "--lambda=-1",
      ]
    },
    score("an unknown combination", 64, ["--combine", "lower_bound"]) { _ in
      ["--model", RewardFixture.model, "--model", RewardFixture.model, "--combine", "median"]
    },
    score("an adapter of several models", 64, ["adapter", "merge"]) { fixture in
      ["--model", fixture.model, "--model", fixture.model, "--adapter", RewardFixture.adapter]
    },
    BadInput(testDescription: "an ensemble of different tokenizers", status: 65, words: ["other tokens"]) {
      fixture, workspace in
      let model = try workspace.copy(RewardFixture.model, to: "model")
      let path = "\(model)/tokenizer.json"
      let text = try String(contentsOfFile: path, encoding: .utf8)
      // Two letters change places.
      let swapped = text.replacing("\"b\": 98", with: "\"b\": 0").replacing("\"c\": 99", with: "\"c\": 98")
        .replacing("\"b\": 0", with: "\"b\": 99")
      guard swapped != text else { throw Failure(description: "\(path) has another form") }
      try swapped.write(toFile: path, atomically: true, encoding: .utf8)
      return [
        "score", "--model", RewardFixture.model, "--model", model, "--data", fixture.heldOut, "--output",
        workspace("out.jsonl"),
      ]
    },
  ]

  private static let adapters = [
    score("no adapter", 66, ["nowhere", "adapter_config.json"]) { fixture in
      ["--model", fixture.model, "--adapter", "nowhere"]
    },
    adapter("DoRA", ["use_dora", "plain LoRA"], #""use_rslora": false"#, #""use_dora": true"#),
    adapter("an adapter of another rank", ["rank 3", "4 here"], #""r": 3"#, #""r": 4"#),
    adapter("an adapter that is no JSON", ["adapter_config.json", "JSON"], "{", "["),
    command("merging into a directory that is there", 73, ["there already"]) { fixture, workspace in
      ["merge", "--model", fixture.model, "--adapter", RewardFixture.adapter, "--output", workspace.path]
    },
    command("merging with no model", 66, ["nowhere"]) { _, workspace in
      ["merge", "--model", "nowhere", "--adapter", RewardFixture.adapter, "--output", workspace("run")]
    },
    command("an adapter of another model", 65, ["adapter of this model"]) { _, workspace in
      // A model of the same kind with other sizes.
      let fixture = "\(#filePath.components(separatedBy: "/SystemTests/")[0])/Fixtures/adapters/plain"
      return ["merge", "--model", RewardFixture.model, "--adapter", fixture, "--output", workspace("run")]
    },
  ]

  private static func command(
    _ name: String, _ status: Int32, _ words: [String],
    _ arguments: @escaping @Sendable (Fixture, Workspace) throws -> [String]
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words, arguments: arguments)
  }

  /// Scores of good rows by these models.
  private static func score(
    _ name: String, _ status: Int32, _ words: [String], _ models: @escaping @Sendable (Fixture) -> [String]
  ) -> BadInput {
    command(name, status, words) { fixture, workspace in
      ["score"] + models(fixture) + ["--data", fixture.heldOut, "--output", workspace("out.jsonl")]
    }
  }

  /// Scores with an adapter in whose configuration a text is replaced.
  private static func adapter(_ name: String, _ words: [String], _ old: String, _ new: String) -> BadInput {
    command(name, 65, words) { fixture, workspace in
      let adapter = try workspace.copy(RewardFixture.adapter, to: "adapter")
      let path = "\(adapter)/adapter_config.json"
      let text = try String(contentsOfFile: path, encoding: .utf8)
      guard text.contains(old) else { throw Failure(description: "\(path) has no \(old)") }
      try text.replacing(old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
      return [
        "score", "--model", fixture.model, "--adapter", adapter, "--data", fixture.heldOut, "--output",
        workspace("out.jsonl"),
      ]
    }
  }
}
