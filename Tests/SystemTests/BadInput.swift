import Foundation
import Testing

/// One thing that users get wrong, and what they must be told.
struct BadInput: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let status: Int32
  /// What the one line must contain.
  let words: [String]
  /// Prepares the files and gives the arguments of the program.
  let arguments: @Sendable (Fixture, Workspace) throws -> [String]
}

extension BadInput {
  static let all =
    commandLines + recipes + trainingRows + scoredRows + sampling + dataFiles + models + outputs + evaluations
    + weighing
  /// What every rank sees alike.
  static let rounds = labelling + adaptations

  static let commandLines = [
    BadInput(testDescription: "no such recipe", status: 66, words: ["nope.yaml"]) { _, _ in ["train", "nope.yaml"] },
    BadInput(testDescription: "recipe is no YAML", status: 72, words: ["bad.yaml", "YAML"]) { _, workspace in
      ["train", try workspace.write("bad.yaml", lines: ["run: [", "model: x"])]
    },
    train("no override", 64, ["steps", "optimizer.learning_rate=1e-5"]) { _ in ["steps"] },
    train("unknown flag", 64, ["--stepz"]) { _ in ["--stepz"] },
    BadInput(testDescription: "unknown command", status: 64, words: ["trian"]) { fixture, _ in
      ["trian", fixture.recipe]
    },
  ]

  static let recipes = [
    train("unknown key", 72, ["step", "did you mean steps?"]) { _ in ["step=3"] },
    train("unknown nested key", 72, ["optimizer.learning_rat", "did you mean optimizer.learning_rate?"]) { _ in
      ["optimizer.learning_rat=1"]
    },
    train("unknown option of the objective", 72, ["objective.bta", "beta"]) { _ in ["objective.bta=1"] },
    train("unknown modifier of the objective", 72, ["objective.humanlin", "humanline"]) { _ in
      ["objective.humanlin=yes"]
    },
    train("unknown key of the reward", 72, ["reward.clipp", "did you mean reward.clip?"]) { _ in
      ["objective.name=ppo", "rollout.source=data", "reward.clipp=1"]
    },
    train("unknown objective", 72, ["objective.name", "\"dop\"", "dpo"]) { _ in ["objective.name=dop"] },
    train("wrong number", 72, ["optimizer.learning_rate", "number"]) { _ in ["optimizer.learning_rate=fast"] },
    train("not a number", 72, ["optimizer.learning_rate", "number"]) { _ in ["optimizer.learning_rate=nan"] },
    train("wrong integer", 72, ["batch.size", "integer"]) { _ in ["batch.size=0"] },
    train("wrong choice", 72, ["reduction", "exact, fast"]) { _ in ["reduction=exactly"] },
    train("endless epochs", 72, ["epochs"]) { _ in ["steps=", "epochs=1e300"] },
    train("a table too many", 72, ["seed"]) { _ in ["seed.of=1"] },
    train("heads that do not divide", 72, ["model.initialize", "heads 3"]) { _ in
      ["model={initialize: {hidden_size: 32, heads: 3}}"]
    },
    train("huge units", 71, ["cannot allocate", "batch.unit_tokens"]) { _ in ["batch.unit_tokens=16777216"] },
  ]

