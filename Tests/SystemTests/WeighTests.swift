import Foundation
import Testing

extension SystemTests {
  /// Weights of preference data, and runs that use them.
  @Suite struct Weigh {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    /// The policy that DPO made of the fixture's model.
    private var trained: String { "\(fixture.reference.path)/final" }

    /// Runs the command on the fixture's pairs.
    private func weigh(
      _ settings: [String], model: String? = nil, to output: String = "out", ranks: Int? = nil
    ) async throws -> Outcome {
      let arguments = [
        "weigh", "--data", fixture.pairs, "--model", model ?? fixture.model, "--output", workspace(output),
      ]
      return try await workspace.command(arguments + settings, ranks: ranks).run()
    }

    private var importance: [String] { ["--estimator", "importance", "--source-model", trained] }

    private func weighed(
      _ settings: [String], model: String? = nil, to output: String = "out", ranks: Int? = nil
    ) async throws -> [String: Data] {
      let outcome = try await weigh(settings, model: model, to: output, ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      return RunDirectory(workspace(output)).contents
    }

    @Test(
      "every file is the same on any number of ranks",
      arguments: [
        ["--estimator", "importance"], ["--estimator", "discriminator", "max_new_tokens=16", "components=8"],
      ])
    func sameBytes(settings: [String]) async throws {
      let settings = settings + ["--source-model", trained]
      let alone = try await weighed(settings)
      #expect(alone.keys.contains("report.html") && alone.keys.contains("data.jsonl"))
      for ranks in [1, 3] {
        #expect(try await weighed(settings, to: "on-\(ranks)", ranks: ranks) == alone, "\(ranks) ranks")
      }
    }

    @Test("a run takes weights from the data or from beside them, and ends alike")
    func training() async throws {
      _ = try await weighed(importance + ["form=length", "flatten=none"])
      let short = ["steps=4", "eval.every=0"]
      for (run, settings) in [
        ("inside", ["data.train=\(workspace("out"))/data.jsonl"]),
        ("beside", ["data.weights=\(workspace("out"))/weights.jsonl"]), ("plain", []),
      ] {
        let outcome = try await workspace.command(["train", fixture.recipe, "run=\(run)"] + short + settings).run()
        #expect(outcome.status == 0, "\(outcome.stderr)")
      }
      let runs = ["inside", "beside", "plain"].map { RunDirectory(workspace($0)) }
      #expect(try runs[0].weights == runs[1].weights)
      #expect(try runs[0].weights != runs[2].weights)
    }

    @Test("uniform weights change no bit of a run, on any number of ranks", arguments: [nil, 2])
    func uniform(ranks: Int?) async throws {
      _ = try await weighed(["--estimator", "uniform"])
      let outcome = try await workspace.adalign(
        "train", fixture.recipe, "run=run", "data.weights=\(workspace("out"))/weights.jsonl", ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(try RunDirectory(workspace("run")).weights == fixture.reference.weights)
    }

    @Test("a run does not go on with other weights")
    func resumed() async throws {
      _ = try await weighed(importance + ["form=length", "flatten=none"], to: "first")
      _ = try await weighed(importance + ["form=length", "flatten=temper", "temper=0.5"], to: "second")
      let train = { (weights: String, steps: Int) in
        try await workspace.adalign(
          "train", fixture.recipe, "run=run", "steps=\(steps)", "data.weights=\(workspace(weights))/weights.jsonl")
      }
      #expect(try await train("first", 2).status == 0)
      let other = try await train("second", 4)
      #expect(
        other.status == 72 && other.faults.first?.contains("digest of the training data") == true, "\(other.stderr)")
      #expect(try await train("first", 4).status == 0)
    }

    @Test("an adapter is part of the policy that weights are for")
    func adapter() async throws {
      let lora = ["train", fixture.recipe, "steps=2", "eval.every=0", "lora={rank: 2}"]
      let first = try await workspace.command(lora + ["run=lora"]).run()
      #expect(first.status == 0, "\(first.stderr)")
      let adapter = "\(workspace("lora"))/adapter"
      _ = try await weighed(["--estimator", "uniform", "--adapter", adapter])
      let weights = "data.weights=\(workspace("out"))/weights.jsonl"
      let stale = try await workspace.command(lora + ["run=run", weights]).run()
      #expect(stale.status == 65 && stale.stderr.contains("stale"), "\(stale.stderr)")
      let outcome = try await workspace.command(lora + ["run=run", weights, "lora.start=\(adapter)"]).run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
    }

    @Test("refused weights are told on stderr, with the gate, its value and what replaces them")
    func refusal() async throws {
      let raw = importance + ["flatten=none", "composition=product"]
      let outcome = try await weigh(raw, to: "out")
      #expect(outcome.status == 0)
      #expect(
        outcome.stderr.contains(/warning: the weights are refused \(uniform\): .* is .*all weights are 1/),
        "\(outcome.stderr)")
      let weights = try String(contentsOfFile: "\(workspace("out"))/weights.jsonl", encoding: .utf8)
      #expect(weights.split(separator: "\n").dropFirst().allSatisfy { $0.hasSuffix("\"weight\":1.0}") })
      let stopped = try await weigh(raw + ["fallback=error"], to: "none", ranks: 2)
      #expect(stopped.status == 65 && stopped.faults.count == 1, "\(stopped.stderr)")
      #expect(!FileManager.default.fileExists(atPath: workspace("none")))
    }

    @Test("the report is a page of its own")
    func page() async throws {
      let files = try await weighed(["max_new_tokens=8", "samples_per_prompt=1"])
      let page = String(decoding: try #require(files["report.html"]), as: UTF8.self)
      for part in ["<svg", "effective_share", "settings", "pc1"] { #expect(page.contains(part), "\(part)") }
      for reference in ["src=", "href=", "url(", "@import", "<script", "<link"] {
        #expect(!page.contains(reference), "\(reference)")
      }
    }
  }
}
