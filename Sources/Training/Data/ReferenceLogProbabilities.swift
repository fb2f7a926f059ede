import AlignmentCore
import Checkpoints
import Collectives
import Logging
import PreferenceData
import Transformer

/// Log-probabilities of a dataset's completions under the reference policy.
package struct ReferenceTable: Sendable {
  /// Log-probability of each completion; empty where none is needed.
  package let sums: [Double]
  /// Log-probability of each token of each completion, one completion after the other; empty where sums suffice.
  private let tokens: [Double]
  /// Where each completion begins in ``tokens``.
  private let starts: [Int]

  package static let none = ReferenceTable(sums: [])

  /// Sums only.
  package init(sums: [Double]) {
    self.sums = sums
    (tokens, starts) = ([], [])
  }

  /// Log-probabilities of tokens, and their sums.
  package init(tokens: [Double], lengths: [Int]) {
    let starts = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    self.tokens = tokens
    self.starts = starts
    sums = lengths.indices.map { tokens[starts[$0]..<starts[$0 + 1]].reduce(0, +) }
  }

  /// Gives the log-probabilities of a completion's tokens; none where only sums are known.
  func withTokens(ofCompletion completion: Int, _ body: (UnsafeBufferPointer<Double>) -> Void) {
    guard !tokens.isEmpty else { return body(UnsafeBufferPointer(start: nil, count: 0)) }
    tokens.withUnsafeBufferPointer {
      body(UnsafeBufferPointer(rebasing: $0[starts[completion]..<starts[completion + 1]]))
    }
  }
}

/// Log-probabilities of a dataset's completions under the reference policy, from the cache or computed once.
///
/// A cache entry is named by the content that defines it: the reference's weights and configuration, the tokens of the
/// dataset, and the token budget of the pass (which fixes the last bits).
struct ReferenceLogProbabilities {
  let source: ModelSource
  let unitTokens: Int
  let cache: String
  let communicator: any Communicator

  /// The sum for each completion of the dataset, or also of each token, the same bits on every rank.
  func table(for dataset: TokenizedDataset, perToken: Bool) throws -> ReferenceTable {
    guard perToken else { return ReferenceTable(sums: try values(for: dataset, perToken: false)) }
    return ReferenceTable(tokens: try values(for: dataset, perToken: true), lengths: dataset.completionLengths)
  }

  private func values(for dataset: TokenizedDataset, perToken: Bool) throws -> [Double] {
    let path = "\(cache)/logps-\(key(dataset, perToken: perToken)).bin"
    let count = perToken ? dataset.completionLengths.reduce(0, +) : dataset.totalCompletions
    var bytes: [UInt8] = []
    if communicator.rank == 0 { bytes = NumberFile.read(path, count: count) ?? [] }
    bytes = try communicator.broadcast(bytes)
    if bytes.isEmpty {
      let values = try compute(dataset, perToken: perToken)
      if communicator.rank == 0 {
        try FileSystem.makeDirectory(cache)
        try NumberFile.write(values, to: path)
      }
      return values
    }
    return NumberFile.numbers(bytes)
  }

  private func key(_ dataset: TokenizedDataset, perToken: Bool) -> String {
    let hash = SHA256()
    for field in ["adalign logps 1", source.digest, dataset.digest, String(unitTokens)] { hash.update(field: field) }
    if perToken { hash.update(field: "tokens") }
    return hash.finish().hex
  }

  private func compute(_ dataset: TokenizedDataset, perToken: Bool) throws -> [Double] {
    log.info("computing reference log-probabilities of \(dataset.totalCompletions) completions")
    let pass = try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator)
    return perToken ? try pass.tokenLogProbabilities().flatMap { $0 } : try pass.completionOutputs()
  }
}