  static let trainingRows = [
    row("no JSON", #"{"prompt": "a", chosen: "b"}"#, ["JSON"]),
    row("no object", "[1]", ["object"]),
    row("no UTF-8", bytes: Array(#"{"completion": ""#.utf8) + [0xff] + Array(#""}"#.utf8), ["UTF-8"]),
    row("empty completion", #"{"prompt": "a", "chosen": "", "rejected": "c"}"#, ["chosen", "empty"]),
    row("no rejected", #"{"prompt": "a", "chosen": "b"}"#, ["rejected", "missing"]),
    row("unpaired row", #"{"prompt": "a", "completion": "b"}"#, ["pairs"]),
    row("chat messages", #"{"prompt": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "c"}"#, ["chat"]),
    row("negative weight", #"{"prompt": "a", "chosen": "b", "rejected": "c", "weight": -1}"#, ["weight", "-1"]),
    row("long prompt", #"{"prompt": "\#(long)", "chosen": "b", "rejected": "c"}"#, ["128", "data.max_length"]),
  ]

  static let scoredRows = [
    score("scored row without JSON", "nonsense", 65, ["data.jsonl:2", "JSON"]),
    score("scored row without completion", #"{"prompt": "a"}"#, 65, ["data.jsonl:2", "completion"]),
    score("scored prompt too long", #"{"prompt": "\#(long)", "completion": "b"}"#, 65, ["data.jsonl:2", "128"]),
  ]

  static let dataFiles = [
    train("no data file", 66, ["nope.jsonl"]) { _ in ["data.train=nope.jsonl"] },
    train("no held-out file", 66, ["nope.jsonl"]) { _ in ["data.eval=nope.jsonl"] },
    train("data file is a directory", 66, ["adalign-system", "file"]) { workspace in ["data.train=\(workspace.path)"] },
    train("empty data file", 65, ["empty.jsonl", "no usable example"]) { workspace in
      ["data.train=\(try workspace.write("empty.jsonl", []))"]
    },
    train("truncated gzip", 65, ["cut.jsonl.gz", "truncated"]) { workspace in
      // A header, then a stored block that promises 100 bytes and has one.
      let bytes: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 100, 0, 155, 255, 0x7b]
      return ["data.train=\(try workspace.write("cut.jsonl.gz", bytes))"]
    },
    train("Parquet", 65, ["data.parquet", ".jsonl"]) { workspace in
      ["data.train=\(try workspace.write("data.parquet", "PAR1....PAR1".utf8))"]
    },
  ]

  static let models = [
    train("no model", 66, ["nowhere", "model"]) { _ in ["model=nowhere"] },
    train("no reference", 66, ["nowhere", "model"]) { _ in ["reference=nowhere"] },
    model("no tokenizer.json", 66, ["tokenizer.json"]) { directory in
      try FileManager.default.removeItem(atPath: "\(directory)/tokenizer.json")
    },
    model("no weights", 66, ["model.safetensors"]) { directory in
      try FileManager.default.removeItem(atPath: "\(directory)/model.safetensors")
    },
    model("truncated weights", 65, ["model.safetensors", "truncated"]) { directory in
      try edit("\(directory)/model.safetensors") { $0.prefix($0.count / 2) }
    },
    model("one byte too many", 65, ["model.safetensors", "trailing"]) { directory in
      try edit("\(directory)/model.safetensors") { $0 + [0] }
    },
    model("absurd header length", 65, ["model.safetensors", "header length 9223372036854775808"]) { directory in
      try edit("\(directory)/model.safetensors") { [0, 0, 0, 0, 0, 0, 0, 0x80] + $0.dropFirst(8) }
    },
    model("broken config.json", 65, ["config.json", "JSON"]) { try edit("\($0)/config.json") { $0.dropLast(5) } },
    model("wrong type in config.json", 65, ["config.json", "hidden_size", "integer"]) {
      try replace(#""hidden_size": 32"#, #""hidden_size": "32""#, in: "\($0)/config.json")
    },
    model("wrong size in config.json", 65, ["model.safetensors", "[257, 32]", "[257, 64]"]) {
      try replace(#""hidden_size": 32"#, #""hidden_size": 64"#, in: "\($0)/config.json")
    },
    model("absurd size in config.json", 65, ["num_hidden_layers"]) {
      try replace(#""num_hidden_layers": 2"#, #""num_hidden_layers": 200000000"#, in: "\($0)/config.json")
    },
    model("unknown architecture", 65, ["config.json", "gpt2", "llama"]) {
      try replace(#""model_type": "llama""#, #""model_type": "gpt2""#, in: "\($0)/config.json")
    },
    model("small vocabulary", 65, ["257", "100"]) {
      try replace(#""vocab_size": 257"#, #""vocab_size": 100"#, in: "\($0)/config.json")
    },
    model("weights that are not numbers", 76, ["not finite"]) { directory in
      // Infinite exponents from the end of the header on.
      try edit("\(directory)/model.safetensors") { bytes in
        let header = 8 + Int(bytes[0]) + Int(bytes[1]) << 8
        return bytes.prefix(header) + Data(repeating: 0xff, count: bytes.count - header)
      }
    },
  ]

  static let outputs = [
    train("run below a device", 73, ["/dev/null"]) { _ in ["run=/dev/null/x"] },
    train("run is a file", 73, ["taken"]) { workspace in ["run=\(try workspace.write("taken", []))"] },
    train("cache below a device", 73, ["/dev/null"]) { _ in ["cache=/dev/null/x"] },
    score("output in no directory", pair, 73, ["/nowhere"], output: "/nowhere/out.jsonl"),
    score("output is a directory", pair, 73, ["regular file"], output: "/tmp"),
    BadInput(testDescription: "texts without text", status: 65, words: ["texts.jsonl:1", "text"]) {
      fixture, workspace in
      let texts = try workspace.write("texts.jsonl", lines: [pair])
      return ["tokenize", "--model", fixture.model, "--input", texts, "--output", workspace("out.jsonl")]
    },
    evaluation("log-probabilities of no number", #"{"policy_chosen": "x"}"#, ["policy_chosen", "number"]),
    evaluation("an absurd number of tokens", #"{"policy_chosen": -1, "chosen_tokens": 1e300}"#, ["chosen_tokens"]),
    evaluation("a negative weight", #"{"policy_chosen": -1, "weight": -1}"#, ["weight"]),
    BadInput(testDescription: "absurd --unit-tokens", status: 64, words: ["--unit-tokens"]) { fixture, workspace in
      [
        "score", "--model", fixture.model, "--data", fixture.heldOut, "--output", workspace("out.jsonl"),
        "--unit-tokens", "\(Int.max)",
      ]
    },
  ]
}

// MARK: - Policy optimisation, labels, reward models, adapters

extension BadInput {
  static let policyRecipes = [
    policy("a group of one", 72, ["rollout.samples", "grpo", "rollout.samples=8"]) { _ in ["rollout.samples=1"] },
    policy("RLOO of one", 72, ["rollout.samples", "rloo"]) { _ in ["rollout.samples=1", "objective.name=rloo"] },
    policy("top_p of nothing", 72, ["rollout.top_p"]) { _ in ["rollout.top_p=0"] },
    policy("top_p above 1", 72, ["rollout.top_p", "1"]) { _ in ["rollout.top_p=1.5"] },
    policy("a rollout that does not divide", 72, ["rollout.prompts", "6", "batch.size"]) { _ in
      ["rollout.prompts=6", "batch.size=4"]
    },
    policy("unknown key of rollout", 72, ["rollout.sampels", "did you mean rollout.samples?"]) { _ in
      ["rollout.sampels=3"]
    },
    policy("unknown key of reward", 72, ["reward.targt_tokens", "did you mean reward.target_tokens?"]) { _ in
      ["reward.targt_tokens=3"]
    },
    policy("unknown key beside a label", 72, ["reward.bogus"]) { _ in
      ["rollout.source=data", "reward.name=label", "reward.bogus=1"]
    },
    policy("unknown reward", 72, ["reward.name", "golden", "gold"]) { _ in ["reward.name=golden"] },
    policy("too many weights", 72, ["reward.weights", "2 weights for 1"]) { _ in ["reward.weights=[1, 2]"] },
    policy("no reward model named", 72, ["reward.model", "missing"]) { _ in ["reward.name=model"] },
    policy("labels of what was just drawn", 72, ["reward.name", "label", "rollout.source=data"]) { _ in
      ["reward.name=label"]
    },
    policy("a policy in a mixture", 72, ["objective.name", "grpo", "alone"]) { _ in ["objective.name=[grpo, sft]"] },
    policy("an option of no objective", 72, ["objective.bta"]) { _ in ["objective.bta=1"] },
    policy("a moving reference that nobody asks", 72, ["objective.reference_sync"]) { _ in
      ["objective.beta=0", "objective.reference_sync=2"]
    },
    policy("no samples of held-out prompts", 72, ["data.eval", "labels"]) { workspace in
      let pairs = try workspace.write("pairs.jsonl", lines: [pair])
      return ["rollout.source=data", "reward.name=label", "data.train=\(pairs)", "data.eval=\(pairs)"]
    },
  ]

  static let policyData = [
    policy("prompts without room for a sample", 65, ["data.jsonl:2", "128", "room"]) { workspace in
      ["data.train=\(try workspace.write("data.jsonl", lines: [pair, #"{"prompt": "\#(long)"}"#]))"]
    },
    policy("no prompts", 65, ["data.jsonl", "no prompts"]) { workspace in
      ["data.train=\(try workspace.write("data.jsonl", []))"]
    },
    stored("stored samples of one", #"{"prompt": "a", "completions": ["b"], "scores": [1]}"#, ["row 1", "grpo", "2"]),
    stored("stored samples without scores", #"{"prompt": "a", "completions": ["b", "c"]}"#, ["row 1", "scores"]),
    stored(
      "fewer scores than samples", #"{"prompt": "a", "completions": ["b", "c"], "scores": [1]}"#,
      ["data.jsonl:2", "scores"]),
    stored(
      "scores that are no numbers", #"{"prompt": "a", "completions": ["b", "c"], "scores": [1, null]}"#,
      ["data.jsonl:2", "scores", "numbers"]),
    stored("empty samples", #"{"prompt": "a", "completions": []}"#, ["data.jsonl:2", "completions"]),
    stored(
      "stored samples without labels", #"{"prompt": "a", "completions": ["b", "c"]}"#, ["row 1", "good"],
      reward: "label"),
    BadInput(testDescription: "a language model as reward model", status: 72, words: ["no reward model"]) {
      fixture, workspace in
      try policyArguments(fixture, workspace) + ["reward.name=model", "reward.model=\(fixture.model)"]
    },
    BadInput(
      testDescription: "a reward model of another vocabulary", status: 72, words: ["judge", "another vocabulary"]
    ) {
      fixture, workspace in
      let judge = try rewardModel(fixture, workspace)
      try replace(#""+": 43"#, #""+": 44"#, in: "\(judge)/tokenizer.json")
      try replace(#"",": 44"#, #"",": 43"#, in: "\(judge)/tokenizer.json")
      return try policyArguments(fixture, workspace) + ["reward.name=model", "reward.model=\(judge)"]
    },
    BadInput(testDescription: "a reward model as policy", status: 72, words: ["model", "reward model"]) {
      fixture, workspace in
      try policyArguments(fixture, workspace) + ["model=\(rewardModel(fixture, workspace))"]
    },
    BadInput(testDescription: "a reward model for DPO", status: 72, words: ["model", "reward model"]) {
      fixture, workspace in
      ["train", fixture.recipe, "run=\(workspace("run"))", "model=\(try rewardModel(fixture, workspace))"]
    },
  ]

  static let methods = [
    train("kto on one class", 65, ["data.train", "desirable", "sft"]) { workspace in
      let rows = (0..<4).map { #"{"prompt": "\#($0)", "completion": "b", "label": true}"# }
      return ["objective.name=kto", "data.train=\(try workspace.write("data.jsonl", lines: rows))"]
    },
    train("bco on the other class", 65, ["data.train", "undesirable"]) { workspace in
      let rows = (0..<4).map { #"{"prompt": "\#($0)", "completion": "b", "label": false}"# }
      return ["objective.name=bco", "data.train=\(try workspace.write("data.jsonl", lines: rows))"]
    },
    train("regression without scores", 65, ["score"]) { _ in ["objective.name=regression"] },
    train("a mixture of pairs and labels", 72, ["objective.name", "kto"]) { _ in ["objective.name=[dpo, kto]"] },
    train("a mixture of policy and reward model", 72, ["objective.name"]) { _ in
      ["objective.name=[dpo, bradley_terry]"]
    },
    train("weights of a mixture", 72, ["objective.weights", "3 weights for 2"]) { _ in
      ["objective.name=[dpo, sft]", "objective.weights=[1, 2, 3]"]
    },
    train("humanline without reference", 72, ["objective.humanline", "reference"]) { _ in
      ["objective.name=sft", "objective.humanline=yes"]
    },
    train("ld_alpha on single completions", 72, ["objective.ld_alpha", "pairs"]) { _ in
      ["objective.name=kto", "objective.ld_alpha=0.5"]
    },
    train("a moving reference without reference", 72, ["objective.reference_sync"]) { _ in
      ["objective.name=sft", "objective.reference_sync=2"]
    },
    train("a moving reference beside adapters", 72, ["objective.reference_sync", "adapters"]) { _ in
      ["lora.rank=2", "objective.reference_sync=2"]
    },
    train("an adapter of nothing", 72, ["lora.target_modules", "c_attn", "q_proj"]) { _ in
      ["lora.target_modules=[q_proj, c_attn]"]
    },
    train("an adapter of rank 0", 72, ["lora.rank"]) { _ in ["lora.rank=0"] },
    train("unknown key of lora", 72, ["lora.dropuot", "known here"]) { _ in ["lora.dropuot=0.1"] },
    train("no adapter to go on from", 66, ["adapter_config.json", "nowhere"]) { _ in ["lora.start=nowhere"] },
  ]

  /// Arguments of a small run of GRPO.
  private static func policyArguments(_ fixture: Fixture, _ workspace: Workspace) throws -> [String] {
    [
      "train", fixture.recipe, "run=\(workspace("run"))", "objective.name=grpo", "data.train=\(fixture.heldOut)",
      "data.eval=", "batch.size=2", "rollout.samples=2", "rollout.max_new_tokens=4", "reward.name=length",
    ]
  }

  private static func policy(
    _ name: String, _ status: Int32, _ words: [String], _ overrides: @escaping @Sendable (Workspace) throws -> [String]
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      try policyArguments(fixture, workspace) + overrides(workspace)
    }
  }

  /// GRPO on a good stored row and then this one.
  private static func stored(_ name: String, _ row: String, _ words: [String], reward: String = "score") -> BadInput {
    let good = [
      "score": #"{"prompt": "a", "completions": ["b", "c"], "scores": [0, 1]}"#, "label": pair,
    ]
    return policy(name, 65, words) { workspace in
      let data = try workspace.write("data.jsonl", lines: [good[reward] ?? "", row])
      return ["rollout.source=data", "reward.name=\(reward)", "data.train=\(data)"]
    }
  }

  /// A copy of the fixture's model that says it is a reward model.
  private static func rewardModel(_ fixture: Fixture, _ workspace: Workspace) throws -> String {
    let judge = try workspace.copy(fixture.model, to: "judge")
    try replace("LlamaForCausalLM", "LlamaForSequenceClassification", in: "\(judge)/config.json")
    try replace("{\n", "{\n  \"num_labels\": 1,\n", in: "\(judge)/config.json", count: 1)
    return judge
  }
}

extension BadInput {
  static let pair = #"{"prompt": "a", "chosen": "b", "rejected": "c"}"#
  private static let long = String(repeating: "long ", count: 100)

  /// Training with the fixture's recipe and these overrides.
  private static func train(
    _ name: String, _ status: Int32, _ words: [String], _ overrides: @escaping @Sendable (Workspace) throws -> [String]
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      ["train", fixture.recipe, "run=\(workspace("run"))"] + (try overrides(workspace))
    }
  }

  /// DPO on a good row and then this one, which must be named by its line.
  private static func row(_ name: String, _ row: String, _ words: [String]) -> BadInput {
    self.row(name, bytes: Array(row.utf8), words)
  }

  private static func row(_ name: String, bytes: [UInt8], _ words: [String]) -> BadInput {
    train(name, 65, ["data.jsonl:2"] + words) { workspace in
      ["data.train=\(try workspace.write("data.jsonl", Array("\(pair)\n".utf8) + bytes))"]
    }
  }

  /// Scores of a good row and then this one.
  private static func score(
    _ name: String, _ row: String, _ status: Int32, _ words: [String], output: String? = nil
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      let data = try workspace.write("data.jsonl", lines: [pair, row])
      return ["score", "--model", fixture.model, "--data", data, "--output", output ?? workspace("out.jsonl")]
    }
  }

  /// Supervised losses of this row of log-probabilities, without a model.
  private static func evaluation(_ name: String, _ row: String, _ words: [String]) -> BadInput {
    BadInput(testDescription: name, status: 65, words: ["rows.jsonl:1"] + words) { _, workspace in
      ["objective", "evaluate", "--name", "sft", "--input", try workspace.write("rows.jsonl", lines: [row])]
    }
  }

  /// Scores by a copy of the fixture's model that is spoilt first.
  private static func model(
    _ name: String, _ status: Int32, _ words: [String], _ spoil: @escaping @Sendable (String) throws -> Void
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      let model = try workspace.copy(fixture.model, to: "model")
      try spoil(model)
      return ["score", "--model", model, "--data", fixture.heldOut, "--output", workspace("out.jsonl")]
    }
  }

  private static func edit(_ path: String, _ change: (Data) -> Data) throws {
    let file = URL(fileURLWithPath: path)
    try change(try Data(contentsOf: file)).write(to: file)
  }

  private static func replace(_ old: String, _ new: String, in path: String, count: Int = .max) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    guard text.contains(old) else { throw Failure(description: "\(path) has no \(old)") }
    try text.replacing(old, with: new, maxReplacements: count).write(toFile: path, atomically: true, encoding: .utf8)
  }
}
