import AlignmentCore

/// Joins the writes of many threads: while one transaction is made durable, the next ones gather, and one thread writes
/// them all. A disk that takes its time for each commit then holds nobody up.
///
/// `@unchecked Sendable`: all that changes is touched under `monitor` only, but for the result of a write, which is set before
/// its job is marked as done.
final class GroupCommit<Connection>: @unchecked Sendable {
  private final class Job {
    let run: (Connection) throws -> Void
    var isDone = false
    var failure: (any Error)?
    init(_ run: @escaping (Connection) throws -> Void) { self.run = run }
  }

  private let transaction: (_ body: (Connection) throws -> Void) throws -> Void
  private let monitor = Monitor()
  private var waiting: [Job] = []
  private var isWriting = false

  /// - Parameters:
  ///   - transaction: runs its argument as one transaction, which is durable when it returns.
  init(transaction: @escaping (_ body: (Connection) throws -> Void) throws -> Void) { self.transaction = transaction }

  /// Runs a write in a transaction with others and returns when it is durable.
  ///
  /// - Throws: what any write of the transaction, or the commit, throws; then nothing of it was written.
  func write<T>(_ body: @escaping (Connection) throws -> T) throws -> T {
    var result: T?
    let job = Job { result = try body($0) }
    monitor.locked { waiting.append(job) }
    while let batch = nextBatch(unless: job) {
      var failure: (any Error)?
      do {
        try transaction { connection in for job in batch { try job.run(connection) } }
      } catch {
        failure = error
      }
      finish(batch, failure)
    }
    if let failure = job.failure { throw failure }
    // A job that is done without a failure has run.
    return result!
  }

  /// The writes that this thread is to do; nil when its own is done.
  private func nextBatch(unless job: Job) -> [Job]? {
    monitor.locked {
      while isWriting && !job.isDone { monitor.wait() }
      if job.isDone { return nil }
      isWriting = true
      defer { waiting = [] }
      return waiting
    }
  }

  private func finish(_ batch: [Job], _ failure: (any Error)?) {
    monitor.locked {
      for job in batch {
        job.failure = failure
        job.isDone = true
      }
      isWriting = false
      monitor.wakeAll()
    }
  }
}
