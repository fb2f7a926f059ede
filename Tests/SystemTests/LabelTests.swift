import Foundation
import Testing

extension SystemTests {
  /// `adalign label`: responses in, preferences out.
  @Suite struct Labels {
    let adaptation: AdaptationFixture
    let rewards: RewardFixture
    let workspace: Workspace

    init() async throws {
      adaptation = try await AdaptationFixture.shared
      rewards = try await RewardFixture.shared
      workspace = try Workspace()
    }

    @Test("a judge that scores prefers the higher score by σ of the difference", arguments: ["reward_model", "gold"])
    func scores(judge: String) async throws {
      let candidates = try workspace.counting(6)
      let settings = judge == "gold" ? [] : ["judge.model=\(rewards.model)", "judge.temperature=0.5"]
      for ranks in [1, 3] {
        try await label(
          candidates, ["judge.name=\(judge)", "pairing.name=all_pairs"] + settings, "\(ranks)", ranks: ranks)
      }
      #expect(try workspace.bytes("1.jsonl") == workspace.bytes("3.jsonl"))
      let temperature = judge == "gold" ? 1 : 0.5
      let rows = try LabelledRow.read(workspace("1.jsonl"))
      #expect(rows.count > 6)
      for row in rows {
        let (scores, q) = (try #require(row.labelScores), try #require(row.q))
        #expect(scores[0] > scores[1])
        #expect(abs(q - 1 / (1 + exp((scores[1] - scores[0]) / temperature))) < 1e-12)
        #expect(row.labelledBy == "scores")
      }
    }

    @Test("a judge's scores are those of adalign score")
    func scoresOfModel() async throws {
      let prompts = (0..<4).map { (prompt: "Count from \($0):", completions: [" \($0)", " \($0) \($0 + 1)"]) }
      try await label(try workspace.candidates(prompts), ["judge.model=\(rewards.model)"], "labels")
      let pairs = try workspace.write(
        "pairs.jsonl",
        lines: try LabelledRow.read(workspace("labels.jsonl")).map { row in
          #"{"prompt": "\#(row.prompt)", "chosen": "\#(row.chosen ?? "")", "rejected": "\#(row.rejected ?? "")"}"#
        })
      let scored = try await workspace.adalign(
        "score", "--model", rewards.model, "--data", pairs, "--output", workspace("scores.jsonl"))
      #expect(scored.status == 0, "\(scored.stderr)")
      let text = try String(contentsOfFile: workspace("scores.jsonl"), encoding: .utf8)
      for (line, row) in zip(text.split(separator: "\n"), try LabelledRow.read(workspace("labels.jsonl"))) {
        for score in try #require(row.labelScores) { #expect(line.contains("\(score)"), "\(line)") }
      }
    }

    @Test(
      "each pairing scheme makes its pairs",
      arguments: [
        ("first_round", 2, 1), ("tournament", 3, 1), ("max_min", 1, 1), ("best_random", 1, 1), ("random", 1, 1),
        ("min_gap", 1, 1), ("all_pairs", 6, 1 / 3.0), ("best_of_n", 1, 1),
      ])
    func pairing(scheme: String, pairs: Int, weight: Double) async throws {
      let candidates = try workspace.counting(5)
      try await label(candidates, ["judge.model=\(rewards.model)", "pairing.name=\(scheme)"], "labels")
      let rows = try LabelledRow.read(workspace("labels.jsonl"))
      #expect(rows.count == 5 * pairs)
      for row in rows {
        #expect((row.completion == nil) == (scheme != "best_of_n"))
        #expect((row.q ?? 1) > 0.5)
        #expect(abs(row.weight - weight) < 1e-12)
        #expect(row.chosen != row.rejected || row.completion != nil)
      }
    }

    @Test("filters are counted under what they drop")
    func filters() async throws {
      let candidates = try workspace.candidates([
        ("a", [" 1 2", " 1 2"]), ("b", [" 1", " 1 2 3 4 5 6 7 8"]), ("c", [" 5 6", " 7 7"]), ("d", [" 8 9", " 8 8"]),
        ("e", [" hm", " 1 1"]), ("f", [" hm", " 2 2"]), ("g", [" hm", " 3 3"]),
      ])
      let filters = ["filter.length_ratio=3", "filter.most_prompts_of_answer=2", "filter.confidence=1"]
      let command = ["label", "--candidates", candidates, "--output", workspace("out.jsonl")]
      let settings = ["judge.model=\(rewards.model)", "pairing.name=first_round"]
      let refused = try await workspace.command(command + settings + filters).run()
      #expect(refused.status == 65)
      #expect(refused.faults.count == 1 && refused.faults[0].contains("no label is left"), "\(refused.stderr)")
      #expect(!FileManager.default.fileExists(atPath: workspace("out.jsonl")))
      try await label(candidates, settings + filters.dropLast(), "labels")
      let numbers = try LabelNumbers(contentsOf: workspace("labels.json"))
      #expect(numbers.dropped == ["duplicate": 1, "length_ratio": 1, "reused_answer": 3])
      #expect((numbers.groups, numbers.responses, numbers.proposed, numbers.kept) == (7, 14, 7, 2))
      #expect(try LabelledRow.read(workspace("labels.jsonl")).map(\.prompt) == ["c", "d"])
    }

    @Test(
      "responses are labelled one by one against a threshold", arguments: ["prompt_mean", "mean", "median", "-1e9"])
    func responses(threshold: String) async throws {
      let candidates = try workspace.counting(4)
      try await label(
        candidates, ["judge.model=\(rewards.model)", "threshold=\(threshold)", "--form", "responses"], "labels")
      let rows = try LabelledRow.read(workspace("labels.jsonl"))
      #expect(rows.count == 16)
      let desirable = rows.filter { $0.label == true }
      #expect(threshold == "-1e9" ? desirable.count == 16 : (1..<16).contains(desirable.count))
      for row in rows { #expect((row.q ?? 0) >= 0.5 && row.completion != nil) }
      for prompt in Set(rows.map(\.prompt)) where threshold == "prompt_mean" {
        let own = rows.filter { $0.prompt == prompt }
        let mean = own.map { $0.labelScores?[0] ?? .nan }.reduce(0, +) / Double(own.count)
        for row in own { #expect(row.label == (try #require(row.labelScores)[0] > mean)) }
      }
    }

    @Test("a model asked in both orders does not care which response comes first, nor how many ranks ask")
    func localJudge() async throws {
      let prompts = (0..<4).map { (prompt: "Count from \($0):", completions: [" \($0) \($0 + 1)", " \($0) \($0)"]) }
      let judge = ["judge.name=language_model", "judge.model=\(adaptation.patientModel)", "pairing.name=first_round"]
      let given = try workspace.candidates(prompts)
      let swapped = try workspace.candidates(prompts.map { ($0, $1.reversed()) }, in: "swapped.jsonl")
      try await label(given, judge, "one")
      try await label(given, judge, "three", ranks: 3)
      try await label(swapped, judge, "swapped")
      #expect(try workspace.bytes("one.jsonl") == workspace.bytes("three.jsonl"))
      let (rows, others) = (
        try LabelledRow.read(workspace("one.jsonl")), try LabelledRow.read(workspace("swapped.jsonl"))
      )
      #expect(rows.count == 4)
      for (row, other) in zip(rows, others) {
        #expect((row.chosen, row.rejected, row.q) == (other.chosen, other.rejected, other.q))
        #expect(row.labelledBy == "judge")
      }
    }

    @Test("questions that do not fit into a judge's context are left without a verdict, and that is said")
    func longQuestions() async throws {
      let long = String(repeating: " 1", count: 600)
      let candidates = try workspace.candidates([("a", [" 1", " 2"]), ("b", [" 1", long])])
      let outcome = try await label(
        candidates,
        ["judge.name=language_model", "judge.model=\(adaptation.patientModel)", "pairing.name=first_round"],
        "labels")
      #expect(outcome.stderr.contains("2 of 4 questions do not fit"), "\(outcome.stderr)")
      let numbers = try LabelNumbers(contentsOf: workspace("labels.json"))
      #expect(numbers.dropped == ["abstained": 1])
      #expect(numbers.kept == 1)
    }

    /// Labels candidates into `name.jsonl`, with numbers in `name.json`.
    @discardableResult
    private func label(_ candidates: String, _ settings: [String], _ name: String, ranks: Int? = nil) async throws
      -> Outcome
    {
      let files = ["--output", workspace("\(name).jsonl"), "--statistics", workspace("\(name).json")]
      let outcome = try await workspace.command(["label", "--candidates", candidates] + files + settings, ranks: ranks)
        .run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      return outcome
    }
  }
}
