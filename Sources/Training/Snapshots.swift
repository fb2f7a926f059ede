import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Optimization

/// Checkpoints of a trainer: every rank writes and reads its shard, rank 0 decides and commits.
struct Snapshots {
  let store: SnapshotStore
  let communicator: any Communicator
  /// The settings that must not change between a run and its continuation.
  let settings: [(key: String, value: String)]
  let layoutDigest: String

  private static let tensorNames = ["parameters", "first_moment", "second_moment"]
  private static let referenceName = "reference"

  // MARK: Saving

  /// Saves the state after a number of steps. Rank 0 commits when every rank has reported that its shard is durable.
  ///
  /// - Throws: on every rank, the fault of the first rank that could not write; older snapshots stay.
  func save(_ trainer: Trainer, objectiveState: [Double], step: Int, keep: Int) throws {
    let staging = try onRankZero { try store.begin(step: step) }
    let reports = try communicator.allGather(report { try writeShard(of: trainer, staging) })
    let shards = try reports.enumerated().map { try Self.shard(from: $1, rank: $0) }
    _ = try onRankZero {
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
    let views = [trainer.weights.trained.view[range], trainer.optimizer.firstMoment, trainer.optimizer.secondMoment]
    var tensors = zip(Self.tensorNames, views).map { name, view in
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
  func newest() throws -> SnapshotManifest? {
    let text = try onRankZero {
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

  /// Reads parameters and the own shard of the moments, whatever number of ranks wrote them.
  ///
  /// - Returns: the state of the objective.
  func load(_ manifest: SnapshotManifest, into trainer: Trainer) throws -> [Double] {
    let saved = Sharding(count: trainer.sharding.count, ranks: manifest.worldSize)
    let own = trainer.sharding.range(ofRank: communicator.rank)
    for rank in 0..<manifest.worldSize {
      let name = Self.shardName(rank, of: manifest.worldSize)
      let file = try SafetensorsFile(path: "\(store.path(step: manifest.step))/\(name)")
      let range = saved.range(ofRank: rank)
      try copy(Self.tensorNames[0], of: file, range, into: trainer.weights.trained.view, from: 0, wanted: range)
      if let reference = movingReference(of: trainer) {
        try copy(Self.referenceName, of: file, range, into: reference, from: 0, wanted: range)
      }
      for (name, moment) in zip(
        Self.tensorNames.dropFirst(), [trainer.optimizer.firstMoment, trainer.optimizer.secondMoment])
      {
        try copy(name, of: file, range, into: moment, from: own.lowerBound, wanted: range.clamped(to: own))
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

  // MARK: Agreement

  /// Runs `body` on rank 0 and gives its text, or its fault, to every rank.
  private func onRankZero(_ body: () throws -> String) throws -> String {
    let message = communicator.rank == 0 ? report(body) : []
    return try Self.result(of: try communicator.broadcast(message), rank: 0)
  }

  /// A text or a fault as bytes that travel.
  private func report(_ body: () throws -> String) -> [UInt8] {
    do {
      return Array("ok \(try body())".utf8)
    } catch let fault as Fault {
      return Array("\(fault.kind.rawValue) \(fault)".utf8)
    } catch {
      return Array("\(Fault.Kind.unwritable.rawValue) \(error)".utf8)
    }
  }

  private static func result(of message: [UInt8], rank: Int) throws -> String {
    let parts = String(decoding: message, as: UTF8.self).split(
      separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    let text = parts.count > 1 ? String(parts[1]) : ""
    guard parts[0] != "ok" else { return text }
    throw Fault(Int32(parts[0]).flatMap(Fault.Kind.init) ?? .unwritable, text, at: rank == 0 ? "" : "rank \(rank)")
  }

  private static func shard(from message: [UInt8], rank: Int) throws -> ShardFile {
    let fields = try result(of: message, rank: rank).split(separator: " ").map(String.init)
    guard fields.count == 3, let bytes = Int(fields[1]) else {
      preconditionFailure("a shard is reported in three words")
    }
    return ShardFile(name: fields[0], bytes: bytes, sha256: fields[2])
  }

  private static func shardName(_ rank: Int, of size: Int) -> String {
    let padded = { (number: Int) in String(repeating: "0", count: max(0, 5 - String(number).count)) + String(number) }
    return "shard-\(padded(rank + 1))-of-\(padded(size)).safetensors"
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
