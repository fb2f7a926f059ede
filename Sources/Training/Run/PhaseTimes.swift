import AlignmentCore
import Collectives
import JSON

/// Where the seconds of a rank go.
package struct PhaseTimes: Sendable, Equatable {
  /// The model: forward and backward of units, and of surveys.
  package var compute = 0.0
  /// Waiting for messages and for other ranks.
  package var wait = 0.0
  /// Means, norms, update, and merging of adapters.
  package var optimizer = 0.0
  /// Making batches: reading and planning; sampling and scoring where they are of the policy.
  package var data = 0.0
  /// Saving.
  package var checkpoint = 0.0
  /// Communication, whether it was waited for or went on beside the computation.
  package var communication = 0.0

  package init() {}

  /// The share of communication that nobody waited for.
  package var overlap: Double {
    communication > 0 ? max(0, communication - wait) / communication : 0
  }

  package static func += (total: inout PhaseTimes, step: PhaseTimes) {
    for (path, _) in keys { total[keyPath: path] += step[keyPath: path] }
  }

  // Key paths that capture nothing can be shared.
  private nonisolated(unsafe) static let keys: [(path: WritableKeyPath<PhaseTimes, Double>, name: String)] = [
    (\.compute, "compute"), (\.wait, "wait"), (\.optimizer, "optimizer"), (\.data, "data"),
    (\.checkpoint, "checkpoint"), (\.communication, "communication"),
  ]

  /// For the log of a step.
  var metrics: [(String, JSONValue)] {
    Self.keys.map { ("seconds/\($0.name)", .double(self[keyPath: $0.path])) } + [("overlap", .double(overlap))]
  }

  /// One line for people: the most and the mean over all ranks, which all must ask for.
  func summary(over communicator: any Communicator) throws -> String {
    let parts = try Self.keys.map { path, name in
      let most = try communicator.allReduce(.maximum, self[keyPath: path])
      let mean = try communicator.allReduce(.sum, self[keyPath: path]) / Double(communicator.size)
      return (name, most, mean)
    }
    let overlap = try communicator.allReduce(.sum, overlap) / Double(communicator.size)
    let phases = parts.map { "\($0) \($1.brief) s (mean \($2.brief))" }.joined(separator: ", ")
    return "most of a rank: \(phases); \((100 * overlap).brief) % of communication hidden"
  }
}
