import Foundation
import Testing

extension SystemTests {
  /// What happens to models after training.
  @Suite struct Evaluation {
    let fixture: Fixture
    let rewards: RewardFixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      rewards = try await RewardFixture.shared
      workspace = try Workspace()
    }

    /// Runs a command alone and on two ranks, which must print the same, and returns what it prints.
    private func stdout(_ arguments: [String]) async throws -> String {
      let alone = try await workspace.command(arguments).run()
      #expect(alone.status == 0, "\(alone.stderr)")
      let two = try await workspace.command(arguments, ranks: 2).run()
      #expect(two.status == 0, "\(two.stderr)")
      #expect(two.stdout == alone.stdout)
      return alone.stdout
    }

    private func json(_ text: String) throws -> [String: Any] {
      try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    private func number(_ object: [String: Any], _ path: String...) throws -> Double {
      let value = path.dropLast().reduce(object) { $0[$1] as? [String: Any] ?? [:] }[path[path.count - 1]]
      return try #require((value as? NSNumber)?.doubleValue, "\(path) of \(object)")
    }

    /// The objects of a JSONL file.
    private func rows(_ name: String) throws -> [[String: Any]] {
      try String(contentsOfFile: workspace(name), encoding: .utf8).split(separator: "\n").map { try json(String($0)) }
    }

    private func scores(_ name: String, _ key: String = "score") throws -> [Double] {
      try rows(name).flatMap { row in
        try #require(row["completions"] as? [[String: Any]]).map { try number($0, key) }
      }
    }

    private func score(_ name: String, _ arguments: String...) async throws -> [Double] {
      let options = ["--data", rewards.pairs, "--output", workspace(name)]
      let outcome = try await workspace.command(["score"] + arguments + options).run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      return try scores(name)
    }

    @Test("a language model is evaluated overall and by domain, and samples of it are written")
    func languageModel() async throws {
      let trained = "\(fixture.reference.path)/final"
      let arguments = [
        "evaluate", "--model", trained, "--reference", fixture.model, "--data", rewards.pairs, "beta=0.2",
      ]
      let report = try json(try await stdout(arguments))
      #expect(try number(report, "overall", "examples") == 24)
      #expect(try number(report, "domains", "small", "examples") == 8)
      let loss = try number(report, "overall", "unweighted", "loss")
      let parts = try (
        number(report, "domains", "small", "unweighted", "loss"),
        number(report, "domains", "large", "unweighted", "loss")
      )
      #expect(abs((8 * parts.0 + 16 * parts.1) / 24 - loss) < 1e-12)
      let files = [
        "--output", workspace("report.json"), "--prompts", rewards.pairs, "--samples", workspace("samples.jsonl"),
      ]
      let outcome = try await workspace.command(arguments + files + ["--max-new-tokens", "5", "--seed", "3"]).run()
      #expect(outcome.status == 0 && outcome.stdout.isEmpty, "\(outcome.stderr)")
      #expect(outcome.stderr.contains("rewards/accuracies"))
      let written = try json(try String(contentsOfFile: workspace("report.json"), encoding: .utf8))
      #expect(NSDictionary(dictionary: written) == NSDictionary(dictionary: report))
      #expect(
        try await workspace.adalign(
          "sample", "--model", trained, "--prompts", rewards.pairs, "--output", workspace("same.jsonl"),
          "--max-new-tokens", "5", "--seed", "3"
        ).status == 0)
      #expect(
        FileManager.default.contentsEqual(atPath: workspace("samples.jsonl"), andPath: workspace("same.jsonl")))
    }

    @Test("a reward model is evaluated, calibrated, and then does what was promised")
    func rewardModel() async throws {
      let before = try json(try await stdout(["evaluate", "--model", rewards.model, "--data", rewards.pairs]))
      let calibrate = ["calibrate", "--model", rewards.model, "--data", rewards.pairs, "--output"]
      let outcome = try await workspace.command(calibrate + [workspace("calibrated")], ranks: 2).run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let found = try json(outcome.stdout)
      for name in ["nll", "ece", "brier"] {
        #expect(abs(try number(found, "before", name) - number(before, "overall", "weighted", name)) < 1e-12, "\(name)")
      }
      #expect(try number(found, "after", "nll") < number(found, "before", "nll"))
      let arguments = ["evaluate", "--model", workspace("calibrated"), "--data", rewards.pairs]
      let after = try json(try await workspace.command(arguments).run().stdout)
      // The head is rounded to Float32.
      #expect(abs(try number(found, "after", "nll") - number(after, "overall", "weighted", "nll")) < 1e-6)
      let again = try await workspace.command(calibrate + [workspace("calibrated")]).run()
      #expect(again.status == 73 && again.faults[0].contains("there already"), "\(again.stderr)")
    }

    @Test("a policy wins half against itself, and the judge's model does not matter to that")
    func winRate() async throws {
      let arguments = [
        "--judge", rewards.merged, "--prompts", rewards.pairs, "--answers", "2", "--max-new-tokens", "8",
      ]
      let trained = "\(fixture.reference.path)/final"
      let same = try json(try await stdout(["evaluate", "--model", trained, "--against", trained] + arguments))
      #expect(try number(same, "comparison", "win_rate") == 0.5)
      let other = try json(
        try await stdout(
          ["evaluate", "--model", trained, "--against", fixture.model, "--reference", fixture.model] + arguments))
      #expect((0...1).contains(try number(other, "comparison", "win_rate")))
      #expect(try number(other, "comparison", "kl", "k3") > 0)
      let left = try FileManager.default.contentsOfDirectory(atPath: workspace("cache"))
      #expect(!left.contains { $0.hasPrefix("answers") })
    }

    @Test("a model with its adapter is the merged model, for every command")
    func adapters() async throws {
      let merge = ["merge", "--model", fixture.model, "--adapter", rewards.adapter, "--output", workspace("merged")]
      let outcome = try await workspace.command(merge, ranks: 2).run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        #expect(
          FileManager.default.contentsEqual(
            atPath: workspace("merged/\(name)"), andPath: "\(rewards.merged)/\(name)"), "\(name)")
      }
      let scores = try await score("merged.jsonl", "--model", rewards.merged)
      #expect(try await score("adapter.jsonl", "--model", fixture.model, "--adapter", rewards.adapter) == scores)
      let reports = try await [["--model", fixture.model, "--adapter", rewards.adapter], ["--model", rewards.merged]]
        .asyncMap { try json(try await stdout(["evaluate", "--data", rewards.pairs] + $0)) }
      #expect(try number(reports[0], "overall", "weighted", "nll") == number(reports[1], "overall", "weighted", "nll"))
    }

    @Test("a policy's adapter has the base model as its reference, and the policy's samples")
    func policyAdapter() async throws {
      let run = try await workspace.adalign(
        "train", fixture.recipe, "run=run", "steps=4", "lora={rank: 2}", "optimizer.learning_rate=1e-2")
      #expect(run.status == 0, "\(run.stderr)")
      let own = ["--model", fixture.model, "--adapter", workspace("run/adapter")]
      let merged = ["--model", workspace("run/final")]
      let (a, b) = (
        try json(try await stdout(["evaluate", "--data", rewards.pairs] + own)),
        try json(try await stdout(["evaluate", "--data", rewards.pairs, "--reference", fixture.model] + merged))
      )
      #expect(a["objective"] as? String == "dpo")
      #expect(try number(a, "overall", "unweighted", "loss") == number(b, "overall", "unweighted", "loss"))
      for (name, model) in [("a.jsonl", own), ("b.jsonl", merged)] {
        let arguments = ["sample", "--prompts", rewards.pairs, "--output", workspace(name), "--max-new-tokens", "6"]
        #expect(try await workspace.command(arguments + model).run().status == 0)
      }
      #expect(FileManager.default.contentsEqual(atPath: workspace("a.jsonl"), andPath: workspace("b.jsonl")))
    }

    @Test("an adapter that training went on from is written with its own rank and scale", arguments: ["false", "true"])
    func continuedAdapter(isRankStabilized: String) async throws {
      let first = try await workspace.adalign(
        "train", fixture.recipe, "run=first", "steps=2", "lora={rank: 2, alpha: 5, target_modules: [q_proj, up_proj]}")
      #expect(first.status == 0, "\(first.stderr)")
      let next = try await workspace.adalign(
        "train", fixture.recipe, "run=next", "steps=2",
        "lora={start: \(workspace("first/adapter")), use_rslora: \(isRankStabilized)}")
      #expect(next.status == 0, "\(next.stderr)")
      let merge = try await workspace.adalign(
        "merge", "--model", fixture.model, "--adapter", "next/adapter", "--output", "merged")
      #expect(merge.status == 0, "\(merge.stderr)")
      let (merged, final) = (workspace("merged/model.safetensors"), workspace("next/final/model.safetensors"))
      #expect(FileManager.default.contentsEqual(atPath: merged, andPath: final))
    }

    @Test("an ensemble combines the scores of its models")
    func ensemble() async throws {
      let a = try await score("a.jsonl", "--model", rewards.model)
      let b = try await score("b.jsonl", "--model", rewards.merged)
      let both = ["--model", rewards.model, "--model", rewards.merged]
      _ = try await stdout(["score", "--data", rewards.pairs, "--output", workspace("mean.jsonl")] + both)
      let mean = try scores("mean.jsonl")
      let minimum = try await score("min.jsonl", both[0], both[1], both[2], both[3], "--combine", "minimum")
      let bound = try await score(
        "bound.jsonl", both[0], both[1], both[2], both[3], "--combine", "lower_bound", "--lambda", "0.5")
      for index in a.indices {
        #expect(abs(mean[index] - (a[index] + b[index]) / 2) < 1e-12)
        #expect(minimum[index] == min(a[index], b[index]))
        #expect(abs(bound[index] - (mean[index] - 0.5 * abs(a[index] - b[index]) / 2)) < 1e-12)
      }
      let single = try String(contentsOfFile: workspace("a.jsonl"), encoding: .utf8)
      #expect(!single.contains("scores"))
      #expect(try String(contentsOfFile: workspace("mean.jsonl"), encoding: .utf8).contains(#""scores":["#))
    }

    @Test("training evaluates by domain, and tells how well a reward model is calibrated")
    func training() async throws {
      let recipe = [fixture.recipe, "run=run", "steps=2", "objective.name=bradley_terry", "data.eval=\(rewards.pairs)"]
      let run = try await workspace.command(["train"] + recipe, ranks: 2).run()
      #expect(run.status == 0, "\(run.stderr)")
      let last = try #require(try rows("run/metrics.jsonl").last)
      // Weighted sums, divided by the number of examples.
      for name in ["loss", "rewards/margins", "rewards/accuracies", "nll"] {
        let parts = try (number(last, "eval/small/\(name)"), number(last, "eval/large/\(name)"))
        #expect(abs((8 * parts.0 + 16 * parts.1) / 24 - (try number(last, "eval/\(name)"))) < 1e-12, "\(name)")
      }
      let report = try json(
        try await workspace.command(["evaluate", "--model", workspace("run/final"), "--data", rewards.pairs]).run()
          .stdout)
      // Other units: the last bits of Float32 differ.
      for name in ["nll", "ece", "rewards/margins"] {
        let (own, other) = try (number(last, "eval/\(name)"), number(report, "overall", "unweighted", name))
        #expect(abs(own - other) < 1e-5, "\(name)")
      }
      #expect(fixture.reference.metrics.allSatisfy { !$0.contains("ece") })
    }
  }
}

extension Array {
  /// One after the other.
  fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
    var results: [Result] = []
    for element in self { results.append(try await transform(element)) }
    return results
  }
}
