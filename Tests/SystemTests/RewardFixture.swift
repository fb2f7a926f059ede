import Foundation

private let fixturePath = NSTemporaryDirectory() + "adalign-system-reward-\(getpid())"

/// Two reward models of the fixture's model, one trained as an adapter, and held-out rows of two domains.
///
/// Made once, by the program itself.
struct RewardFixture {
  private static let made = Task { try await RewardFixture() }

  /// A reward model with all parameters trained; there as soon as the fixture is made.
  static let model = "\(fixturePath)/full/final"
  /// An adapter with a score head.
  static let adapter = "\(fixturePath)/lora/adapter"
  var model: String { Self.model }
  var adapter: String { Self.adapter }
  /// The fixture's model merged with the adapter, as training left it.
  var merged: String { workspace("lora/final") }
  /// Held-out pairs with domains and weights, some with swapped labels.
  let pairs: String
  private let workspace: Workspace

  static var shared: RewardFixture { get async throws { try await made.value } }

  private init() async throws {
    let fixture = try await Fixture.shared
    workspace = try Workspace(path: fixturePath)
    atexit { try? FileManager.default.removeItem(atPath: fixturePath) }
    pairs = try workspace.write("pairs.jsonl", lines: Self.rows)
    let recipe = try workspace.write(
      "reward.yaml",
      lines: [
        "run: full", "model: \(fixture.model)", "data: {train: \(fixture.pairs)}", "steps: 6", "batch: {size: 16}",
        "objective: {name: bradley_terry}", "optimizer: {learning_rate: 3e-3}",
      ])
    try await Self.finish(workspace.adalign("train", recipe))
    try await Self.finish(workspace.adalign("train", recipe, "run=lora", "lora={rank: 3, alpha: 7}"))
  }

  private static let rows = (200..<224).map { n in
    let good = (0...n % 6).map { "\(n + $0)" }.joined(separator: " ")
    let bad = Array(repeating: "\(n)", count: 1 + n * 7 % 9).joined(separator: " ")
    let (chosen, rejected) = n % 4 == 0 ? (bad, good) : (good, bad)
    let domain = n % 3 == 0 ? "small" : "large"
    return #"{"prompt": "Count from \#(n):", "chosen": " \#(chosen)", "rejected": " \#(rejected)", "#
      + #""domain": "\#(domain)", "weight": \#(1 + n % 2)}"#
  }

  private static func finish(_ outcome: Outcome) throws {
    guard outcome.status == 0 else { throw Failure(description: outcome.stderr) }
  }
}
