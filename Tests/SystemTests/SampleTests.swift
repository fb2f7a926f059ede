import Foundation
import Testing

extension SystemTests {
  /// `adalign sample` as its users call it.
  @Suite struct Sampling {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    /// A row of the output.
    struct Row: Decodable {
      struct Sample: Decodable {
        let ids: [Int]
        let text: String
        let logp: Double
        let logpSampling: Double
        let finished: Bool
      }

      let index: Int
      let samples: [Sample]
    }

    /// Runs the command on the fixture's held-out pairs and returns the bytes and rows of its output.
    private func sample(
      _ options: String..., prompts: String? = nil, ranks: Int? = nil
    ) async throws -> (bytes: Data, rows: [Row]) {
      let output = workspace("\(UUID().uuidString).jsonl")
      let arguments = [
        "sample", "--model", fixture.model, "--prompts", prompts ?? fixture.heldOut, "--output", output,
        "--max-new-tokens", "24",
      ]
      let outcome = try await workspace.command(arguments + options, ranks: ranks).run()
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stderr.contains("tokens/s"))
      let bytes = try Data(contentsOf: URL(fileURLWithPath: output))
      let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return (bytes, try lines.map { try decoder.decode(Row.self, from: Data($0.utf8)) })
    }

    @Test("the same bytes on any number of ranks, one object for each prompt in their order")
    func ranks() async throws {
      var files: [Data] = []
      for ranks in [nil, 1, 2, 4] {
        let (bytes, rows) = try await sample(
          "--samples", "5", "--unit-sequences", "16", "--seed", "3", ranks: ranks)
        files.append(bytes)
        #expect(rows.map(\.index) == Array(0..<16) && rows.allSatisfy { $0.samples.count == 5 })
        #expect(Set(rows.flatMap { $0.samples.map(\.ids) }).count > 60)
      }
      #expect(files.allSatisfy { $0 == files[0] })
    }

    // The fixture's tokens are bytes, 256 ends a text.
    @Test("text, ids, end and log-probabilities fit together")
    func contents() async throws {
      let rows = try await sample("--samples", "3", "--temperature", "0.8").rows
      for sample in rows.flatMap(\.samples) {
        let bytes = sample.ids.filter { $0 < 256 }.map { UInt8($0) }
        #expect(sample.text == String(decoding: bytes, as: UTF8.self))
        #expect(sample.finished == (sample.ids.last == 256) && sample.ids.count(where: { $0 == 256 }) <= 1)
        #expect(sample.finished || sample.ids.count == 24)
        #expect(sample.logp < 0 && sample.logpSampling < 0 && sample.logpSampling != sample.logp)
      }
      let finished = rows.flatMap(\.samples).count { $0.finished }
      #expect(finished > 0)
    }

    @Test("what was drawn has the log-probability that score gives it")
    func scores() async throws {
      let rows = try await sample("--temperature", "0.7", "--top-p", "0.9").rows
      let prompts = try objects(fixture.heldOut)
      // What a text can give back: not nothing, and no broken character.
      let finished = rows.map { ($0.index, $0.samples[0]) }.filter { _, sample in
        sample.finished && !sample.text.isEmpty && !sample.text.contains("\u{FFFD}")
      }
      #expect(finished.count > 2)
      let data = try workspace.write(
        "completions.jsonl",
        lines: try finished.map { index, sample in
          let object = ["prompt": prompts[index]["prompt"] ?? "", "completion": sample.text]
          return String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)
        })
      let outcome = try await workspace.adalign(
        "score", "--model", fixture.model, "--data", data, "--output", workspace("scores.jsonl"))
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let scores = try String(contentsOfFile: workspace("scores.jsonl"), encoding: .utf8).split(separator: "\n")
      for (line, (_, sample)) in zip(scores, finished) {
        let score = try Double(#require(line.firstMatch(of: /"logp":([-.e\d]+)/)).1) ?? .nan
        // Two ways to compute some 24 log-probabilities in Float32.
        #expect(abs(score - sample.logp) < 1e-3)
      }
    }

    @Test("a stop string ends a sample and is cut off; the ids keep what was drawn")
    func stopStrings() async throws {
      let free = try await sample("--samples", "4").rows.flatMap(\.samples)
      let stopped = try await sample("--samples", "4", "--stop", "1", "--stop", " 2").rows.flatMap(\.samples)
      #expect(stopped.contains { $0.finished && $0.ids.last != 256 })
      for (sample, whole) in zip(stopped, free) {
        #expect(Array(whole.ids.prefix(sample.ids.count)) == sample.ids)
        #expect(!sample.text.contains("1") && !sample.text.contains(" 2") && whole.text.hasPrefix(sample.text))
        let drawn = String(decoding: sample.ids.filter { $0 < 256 }.map { UInt8($0) }, as: UTF8.self)
        #expect((drawn != sample.text) == (drawn.contains("1") || drawn.contains(" 2")))
        if drawn != sample.text { #expect(sample.finished && (drawn.hasSuffix("1") || drawn.hasSuffix(" 2"))) }
      }
    }

    @Test("added text is as if it stood in the prompt, and other tokens can end a sample")
    func options() async throws {
      let prompts = try workspace.write("prompts.jsonl", lines: [#"{"prompt": "Count from"}"#, #"{"prompt": "x"}"#])
      let joined = try workspace.write(
        "joined.jsonl", lines: [#"{"prompt": "Count from 7:", "other": 1}"#, #"{"prompt": "x 7:"}"#])
      let added = try await sample("--append", " 7:", prompts: prompts)
      #expect(try await sample(prompts: joined).bytes == added.bytes)
      let greedy = try await sample("--temperature", "0", prompts: joined).rows
      #expect(greedy.allSatisfy { $0.samples[0].logpSampling == 0 })
      let first = greedy[0].samples[0].ids[0]
      let ended = try await sample("--temperature", "0", "--stop-token", "\(first)", prompts: joined).rows
      #expect(ended[0].samples[0].ids == [first] && ended[0].samples[0].finished && ended[0].samples[0].text.isEmpty)
    }

    private func objects(_ path: String) throws -> [[String: String]] {
      try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
        try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: String] ?? [:]
      }
    }
  }
}
