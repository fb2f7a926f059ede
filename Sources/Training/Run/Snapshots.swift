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

  private static let parameterName = "parameters"
  private static let referenceName = "reference"

  // MARK: Saving

  /// Saves the state after a number of steps. Rank 0 commits when every rank has reported that its shard is durable.
  ///
  /// - Throws: on every rank, the fault of the first rank that could not write; older snapshots stay.
  package func save(_ trainer: Trainer, objectiveState: [Double], step: Int, keep: Int) throws {
    let staging = try communicator.onRankZero { try store.begin(step: step) }
    let reports = try communicator.allGather(Agreement.report { try writeShard(of: trainer, staging) })
    let shards = try reports.enumerated().map { try Self.shard(from: $1, rank: $0) }
    _ = try communicator.onRankZero {
      let manifest = SnapshotManifest(
        step: step, configDigest: configDigest, layoutDigest: layoutDigest, worldSize: communicator.size,
        state: JSONObject([
          ("settings", settingsObject), ("objective", .array(objectiveState.map(JSONValue.double))),
        ]), files: shards)
      try store.commit(staging: staging, manifest: manifest)
      try store.prune(keep: keep)
      return ""
    }
  }

  private func writeShard(of trainer: Trainer, _ staging: String) throws -> String {
    let range = trainer.sharding.range(ofRank: communicator.rank)
    let replicated = communicator.rank == 0 ? trainer.optimizer.replicatedState : []
    let parameters = (name: Self.parameterName, view: trainer.weights.trained.view[range])
    var tensors = ([parameters] + trainer.optimizer.shardedState + replicated).map { name, view in
      TensorSource(name: name, shape: [view.count], values: UnsafeBufferPointer(start: view.base, count: view.count))
    }
    if let reference = movingReference(of: trainer) {
      let view = reference[range]
      tensors.append(
        TensorSource(
          name: Self.referenceName, shape: [view.count],
          values: UnsafeBufferPointer(start: view.base, count: view.count)))
    }
    let file = try store.writeShard(
      staging: staging, name: Self.shardName(communicator.rank, of: communicator.size), tensors: tensors)
    return "\(file.name) \(file.bytes) \(file.sha256)"
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

  /// A live reference that has left its beginning; it has the layout of the trained parameters.
  private func movingReference(of trainer: Trainer) -> FloatView? {
    trainer.referenceMoves ? trainer.weights.reference?.view : nil
  }

  /// Reads parameters and the own shard of the optimiser's state, whatever number of ranks wrote them.
  ///
  /// - Returns: the state of the objective.
  package func load(_ manifest: SnapshotManifest, into trainer: Trainer) throws -> [Double] {
    let saved = Sharding(count: trainer.sharding.count, ranks: manifest.worldSize)
    let own = trainer.sharding.range(ofRank: communicator.rank)
    for rank in 0..<manifest.worldSize {
      let name = Self.shardName(rank, of: manifest.worldSize)
      let file = try SafetensorsFile(path: "\(store.path(step: manifest.step))/\(name)")
      let range = saved.range(ofRank: rank)
      try copy(Self.parameterName, of: file, range, into: trainer.weights.trained.view, from: 0, wanted: range)
      if let reference = movingReference(of: trainer) {
        try copy(Self.referenceName, of: file, range, into: reference, from: 0, wanted: range)
      }
      for (name, view) in trainer.optimizer.shardedState {
        try copy(name, of: file, range, into: view, from: own.lowerBound, wanted: range.clamped(to: own))
      }
      for (name, view) in trainer.optimizer.replicatedState where rank == 0 {
        try copy(name, of: file, 0..<view.count, into: view, from: 0, wanted: 0..<view.count)
      }
    }
    trainer.weights.refresh()
    return manifest.state["objective"]?.arrayValue?.compactMap(\.doubleValue) ?? []
  }

  /// Copies the wanted part of a saved range (arena coordinates) into a view that begins at arena position `origin`.
  private func copy(
    _ name: String, of file: SafetensorsFile, _ saved: Range<Int>, into view: FloatView, from origin: Int,
    wanted: Range<Int>
  ) throws {
    guard !wanted.isEmpty else { return }
    guard let record = file[name], record.shape == [saved.count] else {
      throw Fault(.data, "tensor '\(name)' is missing or has the wrong size", at: file.path)
    }
    let target = view[wanted.lowerBound - origin..<wanted.upperBound - origin]
    let elements = wanted.lowerBound - saved.lowerBound..<wanted.upperBound - saved.lowerBound
    try file.copyFloats(
      of: record, elements: elements, into: UnsafeMutableBufferPointer(start: target.base, count: target.count))
  }

  // MARK: Shards

  private static func shard(from message: [UInt8], rank: Int) throws -> ShardFile {
    let fields = try Agreement.result(of: message, rank: rank).split(separator: " ").map(String.init)
    guard fields.count == 3, let bytes = Int(fields[1]) else {
      preconditionFailure("a shard is reported in three words")
    }
    return ShardFile(name: fields[0], bytes: bytes, sha256: fields[2])
  }

  private static func shardName(_ rank: Int, of size: Int) -> String {
    "shard-\((rank + 1).padded(to: 5))-of-\(size.padded(to: 5)).safetensors"
  }

  // MARK: Settings

  private var settingsObject: JSONValue {
    .object(JSONObject(settings.map { (ByteString($0.key), .string(ByteString($0.value))) }))
  }

  private var configDigest: String { SHA256.digest(of: settingsObject.serialized()).hex }

  /// Refuses to continue a run with other settings, naming the first that differs.
  private func checkSettings(_ manifest: SnapshotManifest) throws {
    guard manifest.layoutDigest == layoutDigest else {
      throw Fault(
        .configuration, "the checkpoints are of another model", at: store.directory,
        hint: "choose another run directory")
    }
    guard manifest.configDigest != configDigest else { return }
    let saved = manifest.state["settings"]
    let change = settings.first { saved?[ByteString($0.key)]?.stringValue != $0.value }
    let what = change.map { "\($0.key) is \($0.value), was \(saved?[ByteString($0.key)]?.stringValue ?? "not set")" }
    throw Fault(
      .configuration, "the checkpoints are of a run with other settings: \(what ?? "some are gone")",
      at: store.directory, hint: "set it back to continue, or choose another run directory")
  }
}
