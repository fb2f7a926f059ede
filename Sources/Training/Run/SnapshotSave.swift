import AlignmentCore
import Checkpoints
import Collectives
import Logging

/// One checkpoint on its way to the disk: every rank writes its shard in a thread, then rank 0 commits in a thread.
///
/// Threads never touch MPI. Whoever drives a save calls ``advance()`` on every rank at the same point of the program: when
/// all ranks have told each other that they are ready, so that nobody waits, or at once, to wait.
final class SnapshotSave {
  /// Steps that are in the checkpoint.
  let step: Int
  /// Seconds from the beginning until rank 0 had committed.
  private(set) var seconds = 0.0
  private let snapshots: Snapshots
  private let objectiveState: [Double]
  private let bucketBlocks: Int
  private let keep: Int
  private let staging: String
  private let started = MonotonicClock.seconds
  private var stage: Stage

  private enum Stage {
    /// Each rank's report of its shard.
    case writing(BackgroundTask<[UInt8]>)
    /// Rank 0's report of the commit; the others have nothing to do.
    case committing(BackgroundTask<[UInt8]>?)
    case finished
  }

  /// Makes the staging directory and begins to write.
  ///
  /// - Parameters:
  ///   - image: must stay as it is until the save is finished.
  /// - Throws: on every rank, the fault of rank 0.
  init(
    _ snapshots: Snapshots, _ image: SnapshotImage, objectiveState: [Double], step: Int, keep: Int
  ) throws {
    self.snapshots = snapshots
    self.step = step
    self.objectiveState = objectiveState
    bucketBlocks = image.bucketBlocks
    self.keep = keep
    FaultInjection.reach(.save, step: step)
    let (store, communicator) = (snapshots.store, snapshots.communicator)
    let staging = try communicator.onRankZero { try store.begin(step: step) }
    self.staging = staging
    let name = Snapshots.shardName(communicator.rank, of: communicator.size)
    stage = .writing(
      BackgroundTask {
        Agreement.report {
          let file = try image.write(name, staging: staging, store: store)
          return "\(file.name) \(file.bytes) \(file.sha256)"
        }
      })
  }

  /// Whether ``advance()`` would not have to wait for this rank.
  var isReady: Bool {
    switch stage {
    case .writing(let task): task.isFinished
    case .committing(let task): task?.isFinished ?? true
    case .finished: true
    }
  }

  /// Finishes the stage; all ranks together.
  ///
  /// - Returns: whether the checkpoint is committed.
  /// - Throws: on every rank, the fault of the first rank that failed; nothing of the checkpoint is left then.
  func advance() throws -> Bool {
    do {
      switch stage {
      case .writing(let task): try commit(try shards(from: task.result()))
      case .committing(let task): try finish(task)
      case .finished: break
      }
    } catch {
      // After EIO or ENOSPC the files are void: a second fsync of the same file may lie about the first.
      if snapshots.communicator.rank == 0 { try? snapshots.store.removeStale() }
      throw error
    }
    if case .finished = stage { return true }
    return false
  }

  /// Waits until the checkpoint is committed.
  func finish() throws { while try !advance() {} }

  private func shards(from report: [UInt8]) throws -> [ShardFile] {
    try snapshots.communicator.allGather(report).enumerated().map { rank, message in
      let fields = try Agreement.result(of: message, rank: rank).split(separator: " ").map(String.init)
      guard fields.count == 3, let bytes = Int(fields[1]) else {
        preconditionFailure("a shard is reported in three words")
      }
      return ShardFile(name: fields[0], bytes: bytes, sha256: fields[2])
    }
  }

  private func commit(_ shards: [ShardFile]) throws {
    guard snapshots.communicator.rank == 0 else {
      stage = .committing(nil)
      return
    }
    let manifest = snapshots.manifest(
      step: step, objectiveState: objectiveState, bucketBlocks: bucketBlocks, shards: shards)
    stage = .committing(
      BackgroundTask { [store = snapshots.store, staging, keep] in
        Agreement.report {
          try store.commit(staging: staging, manifest: manifest)
          // From here on the checkpoint is safe; old ones that stay are no failure of it.
          do { try store.prune(keep: keep) } catch { log.warning("old checkpoints stay: \(error)") }
          return ""
        }
      })
  }

  private func finish(_ task: BackgroundTask<[UInt8]>?) throws {
    let report = try snapshots.communicator.broadcast(task?.result() ?? [])
    _ = try Agreement.result(of: report, rank: 0)
    stage = .finished
    seconds = MonotonicClock.seconds - started
  }
}
