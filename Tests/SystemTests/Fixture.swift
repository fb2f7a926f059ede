import Foundation

private let fixturePath = NSTemporaryDirectory() + "adalign-system-fixture-\(getpid())"

/// A small trained model with its data, and one uninterrupted DPO run from it that others are compared with.
///
/// Made once, by the program itself.
struct Fixture {
  private static let made = Task { try await Fixture() }
  /// Optimiser steps of the reference run.
  static let steps = 60

  /// A Hugging Face model directory.
  let model: String
  let pairs: String
  let heldOut: String
  /// The DPO recipe: needs only `run=`.
  let recipe: String
  /// The recipe's result on one rank.
  let reference: RunDirectory
  private let workspace: Workspace

  static var shared: Fixture { get async throws { try await made.value } }

  private init() async throws {
    workspace = try Workspace(path: fixturePath)
    atexit { try? FileManager.default.removeItem(atPath: fixturePath) }
    pairs = try workspace.write("pairs.jsonl", lines: Self.rows(0..<120))
    heldOut = try workspace.write("held-out.jsonl", lines: Self.rows(120..<136))
    let sft = try workspace.write("sft.yaml", lines: Self.sft(pairs))
    try await Self.finish(workspace.adalign("train", sft))
    model = workspace("sft/final")
    recipe = try workspace.write("dpo.yaml", lines: Self.dpo(model, pairs, heldOut))
    try await Self.finish(workspace.adalign("train", recipe, "run=reference"))
    reference = RunDirectory(workspace("reference"))
  }

  /// Preference rows of different lengths; chosen answers count, rejected ones repeat.
  private static func rows(_ numbers: Range<Int>) -> [String] {
    numbers.map { n in
      let chosen = (0...n % 6).map { "\(n + $0)" }.joined(separator: " ")
      let rejected = Array(repeating: "\(n)", count: 1 + n * 7 % 9).joined(separator: " ")
      let prompt = "Count from \(n)\(n % 3 == 0 ? ", please" : ""):"
      return #"{"prompt": "\#(prompt)", "chosen": " \#(chosen)", "rejected": " \#(rejected)"}"#
    }
  }

  private static func sft(_ pairs: String) -> [String] {
    [
      "run: sft", "model: {initialize: {hidden_size: 32, intermediate_size: 64, layers: 2, heads: 2, context: 128}}",
      "data: {train: \(pairs)}", "steps: 20", "batch: {size: 16, unit_tokens: 256}", "objective: {name: sft}",
      "optimizer: {learning_rate: 3e-3}",
    ]
  }

  private static func dpo(_ model: String, _ pairs: String, _ heldOut: String) -> [String] {
    [
      "run: dpo", "model: \(model)", "data: {train: \(pairs), eval: \(heldOut)}", "steps: \(steps)",
      "batch: {size: 16, unit_tokens: 128}", "objective: {name: dpo, beta: 0.1}", "optimizer: {learning_rate: 1e-3}",
      "eval: {every: 7}",
    ]
  }

  private static func finish(_ outcome: Outcome) throws {
    guard outcome.status == 0 else { throw Failure(description: outcome.stderr) }
  }
}
