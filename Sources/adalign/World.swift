import AlignmentCore
import ArgumentParser
import Checkpoints
import Collectives
import JSON
import SyntheticWorld
import Training

/// `adalign world …`: the synthetic text world of the demo.
struct World: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "world", abstract: "A small synthetic text world with a known gold reward, for demos and experiments.",
    subcommands: [Generate.self, Evaluate.self])

  /// `adalign world generate --output DIR`
  struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write sft, preference and held-out rows of one domain as JSONL files.")

    @Option(help: "Directory for sft.jsonl, preferences.jsonl and held-out.jsonl.")
    var output: String

    @Option(help: "Who speaks: source or target.")
    var domain: SyntheticWorld.Domain = .source

    @Option(help: "Seed of the world.")
    var seed: UInt64 = 0

    @Option(help: "Rows for supervised fine-tuning.")
    var sft = 12_000

    @Option(help: "Preference pairs.")
    var pairs = 6_000

    @Option(help: "Held-out pairs.")
    var heldOut = 512

    func run() throws {
      guard sft > 0, pairs > 0, heldOut > 0 else {
        throw Fault(.usage, "--sft, --pairs and --held-out must be positive")
      }
      let world = SyntheticWorld(seed: seed)
      try FileSystem.makeDirectory(output)
      try write("sft.jsonl", sft) { index in
        let prompt = world.prompt(index, split: .sft, domain: domain)
        let response = world.response(to: prompt, index: index, sample: 0, split: .sft, domain: domain)
        return [("prompt", prompt), ("completion", response)]
      }
      for (name, count, split) in [
        ("preferences.jsonl", pairs, SyntheticWorld.Split.preferences), ("held-out.jsonl", heldOut, .heldOut),
      ] {
        try write(name, count) { index in
          let pair = world.pair(index, split: split, domain: domain)
          return [("prompt", pair.prompt), ("chosen", pair.chosen), ("rejected", pair.rejected)]
        }
      }
    }

    private func write(_ name: String, _ count: Int, _ row: (Int) -> [(ByteString, String)]) throws {
      try AtomicFile.write("\(output)/\(name)") { file in
        for index in 0..<count {
          let members =
            row(index).map { ($0.0, JSONValue.string(ByteString($0.1))) } + [
              ("domain", .string(ByteString(domain.rawValue)))
            ]
          try file.append(JSONValue.object(JSONObject(members)).serialized() + [UInt8(ascii: "\n")])
        }
      }
    }
  }

  /// `adalign world evaluate --model DIR …`
  struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare models on held-out pairs of the world: loss, preference accuracy and gold reward of samples.")

    @Option(name: .customLong("model"), help: "Model directory; give the option once for each row of the table.")
    var models: [String]

    @Option(help: "Pairs that adalign world generate wrote.")
    var data: String

    @Option(help: "Temperature of the samples.")
    var temperature = 1.0

    @Option(help: "Seed of the samples.")
    var seed: UInt64 = 0

    func run() throws {
      guard temperature >= 0 else { throw Fault(.usage, "--temperature must not be negative") }
      let communicator = try Session.begin()
      let evaluation = HeldOutEvaluation(data: data, over: communicator)
      var table = [["model", "held-out loss", "preference accuracy", "gold reward"]]
      for model in models {
        let result = try evaluation.run(model: model, temperature: temperature, seed: seed)
        let rewards = result.samples.map { SyntheticWorld.goldReward(prompt: $0.prompt, response: $0.response) }
        table.append([model, result.loss.fixed(3), result.accuracy.fixed(3), Statistic(rewards).text])
      }
      if communicator.rank == 0 { print(TextTable.aligned(table), terminator: "") }
      Session.end(0)
    }
  }
}

extension SyntheticWorld.Domain: ExpressibleByArgument {}

/// A mean with its standard error.
private struct Statistic {
  let mean: Double
  let standardError: Double

  init(_ values: [Double]) {
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(count - 1, 1)
    self.mean = mean
    standardError = (variance / count).squareRoot()
  }

  var text: String { "\(mean.fixed(2)) ± \(standardError.fixed(2))" }
}

extension Double {
  /// A fixed number of decimals.
  fileprivate func fixed(_ decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int((abs(self) * scale).rounded())
    let fraction = String(scaled % Int(scale))
    let padding = String(repeating: "0", count: decimals - fraction.count)
    return "\(self < 0 ? "-" : "")\(scaled / Int(scale)).\(padding)\(fraction)"
  }
}
