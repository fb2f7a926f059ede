import AlignmentCore
import Checkpoints

#if canImport(Glibc)
  import Glibc
#endif

/// The memory that a run takes, by what it is for.
package struct MemoryNeed: Sendable, Equatable {
  /// What a rank has, arenas of the same purpose together, the largest first; shared ones once for all ranks of a host.
  package let items: [MemoryLedger.Entry]
  /// Files that are mapped: page cache, which counts among a rank's resident memory but can be taken back.
  package let files: Int
  package let ranksPerHost: Int

  package init(_ items: [MemoryLedger.Entry], files: Int, ranksPerHost: Int) {
    var sums: [String: MemoryLedger.Entry] = [:]
    for item in items {
      let bytes = item.bytes + (sums[item.purpose]?.bytes ?? 0)
      sums[item.purpose] = .init(purpose: item.purpose, bytes: bytes, isShared: item.isShared)
    }
    self.items = sums.values.sorted { ($0.bytes, $1.purpose) > ($1.bytes, $0.purpose) }
    self.files = files
    self.ranksPerHost = ranksPerHost
  }

  /// Bytes of which each rank has its own.
  package var own: Int { items.reduce(0) { $0 + ($1.isShared ? 0 : $1.bytes) } }
  /// Bytes that the ranks of a host have together.
  package var shared: Int { items.reduce(0) { $0 + ($1.isShared ? $1.bytes : 0) } }
  /// The largest resident memory of a rank, as ps and ulimit see it: everything that it maps.
  package var resident: Int { own + shared + files }
  /// What a host must have.
  package var host: Int { ranksPerHost * own + shared }
}

extension MemoryNeed {
  /// - Parameters:
  ///   - process: bytes of a rank beside its arenas.
  init(_ outline: RunOutline, process: Int) {
    var items = outline.arenas
    items.append(.init(purpose: "process", bytes: process))
    items.append(.init(purpose: "tokenizer", bytes: outline.tokenizerBytes))
    if outline.configuration.checkpoint.every > 0 {
      items.append(.init(purpose: "checkpoint copy", bytes: outline.checkpointBytes / outline.world.ranks))
    }
    let directories = [
      outline.configuration.model.directory, outline.configuration.reference,
      outline.configuration.policy?.rewards.model,
    ].compactMap(\.self)
    let weights = Set(directories).reduce(0) { $0 + Self.weightBytes(of: $1) }
    self.init(
      items.filter { $0.bytes > 0 }, files: weights + outline.dataBytes, ranksPerHost: outline.world.ranksPerHost)
  }

  /// Bytes of the weight files of a model directory; 0 if they are elsewhere.
  private static func weightBytes(of directory: String) -> Int {
    let names = (try? FileSystem.list(directory)) ?? []
    return names.filter { $0.hasSuffix(".safetensors") }.reduce(0) { sum, name in
      var status = stat()
      return sum + (stat("\(directory)/\(name)", &status) == 0 ? Int(status.st_size) : 0)
    }
  }
}

extension RunOutline {
  /// Bytes of a checkpoint of all ranks: parameters, the optimiser's state, and a reference that moves.
  var checkpointBytes: Int {
    let copies = configuration.referenceSync.every > 0 && trained.isComplete ? 2 : 1
    return 4 * trained.count * copies + traffic.optimizerState * world.ranks
  }
}
