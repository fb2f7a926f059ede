import AlignmentCore
import Checkpoints
import Collectives
import Logging
import PreferenceData
import Transformer

/// Log-probabilities of a dataset's completions under the reference policy, from the cache or computed once.
///
/// A cache entry is named by the content that defines it: the reference's weights and configuration, the tokens of the
/// dataset, and the token budget of the pass (which fixes the last bits).
struct ReferenceLogProbabilities {
  let source: ModelSource
  let unitTokens: Int
  let cache: String
  let communicator: any Communicator

  /// The sum for each completion of the dataset, the same bits on every rank.
  func values(for dataset: TokenizedDataset) throws -> [Double] {
    let path = "\(cache)/logps-\(key(dataset)).bin"
    var bytes: [UInt8] = []
    if communicator.rank == 0 { bytes = cachedBytes(path, count: dataset.totalCompletions) ?? [] }
    bytes = try communicator.broadcast(bytes)
    if bytes.isEmpty {
      let values = try compute(dataset)
      if communicator.rank == 0 { try store(values, path) }
      return values
    }
    return bytes.withUnsafeBytes { Array($0.bindMemory(to: Double.self)) }
  }

  private func key(_ dataset: TokenizedDataset) -> String {
    let hash = SHA256()
    for field in ["adalign logps 1", source.digest, dataset.digest, String(unitTokens)] { hash.update(field: field) }
    return hash.finish().hex
  }

  private func compute(_ dataset: TokenizedDataset) throws -> [Double] {
    log.info("computing reference log-probabilities of \(dataset.totalCompletions) completions")
    return try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator).completionSums()
  }

  /// A digest, then one Float64 for each completion; anything else is as good as nothing.
  private func cachedBytes(_ path: String, count: Int) -> [UInt8]? {
    guard let bytes = try? FileSystem.readWhole(path), bytes.count == 32 + 8 * count else { return nil }
    let values = Array(bytes[32...])
    return SHA256.digest(of: values).bytes == Array(bytes[..<32]) ? values : nil
  }

  private func store(_ values: [Double], _ path: String) throws {
    let bytes = values.withUnsafeBytes { Array($0) }
    try FileSystem.makeDirectory(cache)
    try AtomicFile.write(path, SHA256.digest(of: bytes).bytes + bytes)
  }
}
