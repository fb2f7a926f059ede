import Foundation

extension BadInput {
  /// What `adalign sample` refuses.
  static let sampling = options + prompts + sampledOutputs

  private static let options = [
    sample("top-p of 0", 64, ["--top-p", "above 0"]) { ["--top-p", "0"] },
    sample("top-p above 1", 64, ["--top-p", "at most 1"]) { ["--top-p", "1.5"] },
    sample("top-p that is no number", 64, ["--top-p"]) { ["--top-p", "nan"] },
    sample("negative temperature", 64, ["--temperature", "not negative"]) { ["--temperature=-1"] },
    sample("temperature that is no number", 64, ["--temperature", "finite"]) { ["--temperature", "nan"] },
    sample("endless temperature", 64, ["--temperature", "finite"]) { ["--temperature", "inf"] },
    sample("negative top-k", 64, ["--top-k", "not negative"]) { ["--top-k=-1"] },
    sample("min-p above 1", 64, ["--min-p", "from 0 to 1"]) { ["--min-p", "2"] },
    sample("repetition penalty of 0", 64, ["--repetition-penalty", "above 0"]) { ["--repetition-penalty", "0"] },
    sample("no samples", 64, ["--samples", "from 1"]) { ["--samples", "0"] },
    sample("no new tokens", 64, ["--max-new-tokens", "from 1"]) { ["--max-new-tokens", "0"] },
    sample("empty stop string", 64, ["--stop", "empty"]) { ["--stop", ""] },
    sample("empty units", 64, ["--unit-sequences"]) { ["--unit-sequences", "0"] },
    sample("seed that is no number", 64, ["--seed"]) { ["--seed", "x"] },
  ]

  private static let prompts = [
    sampledRow("prompt that is no JSON", "nonsense", ["JSON"]),
    sampledRow("row without prompt", #"{"text": "a"}"#, ["prompt", "rows look like"]),
    sampledRow("prompt that is a list", #"{"prompt": [{"role": "user", "content": "a"}]}"#, ["prompt", "chat"]),
    sampledRow("prompt that fills the context", #"{"prompt": "\#(long)"}"#, ["500 tokens", "context of 128"]),
    sampledRow("prompt without tokens", #"{"prompt": ""}"#, ["no tokens"]),
    BadInput(testDescription: "no prompt file", status: 66, words: ["nope.jsonl"]) { fixture, workspace in
      arguments(fixture, "nope.jsonl", workspace("out.jsonl"))
    },
    BadInput(testDescription: "empty prompt file", status: 65, words: ["empty.jsonl", "no prompts"]) {
      fixture, workspace in
      arguments(fixture, try workspace.write("empty.jsonl", []), workspace("out.jsonl"))
    },
    BadInput(testDescription: "added text that fills the context", status: 65, words: ["data.jsonl:1", "128"]) {
      fixture, workspace in
      let data = try workspace.write("data.jsonl", lines: [good])
      return arguments(fixture, data, workspace("out.jsonl")) + ["--append", long]
    },
  ]

  private static let sampledOutputs = [
    BadInput(testDescription: "samples in no directory", status: 73, words: ["/nowhere"]) { fixture, workspace in
      arguments(fixture, try workspace.write("data.jsonl", lines: [good]), "/nowhere/out.jsonl")
    },
    BadInput(testDescription: "samples over a directory", status: 73, words: ["regular file"]) { fixture, workspace in
      arguments(fixture, try workspace.write("data.jsonl", lines: [good]), "/tmp")
    },
    BadInput(testDescription: "samples of no model", status: 66, words: ["nowhere", "model"]) { _, workspace in
      let data = try workspace.write("data.jsonl", lines: [good])
      return [
        "sample", "--model", "nowhere", "--prompts", data, "--output", workspace("out.jsonl"), "--max-new-tokens", "5",
      ]
    },
  ]

  private static let good = #"{"prompt": "a"}"#
  private static let long = String(repeating: "long ", count: 100)

  private static func arguments(_ fixture: Fixture, _ prompts: String, _ output: String) -> [String] {
    ["sample", "--model", fixture.model, "--prompts", prompts, "--output", output, "--max-new-tokens", "5"]
  }

  /// Samples of a good row with these options.
  private static func sample(
    _ name: String, _ status: Int32, _ words: [String], _ options: @escaping @Sendable () -> [String]
  ) -> BadInput {
    BadInput(testDescription: name, status: status, words: words) { fixture, workspace in
      let all = arguments(fixture, try workspace.write("data.jsonl", lines: [good]), workspace("out.jsonl"))
      let (added, isLimit) = (options(), options()[0] == "--max-new-tokens")
      return (isLimit ? Array(all.dropLast(2)) : all) + added
    }
  }

  /// Samples of a good row and then this one, which must be named by its line.
  private static func sampledRow(_ name: String, _ row: String, _ words: [String]) -> BadInput {
    BadInput(testDescription: name, status: 65, words: ["data.jsonl:2"] + words) { fixture, workspace in
      arguments(fixture, try workspace.write("data.jsonl", lines: [good, row]), workspace("out.jsonl"))
    }
  }
}
