import Foundation
import Testing

extension SystemTests {
  /// The commands beside training and scoring.
  @Suite struct CommandLine {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    @Test("config prints a recipe that reads back to itself")
    func configuration() async throws {
      let overrides = ["optimizer.learning_rate=3e-4", "model={initialize: {layers: 3}}", "epochs=2", "steps="]
      let first = try await workspace.command(["config", fixture.recipe] + overrides).run()
      #expect(first.status == 0, "\(first.stderr)")
      for line in ["  learning_rate: 3e-4", "    layers: 3", "epochs: 2", "reduction: exact"] {
        #expect(first.lines.contains(line), "\(line)")
      }
      try await expectSameAgain(first)
    }

    @Test(
      "config keeps any path as it is",
      arguments: [
        "a b", "a: b", "#a", "-a", "-", "null", "~", "é", "it's", #"say "a""#, #"a\b"#, "[a]", "%a", "a, b", "*",
        "a\nb",
      ])
    func paths(path: String) async throws {
      let recipe: [String: Any] = ["run": "run", "model": "m", "data": ["train": [path, "other"], "eval": path]]
      let json = try JSONSerialization.data(withJSONObject: recipe)
      let first = try await workspace.adalign("config", workspace.write("recipe.json", json))
      #expect(first.status == 0, "\(first.stderr)")
      try await expectSameAgain(first)
    }

    @Test("the configuration in the run directory is the one that config prints")
    func writtenConfiguration() async throws {
      #expect(try await workspace.adalign("train", fixture.recipe, "run=run", "steps=1").status == 0)
      let printed = try await workspace.adalign("config", fixture.recipe, "run=run", "steps=1")
      #expect(try String(contentsOfFile: workspace("run/config.yaml"), encoding: .utf8) == printed.stdout)
    }

    // What DESIGN §7 and the recipes' first lines tell newcomers to do.
    @Test("steps on the command line replace the epochs of a recipe")
    func stepsReplaceEpochs() async throws {
      let recipe = try workspace.write(
        "epochs.yaml", lines: ["run: run", "model: m", "data: {train: t}", "epochs: 1"])
      let outcome = try await workspace.adalign("config", recipe, "steps=200")
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.lines.contains("steps: 200"))
    }

    @Test("list and config print once, also under mpirun", arguments: [nil, 2])
    func printsOnce(ranks: Int?) async throws {
      let list = try await workspace.adalign("list", ranks: ranks)
      #expect(list.status == 0)
      #expect(list.lines.count { $0 == "objectives" } == 1)
      for word in ["sft", "dpo", "objective.beta=0.1", "cosine", "exact, fast", "llama"] {
        #expect(list.stdout.contains(word), "\(word)")
      }
      let configuration = try await workspace.adalign("config", fixture.recipe, ranks: ranks)
      #expect(configuration.lines.count { $0 == "reduction: exact" } == 1)
    }

