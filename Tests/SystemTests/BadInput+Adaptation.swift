import Foundation

// What users get wrong when they label, or adapt in rounds.

extension BadInput {
  static let labelling = [
    label("no file of candidates", 66, ["nope.jsonl"]) { _, _ in ["--candidates", "nope.jsonl"] },
    label("an empty file of candidates", 65, ["empty.jsonl", "no rows", "completions"]) { _, workspace in
      ["--candidates", try workspace.write("empty.jsonl", [])]
    },
    label("a candidate that is no text", 65, ["bad.jsonl:2", "completions"]) { _, workspace in
      let rows = [#"{"prompt": "a", "completions": ["b", "c"]}"#, #"{"prompt": "a", "completions": ["b", 3]}"#]
      return ["--candidates", try workspace.write("bad.jsonl", lines: rows)]
    },
    label("one response is no pair", 65, ["one.jsonl", "no label is left"]) { _, workspace in
      ["--candidates", try workspace.candidates([("a", ["b"])], in: "one.jsonl")]
    },
    label("no such directory for statistics", 73, ["/nowhere"]) { _, _ in ["--statistics", "/nowhere/x.json"] },
    label("unknown judge", 72, ["judge.name", "\"golden\"", "gold"]) { _, _ in ["judge.name=golden"] },
    label("unknown key of a judge", 72, ["judge.nois", "did you mean judge.noise?"]) { _, _ in ["judge.nois=1"] },
    label("a reward model that nobody names", 72, ["judge.model", "names no model"]) { _, _ in
      ["judge.name=reward_model"]
    },
    label("a language model that nobody names", 72, ["judge.model", "names no model"]) { _, _ in
      ["judge.name=language_model", "pairing.name=random"]
    },
    label("a reward model that is none", 64, ["no reward model"]) { fixture, _ in
      ["judge.name=reward_model", "judge.model=\(fixture.model)"]
    },
    label("a judge that is not there", 66, ["nowhere"]) { _, _ in ["judge.name=reward_model", "judge.model=nowhere"] },
    label("scores of a judge that compares", 72, ["judge", "compares", "form: pointwise"]) { fixture, _ in
      ["judge.name=language_model", "judge.model=\(fixture.model)", "pairing.name=max_min"]
    },
    label("labels of responses by a judge that compares", 72, ["judge", "compares"]) { fixture, _ in
      ["--form", "responses", "judge.name=language_model", "judge.model=\(fixture.model)", "pairing.name=random"]
    },
    label("a judge without room for a question", 65, ["context of 128 tokens", "template_file"]) { fixture, _ in
      ["judge.name=language_model", "judge.model=\(fixture.model)", "pairing.name=random"]
    },
    label("unknown pairing", 72, ["pairing.name", "\"knockout\"", "tournament"]) { _, _ in ["pairing.name=knockout"] },
    label("unknown option of a pairing", 72, ["pairing.gap", "max_min"]) { _, _ in ["pairing.gap=1"] },
    label("two gaps", 72, ["filter.gap", "gap_quantile"]) { _, _ in ["filter.gap=1", "filter.gap_quantile=0.5"] },
    label("a confidence out of range", 72, ["filter.confidence", "0.5"]) { _, _ in ["filter.confidence=0.2"] },
    label("a threshold that is none", 72, ["threshold", "prompt_mean"]) { _, _ in ["threshold=high"] },
    label("unknown template", 72, ["judge.template", "preference"]) { fixture, _ in
      ["judge.name=language_model", "judge.model=\(fixture.model)", "judge.template=x", "pairing.name=random"]
    },
    api("an API without key", 69, ["ADALIGN_API_KEY", "export"], []),
    api("a key in a recipe", 72, ["judge.api.key", "key_variable"], ["judge.api.key=sk-1"]),
    api("an address that is none", 72, ["api.base_url", "http"], ["judge.api.base_url=example.com"]),
    api("a budget of money without prices", 72, ["api.budget.money", "prices"], ["judge.api.budget.money=1"]),
    api("an API of no model", 72, ["judge.api.model", "missing"], ["judge.api.model="]),
  ]

  static let adaptations = [
    adapt("unknown preset", 72, ["preset", "\"dpo\"", "iterative_dpo"]) { _, _ in ["preset=dpo"] },
    adapt("no source data", 72, ["data.source", "missing"]) { _, _ in ["data.source="] },
    adapt("no such source data", 66, ["nope.jsonl"]) { _, _ in ["data.source=nope.jsonl"] },
    adapt("no such prompts", 66, ["nope.jsonl"]) { _, _ in ["data.prompts=nope.jsonl"] },
    adapt("no policy", 66, ["nowhere", "model"]) { _, _ in ["model=nowhere"] },
    adapt("a reward model as policy", 64, ["reward model"]) { _, _ in ["model=\(RewardFixture.model)"] },
    adapt("a run that the policy's recipe names", 72, ["policy.run", "filled in"]) { _, _ in ["policy.run=x"] },
    adapt("data that the policy's recipe names", 72, ["policy.data.train", "filled in"]) { fixture, _ in
      ["policy.data.train=\(fixture.pairs)"]
    },
    adapt("unknown key of the optimizer", 72, ["policy.optimizer.learning_rat", "learning_rate"]) { _, _ in
      ["policy.optimizer.learning_rat=1"]
    },
    adapt("unknown key of the reward model's training", 72, ["reward_model.train.stepz", "steps"]) { _, _ in
      ["reward_model.train.stepz=1"]
    },
    adapt("unknown key at the top", 72, ["polisy", "did you mean policy?"]) { _, _ in ["polisy.steps=1"] },
    adapt("unknown estimator", 72, ["\"disc\"", "discriminator"]) { _, _ in ["weights.estimator=disc"] },
    adapt("a judge that is not there", 66, ["nowhere"]) { _, _ in ["label.judge.model=nowhere"] },
    adapt("an expert that is not there", 66, ["nowhere"]) { _, _ in ["label.expert.judge.model=nowhere"] },
    adapt("an expert without key", 69, ["ADALIGN_API_KEY"]) { _, _ in
      ["label.expert.judge={name: api, api: {model: m}}"]
    },
    adapt("scores of an expert's rival that compares", 72, ["label.judge", "compares"]) { _, _ in
      ["label.judge={name: language_model}"]
    },
    adapt("labels by no reward model", 72, ["label.judge.model", "reward_model"]) { _, _ in ["reward_model="] },
    adapt("a mixture without labels", 72, ["reward_model.learn_from", "label"]) { _, _ in
      ["label=", "reward_model.learn_from=mixture"]
    },
    adapt("a refinement without an expert", 72, ["reward_model.refine", "label.expert"]) { _, _ in
      ["label.expert=", "reward_model.refine={steps: 1}"]
    },
    adapt("evaluation of nothing", 72, ["evaluate.prompts", "missing"]) { _, _ in ["evaluate.judge.name=gold"] },
    adapt("evaluation by a judge that compares", 72, ["evaluate.judge", "needs scores"]) { fixture, _ in
      ["evaluate={prompts: \(fixture.heldOut), judge: {name: language_model}}"]
    },
    adapt("evaluation by another reward model each time", 72, ["evaluate.judge.model"]) { fixture, _ in
      ["evaluate={prompts: \(fixture.heldOut)}"]
    },
    adapt("evaluation with prompts of no file", 66, ["nope.jsonl"]) { _, _ in
      ["evaluate={prompts: nope.jsonl, judge: {name: gold}}"]
    },
    adapt("source models of no directory", 66, ["nowhere"]) { _, _ in
      ["weights={estimator: importance, source_models: nowhere}"]
    },
    BadInput(testDescription: "rounds of a recipe for one run", status: 72, words: ["data.source"]) { fixture, _ in
      ["adapt", fixture.recipe, "run=run"]
    },
  ]

  /// Two candidates and the gold judge, unless the arguments say otherwise.
  private static func label(
    _ name: String, _ status: Int32, _ words: [String],
    _ arguments: @escaping @Sendable (Fixture, Workspace) throws -> [String]
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      let own = try arguments(fixture, workspace)
      let candidates = try workspace.candidates([("a", [" 1", " 1 2"])])
      return ["label", "--output", workspace("out.jsonl")]
        + (own.contains("--candidates") ? [] : ["--candidates", candidates]) + ["judge.name=gold"] + own
    }
  }

  private static func api(_ name: String, _ status: Int32, _ words: [String], _ settings: [String]) -> BadInput {
    label(name, status, words) { _, _ in
      ["judge={name: api, api: {model: m, store: run/answers.sqlite}}", "pairing.name=random"] + settings
    }
  }

  /// The combined preset on the fixture's data.
  private static func adapt(
    _ name: String, _ status: Int32, _ words: [String],
    _ overrides: @escaping @Sendable (Fixture, Workspace) throws -> [String]
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      let recipe = try workspace.write(
        "adapt.yaml",
        lines: [
          "run: \(workspace("run"))", "preset: combined", "model: \(fixture.model)", "data: {source: \(fixture.pairs)}",
        ])
      return ["adapt", recipe] + (try overrides(fixture, workspace))
    }
  }
}
