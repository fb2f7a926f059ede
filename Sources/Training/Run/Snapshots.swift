import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Optimization

/// Checkpoints of a trainer: every rank writes and reads its shard, rank 0 decides and commits.
package struct Snapshots {
  let store: SnapshotStore
  let communicator: any Communicator
  /// The settings that must not change between a run and its continuation.
  let settings: [(key: String, value: String)]
  let layoutDigest: String

  package init(
    store: SnapshotStore, communicator: any Communicator, settings: [(key: String, value: String)],
    layoutDigest: String
  ) {
    self.store = store
    self.communicator = communicator
    self.settings = settings
    self.layoutDigest = layoutDigest
  }

  /// Blocks of a bucket, which say with the number of ranks what of the optimiser's state is in which shard.
  private static let bucketKey: ByteString = "bucket_blocks"

  // MARK: Saving

  /// Saves the state after a number of steps and waits until it is durable.
  ///
  /// - Throws: on every rank, the fault of the first rank that could not write; older snapshots stay.
  package func save(_ trainer: Trainer, objectiveState: [Double], step: Int, keep: Int) throws {
    let image = SnapshotImage(of: trainer, rank: communicator.rank)
    try SnapshotSave(self, image, objectiveState: objectiveState, step: step, keep: keep).finish()
  }

  /// What a snapshot tells of itself.
  ///
  /// - Parameters:
  ///   - bucketBlocks: see ``Sharding``.
  func manifest(step: Int, objectiveState: [Double], bucketBlocks: Int, shards: [ShardFile]) -> SnapshotManifest {
    SnapshotManifest(
      step: step, configDigest: configDigest, layoutDigest: layoutDigest, worldSize: communicator.size,
      state: JSONObject([
        ("settings", settingsObject), ("objective", .array(objectiveState.map(JSONValue.double))),
        (Self.bucketKey, .integer(Int64(bucketBlocks))),
      ]), files: shards)
  }

  // MARK: Loading

  /// The newest whole snapshot, as rank 0 finds it; nil if there is none.
  ///
  /// - Throws: ``Fault`` if there are snapshots but none is whole, or if they belong to a run with other settings.
  package func newest() throws -> SnapshotManifest? {
    let text = try communicator.onRankZero {
      let found = try store.newestVerified { log.warning("skipping a damaged checkpoint: \($0)") }
      return found.map { String($0.step) } ?? ""
    }
    guard let step = Int(text) else { return nil }
    let manifest = try store.manifest(step: step)
    try checkSettings(manifest)
    return manifest
  }

  /// Reads parameters and the own shard of the optimiser's state, whatever number of ranks wrote them.
  ///
  /// - Returns: the state of the objective.
  package func load(_ manifest: SnapshotManifest, into trainer: Trainer) throws -> [Double] {
    let saved = Sharding(
      count: trainer.sharding.count, ranks: manifest.worldSize,
      bucketBlocks: manifest.state[Self.bucketKey]?.intValue.flatMap { $0 > 0 ? $0 : nil })
    let own = trainer.sharding.shard(ofRank: communicator.rank)
    for rank in 0..<manifest.worldSize {
      let name = Self.shardName(rank, of: manifest.worldSize)
      let file = try SafetensorsFile(path: "\(store.path(step: manifest.step))/\(name)")
      let range = saved.range(ofRank: rank)
      try copy(SnapshotImage.parameterName, of: file, into: trainer.weights.trained.view[range])
      if let reference = trainer.movingReference {
        try copy(SnapshotImage.referenceName, of: file, into: reference[range])
      }
      for (name, view) in trainer.optimizer.shardedState {
        try copy(name, of: file, saved.shard(ofRank: rank), into: view, own)
      }
      for (name, view) in trainer.optimizer.replicatedState where rank == 0 {
        try copy(name, of: file, into: view)
      }
    }
    trainer.weights.refresh()
    return manifest.state["objective"]?.arrayValue?.compactMap(\.doubleValue) ?? []
  }

  /// Copies a whole tensor, if it has elements.
  private func copy(_ name: String, of file: SafetensorsFile, into view: FloatView) throws {
    try copy(name, of: file, [0..<view.count], into: view, [0..<view.count])
  }

  /// Copies what two shards have in common: of the saved one in a file, into a vector over the own one.
  private func copy(
    _ name: String, of file: SafetensorsFile, _ saved: [Range<Int>], into view: FloatView, _ own: [Range<Int>]
  ) throws {
    let size = saved.reduce(0) { $0 + $1.count }
    guard size > 0 else { return }
    guard let record = file[name], record.shape == [size] else {
      throw Fault(.data, "tensor '\(name)' is missing or has the wrong size", at: file.path)
    }
    var source = 0
    for piece in saved {
      var target = 0
      for part in own {
        let common = piece.clamped(to: part)
        if !common.isEmpty {
          let start = target + common.lowerBound - part.lowerBound
          let values = view[start..<start + common.count]
          let first = source + common.lowerBound - piece.lowerBound
          try file.copyFloats(
            of: record, elements: first..<first + common.count,
            into: UnsafeMutableBufferPointer(start: values.base, count: values.count))
        }
        target += part.count
      }
      source += piece.count
    }
  }

  // MARK: Shards

  static func shardName(_ rank: Int, of size: Int) -> String {
    "shard-\((rank + 1).padded(to: 5))-of-\(size.padded(to: 5)).safetensors"
  }

  // MARK: Settings

  private var settingsObject: JSONValue {
    .object(JSONObject(settings.map { (ByteString($0.key), .string(ByteString($0.value))) }))
  }

  private var configDigest: String { SHA256.digest(of: settingsObject.serialized()).hex }

  /// Refuses to continue a run with other settings, naming those that differ.
  private func checkSettings(_ manifest: SnapshotManifest) throws {
    guard manifest.layoutDigest == layoutDigest else {
      throw Fault(
        .configuration, "the checkpoints are of another model", at: store.directory,
        hint: "choose another run directory")
    }
    guard manifest.configDigest != configDigest else { return }
    throw Fault(
      .configuration,
      "the checkpoints are of a run with other settings: \(differences(from: manifest.state["settings"]))",
      at: store.directory, hint: "set it back to continue, or choose another run directory")
  }

  /// Every setting that is not what it was, or was there and is gone.
  private func differences(from saved: JSONValue?) -> String {
    let old = saved?.objectValue?.members.map { (key: $0.key.description, value: $0.value.stringValue ?? "") } ?? []
    let changed = settings.compactMap { key, value -> String? in
      let was = saved?[ByteString(key)]?.stringValue
      return was == value ? nil : "\(key) is \(value), was \(was ?? "not set")"
    }
    let names = Set(settings.map(\.key))
    let gone = old.filter { !names.contains($0.key) }.map { "\($0.key) was \($0.value), is not set" }
    return (changed + gone).joined(separator: "; ")
  }
}