    @Test("doctor sees every rank and the libraries", arguments: [nil, 1, 2])
    func doctor(ranks: Int?) async throws {
      let outcome = try await workspace.adalign("doctor", ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(outcome.stdout.contains("ranks      \(ranks ?? 1) on 1 host"))
      #expect(outcome.stdout.contains("Open MPI"))
      #expect(outcome.lines.count { $0.hasPrefix("BLAS ") } == 1)
      #expect(outcome.stdout.contains(/sgemm [1-9][\d.]* GFLOP/))
      #expect(outcome.stdout.contains(/memory +[1-9][\d.]* GB\/s/))
      #expect(outcome.lines.count { $0.hasPrefix("one host ") } == (ranks == 2 ? 1 : 0))
    }

    @Test("plan reads what doctor has measured, and needs no weights")
    func plan() async throws {
      let doctor = try await workspace.adalign(
        "doctor", "--json", "--output", "rates.json", "--directory", ".", ranks: 2)
      #expect(doctor.status == 0 && doctor.lines.first == "{", "\(doctor.stderr)")
      #expect(doctor.stdout.contains("write_mbs"))
      let model = try workspace.copy(fixture.model, to: "shape")
      try FileManager.default.removeItem(atPath: "\(model)/model.safetensors")
      let arguments = ["plan", fixture.recipe, "run=none", "model=\(model)", "--rates", "rates.json", "--hosts", "1"]
      let plan = try await workspace.command(arguments + ["--ranks", "2", "--memory", "8"]).run()
      #expect(plan.status == 0, "\(plan.stderr)")
      #expect(plan.stdout.contains("8192 MiB are there: fits") && plan.stdout.contains(/exchange [\d.]+/))
      #expect(plan.lines.contains { $0.contains("optimiser state") } || plan.stdout.contains("process"))
      // There was one host, so nothing is known of what lies between two.
      let hosts = try await workspace.command(arguments + ["--hosts", "2"]).run()
      #expect(hosts.status == 0 && hosts.stdout.contains("exchange not known"), "\(hosts.stderr)")
      let wrong = try await workspace.command(arguments + ["--rates", fixture.recipe]).run()
      #expect(wrong.status == 65 && wrong.faults.count == 1, "\(wrong.stderr)")
      #expect(!FileManager.default.fileExists(atPath: workspace("none")))
    }

    @Test("DPO of known log-probabilities, the batch last")
    func objective() async throws {
      let row = #"{"policy_chosen": -10, "policy_rejected": -12, "reference_chosen": -11, "reference_rejected": -11.5}"#
      let even = #"{"policy_chosen": -3, "policy_rejected": -4, "reference_chosen": -3, "reference_rejected": -4}"#
      let rows = try workspace.write("rows.jsonl", lines: [row, even])
      let outcome = try await workspace.adalign("objective", "evaluate", "--name", "dpo", "beta=0.1", "--input", rows)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      try #require(outcome.lines.count == 3)
      // z = 0.1 · ((−10 + 11) − (−12 + 11.5)) = 0.15; loss = log(1 + e^−z); derivative = 0.1 · (σ(z) − 1).
      #expect(try number("loss", outcome.lines[0]).isClose(to: 0.620957047789531))
      #expect(try number("policy_chosen", outcome.lines[0]).isClose(to: -0.046257015465625))
      #expect(try number("policy_rejected", outcome.lines[0]).isClose(to: 0.046257015465625))
      #expect(try number("loss", outcome.lines[1]).isClose(to: 0.693147180559945))
      #expect(outcome.lines[2].contains("\"batch\":true"))
      #expect(try number("loss", outcome.lines[2]).isClose(to: (0.620957047789531 + 0.693147180559945) / 2))
    }

    @Test("tokenize writes ids in the order of the texts", arguments: [nil, 2])
    func tokenize(ranks: Int?) async throws {
      let lines = [#"{"text": "héllo"}"#, #"{"text": ""}"#, #"{"text": "\n"}"#]
      let texts = try workspace.write("texts.jsonl", lines: lines)
      let outcome = try await workspace.adalign(
        "tokenize", "--model", fixture.model, "--input", texts, "--output", "ids.jsonl", ranks: ranks)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let ids = try String(contentsOfFile: workspace("ids.jsonl"), encoding: .utf8)
      #expect(ids == "{\"ids\":[104,195,169,108,108,111]}\n{\"ids\":[]}\n{\"ids\":[10]}\n")
    }

    @Test("a signal ends a scoring pass, which has nothing to save", arguments: [SIGTERM, SIGINT])
    func stopsScoring(signal: Int32) async throws {
      let rows = try String(contentsOfFile: fixture.pairs, encoding: .utf8)
      let data = try workspace.write("many.jsonl", String(repeating: rows, count: 500).utf8)
      let running = try workspace.command(
        ["score", "--model", fixture.model, "--data", data, "--output", workspace("out.jsonl")]).start()
      try await eventually("the tokens") { !(try cache()).filter { $0.hasSuffix(".bin") }.isEmpty }
      running.send(signal)
      try? await eventually("the end", within: 3) { !running.isRunning }
      #expect(!running.isRunning)
      #expect(try await running.outcome().status != 0)
      #expect(!FileManager.default.fileExists(atPath: workspace("out.jsonl")))
    }

    private func cache() throws -> [String] {
      (try? FileManager.default.contentsOfDirectory(atPath: workspace("cache"))) ?? []
    }

    private func expectSameAgain(_ first: Outcome) async throws {
      let second = try await workspace.adalign("config", workspace.write("printed.yaml", first.stdout.utf8))
      #expect(second.status == 0, "\(second.stderr)\(first.stdout)")
      #expect(second.stdout == first.stdout)
    }

    private func number(_ key: String, _ line: String) throws -> Double {
      let pattern = try Regex("\"\(key)\":([-.e\\d]+)", as: (Substring, Substring).self)
      return try Double(#require(line.firstMatch(of: pattern)).1) ?? .nan
    }
  }
}

extension Double {
  /// Equal up to rounding in the twelfth digit.
  fileprivate func isClose(to other: Double) -> Bool { abs(self - other) < 1e-12 }
}
