import AlignmentCore
import Checkpoints
import JSON

/// What is known of a round when it is complete, for `rounds.jsonl` and the report.
struct RoundSummary {
  let round: Int
  let evaluation: RoundEvaluation?
  /// The label statistics' JSON; nil where nothing was labelled.
  let labels: JSONValue?
  /// The statistics of what the expert answered for the reward model; nil where it was not asked.
  let expert: JSONValue?
  /// The weight report's JSON; nil where nothing was weighed.
  let weights: JSONValue?

  init(_ round: Int, _ files: RoundFiles) throws {
    self.round = round
    evaluation =
      FileSystem.exists(files.evaluation) ? try RoundEvaluation(contentsOf: files.evaluation) : nil
    labels = try Self.json(files.labelStatistics)
    expert = try Self.json(files.expertStatistics)
    weights = try Self.json("\(files.weights)/\(Weighing.reportFile)")?["weights"]
  }

  private static func json(_ path: String) throws -> JSONValue? {
    guard FileSystem.exists(path) else { return nil }
    return try ModelSource.parse(try FileSystem.readWhole(path), path)
  }

  /// A row of `rounds.jsonl`.
  var line: [UInt8] {
    let row = JSONObject([
      ("round", .integer(Int64(round))), ("evaluation", evaluation?.json ?? .null), ("labels", labels ?? .null),
      ("expert", expert ?? .null), ("weights", weights ?? .null),
    ])
    return JSONValue.object(row).serialized() + [UInt8(ascii: "\n")]
  }
}
