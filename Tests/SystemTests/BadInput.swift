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
  static let all = commandLines + recipes + trainingRows + scoredRows + sampling + dataFiles + models + outputs

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

extension BadInput {
  private static let pair = #"{"prompt": "a", "chosen": "b", "rejected": "c"}"#
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

  private static func replace(_ old: String, _ new: String, in path: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    guard text.contains(old) else { throw Failure(description: "\(path) has no \(old)") }
    try text.replacing(old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
  }
}
