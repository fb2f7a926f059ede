import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Logging

/// Saves a run while it trains, and bears with a disk that fails.
///
/// A checkpoint is copied at the boundary between two steps, and that copy is all that training waits for; it is written
/// behind the steps that follow, at most one at a time. A checkpoint that fails costs a warning, and the next one is tried
/// as if nothing had happened; only when several fail in a row does the run end.
final class CheckpointWriter {
  /// What was saved and how long that took, as rank 0 sees it.
  struct Statistics {
    var count = 0
    /// Seconds in which training stood still.
    var stall = 0.0
    /// Seconds from the copy to the commit.
    var write = 0.0
  }

  /// Checkpoints that may fail one after the other before the run ends.
  static let mostFailures = 3

  private(set) var statistics = Statistics()
  private var reported = Statistics()
  private let snapshots: Snapshots
  private let trainer: Trainer
  private let settings: RunConfiguration.CheckpointSettings
  private var isRankZero: Bool { snapshots.communicator.rank == 0 }
  /// Where the copy lies while it is written; nil writes from the live arenas, and training waits.
  private let copy: FloatBuffer?
  private var current: SnapshotSave?
  private var lastSaved: Int?
  private var failures = 0

  /// Takes the memory for the copy, where there will be checkpoints on the way.
  ///
  /// - Throws: ``Fault`` of kind `resource` where there is too little.
  init(_ snapshots: Snapshots, _ trainer: Trainer, _ settings: RunConfiguration.CheckpointSettings) throws {
    self.snapshots = snapshots
    self.trainer = trainer
    self.settings = settings
    let image = SnapshotImage(of: trainer, rank: snapshots.communicator.rank)
    let copies = settings.isAsynchronous && settings.every > 0
    copy = copies ? try FloatBuffer(count: image.count, purpose: "the copy that is saved") : nil
  }

  /// Whether this rank has done its part of the checkpoint in flight, or there is none.
  var isReady: Bool { current?.isReady ?? true }
}

// MARK: - On the way

extension CheckpointWriter {
  /// Begins to save the state after a number of steps.
  ///
  /// - Returns: the steps of a checkpoint that was completed for this; nil if there was none.
  /// - Throws: ``Fault`` of kind `noProgress` after several failures in a row.
  func begin(step: Int, objectiveState: [Double]) throws -> Int? {
    let started = MonotonicClock.seconds
    defer { statistics.stall += MonotonicClock.seconds - started }
    let completed = try settle()
    try attempt(step) {
      let live = SnapshotImage(of: trainer, rank: snapshots.communicator.rank)
      current = try SnapshotSave(
        snapshots, copy.map(live.copied) ?? live, objectiveState: objectiveState, step: step, keep: settings.keep)
    }
    return copy == nil ? try settle() : completed
  }

  /// Goes on with the checkpoint in flight, once all ranks have told that they are ready.
  ///
  /// - Returns: its steps, when it is committed.
  func advance() throws -> Int? {
    guard let save = current else { return nil }
    let started = MonotonicClock.seconds
    defer { statistics.stall += MonotonicClock.seconds - started }
    var isCommitted = false
    try attempt(save.step) { isCommitted = try save.advance() }
    return isCommitted ? completed(save) : nil
  }

  /// Waits for the checkpoint in flight.
  private func settle() throws -> Int? {
    guard let save = current else { return nil }
    var isCommitted = false
    try attempt(save.step) {
      try save.finish()
      isCommitted = true
    }
    return isCommitted ? completed(save) : nil
  }

  private func completed(_ save: SnapshotSave) -> Int {
    current = nil
    if failures > 0, isRankZero { log.notice("checkpoints can be written again") }
    failures = 0
    lastSaved = save.step
    statistics.count += 1
    statistics.write += save.seconds
    if isRankZero { log.info("checkpoint of step \(save.step) written in \(save.seconds.brief) s") }
    return save.step
  }

  /// Bears with a failure, which all ranks see alike.
  private func attempt(_ step: Int, _ body: () throws -> Void) throws {
    do { try body() } catch let fault as Fault {
      current = nil
      failures += 1
      guard failures < Self.mostFailures else { throw exhausted(fault) }
      guard failures == 1, isRankZero else { return }
      let last = lastSaved.map { "the last one is of step \($0)" } ?? "there is none since this start"
      log.warning(
        """
        the checkpoint of step \(step) failed: \(fault.what); training goes on and tries again in \(settings.every) steps; \
        \(last) — free space or repair the disk
        """)
    }
  }

  private func exhausted(_ fault: Fault) -> Fault {
    Fault(
      .noProgress, "\(failures) checkpoints in a row failed, at last with: \(fault.what)", at: fault.location,
      hint: "free space or repair the disk, then start again to go on from the last checkpoint")
  }
}

// MARK: - At the end

extension CheckpointWriter {
  /// Saves and waits: what would be lost otherwise, when the run stops or ends.
  ///
  /// - Throws: ``Fault`` if it cannot be saved.
  func saveNow(step: Int, objectiveState: [Double]) throws {
    let started = MonotonicClock.seconds
    defer { statistics.stall += MonotonicClock.seconds - started }
    _ = try settle()
    let image = SnapshotImage(of: trainer, rank: snapshots.communicator.rank)
    let save = try SnapshotSave(snapshots, image, objectiveState: objectiveState, step: step, keep: settings.keep)
    try save.finish()
    _ = completed(save)
  }

  /// For the log, when one was completed since the last call: its seconds from copy to commit.
  var metrics: [(String, JSONValue)] {
    defer { reported = statistics }
    guard statistics.count > reported.count else { return [] }
    return [("seconds/checkpoint_write", .double(statistics.write - reported.write))]
  }

  /// Waits for the checkpoint in flight, when the run ends by a fault that says more than one of the disk.
  func finish() { _ = try? settle() }

  /// How checkpoints went, for people.
  var summary: String {
    let counted = statistics.count == 1 ? "1 checkpoint" : "\(statistics.count) checkpoints"
    return "\(counted): training stood still for \(statistics.stall.brief) s of \(statistics.write.brief) s of writing"
  }
}
