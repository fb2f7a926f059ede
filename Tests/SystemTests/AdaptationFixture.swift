import Foundation

private let fixturePath = NSTemporaryDirectory() + "adalign-system-adaptation-\(getpid())"

/// A small adaptation in two rounds, and its result on one rank that others are compared with.
///
/// Made once, by the program itself.
struct AdaptationFixture {
  private static let made = Task { try await AdaptationFixture() }

  /// Needs nothing but a working directory, in which it makes `run`.
  let recipe: String
  let reference: RunDirectory
  /// The fixture's model with room for questions to a judge.
  let patientModel: String
  private let workspace: Workspace

  static var shared: AdaptationFixture { get async throws { try await made.value } }

  private init() async throws {
    let fixture = try await Fixture.shared
    workspace = try Workspace(path: fixturePath)
    atexit { try? FileManager.default.removeItem(atPath: fixturePath) }
    patientModel = try workspace.copy(fixture.model, to: "patient")
    let configuration = "\(patientModel)/config.json"
    try String(contentsOfFile: configuration, encoding: .utf8)
      .replacing(#""max_position_embeddings": 128"#, with: #""max_position_embeddings": 2048"#)
      .write(toFile: configuration, atomically: true, encoding: .utf8)
    recipe = try workspace.write("combined.yaml", lines: Self.recipe(fixture))
    let outcome = try await workspace.adalign("adapt", recipe)
    guard outcome.status == 0 else { throw Failure(description: outcome.stderr) }
    reference = RunDirectory(workspace("run"))
  }

  /// Every stage that a round can have.
  private static func recipe(_ fixture: Fixture) -> [String] {
    [
      "run: run", "preset: combined", "model: \(fixture.model)", "rounds: 2",
      "data: {source: \(fixture.pairs), prompts: \(fixture.heldOut), prompts_per_round: 10}",
      "sample: {samples: 3, max_new_tokens: 8}", "weights: {max_new_tokens: 8}",
      "reward_model:",
      "  train: {steps: 6, batch: {size: 8}, optimizer: {learning_rate: 1e-3}, checkpoint: {every: 2}}",
      "  refine: {steps: 3, batch: {size: 2}, optimizer: {learning_rate: 1e-3}, objective: {name: bradley_terry}}",
      "policy: {steps: 8, batch: {size: 8}, optimizer: {learning_rate: 1e-3}, checkpoint: {every: 2}}",
      "label: {expert: {judge: {name: gold, noise: 0.75}, share: 0.3}}",
      "evaluate: {prompts: \(fixture.heldOut), judge: {name: gold}, max_new_tokens: 8}",
    ]
  }
}
