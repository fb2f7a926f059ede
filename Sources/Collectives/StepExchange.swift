import AlignmentCore

/// How ranks exchange gradients and parameters; what comes out is the same.
package enum CommunicationMode: String, CaseIterable, Sendable {
  /// A thread beside the computation moves buckets around the ring as they are complete.
  case overlapped
  /// The ring between computations.
  case ring
  /// The MPI library's own collectives between computations: the reference.
  case allreduce

  /// Overlapped where messages travel between hosts. Within one host they are copied by the cores that compute, so that
  /// a thread beside the computation would hide nothing.
  package static func suited(to communicator: some Communicator) -> CommunicationMode {
    communicator.hostSize < communicator.size ? .overlapped : .ring
  }
}

/// What a step exchanges between ranks: sums of gradients go to the ranks that own them, new parameters come back.
///
/// A step is ``begin()``, ``release(_:)`` while gradients become final, ``reduce()``, and ``gatherParameters()``, which
/// may return before parameters are here: ``wait(for:)`` them. Nothing of this allocates.
package final class StepExchange: ParameterArrival {
  /// The arenas that ranks exchange.
  package struct Arenas {
    package let parameters: FloatBuffer
    package let gradients: FloatBuffer
    /// Whether every rank needs the means of all gradients.
    package let gathersGradients: Bool

    package init(parameters: FloatBuffer, gradients: FloatBuffer, gathersGradients: Bool) {
      self.parameters = parameters
      self.gradients = gradients
      self.gathersGradients = gathersGradients
    }
  }

  /// A table whose gradient comes as rows.
  package struct Table {
    package let start: Int
    package let width: Int
    /// Most rows of a unit.
    package let capacity: Int

    package init(start: Int, width: Int, capacity: Int) {
      self.start = start
      self.width = width
      self.capacity = capacity
    }
  }

  private let sharding: Sharding
  private let reduction: GradientReduction
  private let moves: BucketMoves
  private let thread: CommunicationThread?
  private var completion: BucketCompletion
  /// Tasks done or waited for; the next one's number without a thread.
  private var next = 0
  /// The number of the step's first task, and of the first that gathered parameters last.
  private var first = 0
  private var firstArrival: Int
  /// Seconds that the caller's thread has waited for messages so far.
  package private(set) var waitSeconds = 0.0
  private var ownSeconds = 0.0

  /// - Parameters:
  ///   - order: ranges of the arena in the order in which gradients become final; together all of it.
  ///   - table: whose last rows may follow when its buckets are reduced.
  ///   - progress: told after every bucket, by the thread that moves it.
  package init(
    _ mode: CommunicationMode, _ reduction: GradientReduction, _ sharding: Sharding, _ arenas: Arenas,
    order: [Range<Int>], table: Table? = nil, over communicator: any Communicator,
    progress: @escaping @Sendable () -> Void = {}
  ) throws {
    self.sharding = sharding
    self.reduction = reduction
    completion = BucketCompletion(sharding, order: order)
    firstArrival = -sharding.bucketCount
    let channel = mode == .overlapped && communicator.size > 1 ? try communicator.makeRingChannel() : nil
    let isStopping = StopFlag()
    let transport: BucketTransport =
      if let channel { .ring(InterruptibleLink(channel, isStopping: isStopping)) } else if mode == .allreduce {
        .collectives(communicator)
      } else { .ring(BlockingLink(communicator)) }
    let rows =
      try channel == nil
      ? nil
      : table.map {
        try RowExchange(tableStart: $0.start, width: $0.width, capacity: $0.capacity)
      }
    let moves = BucketMoves(
      reduction, sharding, arenas, buckets: completion.order, rows: rows, over: transport, progress: progress)
    self.moves = moves
    thread = try channel.map { _ in try CommunicationThread(isStopping: isStopping) { try moves.perform($0) } }
  }

  /// Whether a thread of its own communicates.
  package var isOverlapped: Bool { thread != nil }

  /// Seconds of communication so far, whichever thread it was; waiting for other ranks is part of it.
  package var communicationSeconds: Double { thread?.busySeconds ?? ownSeconds }
}

// MARK: - A step

extension StepExchange {
  /// Begins a step: no gradient is final.
  package func begin() {
    completion.begin()
    moves.rows = nil
  }

  /// Tells that no more will be added to a range of the sums but rows.
  package func release(_ range: Range<Int>) {
    completion.complete(range)
    thread?.release(before: first + completion.ready)
  }

  /// Adds the last rows of the table: at once, or behind its buckets if those are on their way.
  ///
  /// - Parameters:
  ///   - rows: left alone until ``reduce()`` returns.
  /// - Returns: whether every element was finite and, when exact, within the range of the sums.
  package func add(_ rows: TableRows) -> Bool {
    guard thread != nil, moves.exchangesRows else { return reduction.add(rows) }
    moves.rows = rows
    return reduction.admits(rows)
  }

  /// Returns when the own shard holds the sums of all ranks.
  package func reduce() throws { try perform(before: moves.reductionEnd) }

  /// Copies the means of all shards to all ranks, if the optimiser asks for that.
  package func gatherGradients() throws { try perform(before: moves.gradientsEnd) }

  /// Begins to copy the parameters of all shards to all ranks, and ends the step.
  package func gatherParameters() throws {
    firstArrival = first + moves.gradientsEnd
    let end = first + moves.stepEnd
    defer { first = end }
    guard let thread else { return try perform(before: moves.stepEnd) }
    thread.release(before: end)
  }

  /// Ends a step that all ranks give up together before anything was updated; what is on its way is finished, so that the
  /// next step finds nothing of it.
  package func skip() throws {
    let end = first + moves.stepEnd
    defer { first = end }
    firstArrival = first + moves.gradientsEnd
    guard thread != nil else {
      next = end
      return
    }
    try perform(before: moves.stepEnd)
  }

  /// Returns when a range of the parameters is here, or the thread has failed, which the next ``reduce()`` tells.
  package func wait(for range: Range<Int>) {
    guard let thread, !range.isEmpty else { return }
    let end = firstArrival + sharding.bucket(of: range.upperBound - 1) + 1
    let started = MonotonicClock.seconds
    thread.wait(for: end)
    waitSeconds += MonotonicClock.seconds - started
  }

  /// Returns when all parameters are here.
  package func settle() throws {
    wait(for: 0..<sharding.count)
    try thread?.check()
  }

  /// Sees to it that the tasks of this step before a number are done.
  private func perform(before end: Int) throws {
    let started = MonotonicClock.seconds
    defer { waitSeconds += MonotonicClock.seconds - started }
    guard let thread else {
      while next < first + end {
        try moves.perform(next)
        next += 1
      }
      ownSeconds += MonotonicClock.seconds - started
      return
    }
    thread.release(before: first + end)
    thread.wait(for: first + end)
    try thread.check()
  }
}

/// The tasks of communication: in every step each bucket of the sums, the rows, each bucket of the gradients where every
/// rank needs them, and each bucket of the parameters in the order of the arena.
private final class BucketMoves {
  private let reduction: GradientReduction
  private let sharding: Sharding
  private let arenas: StepExchange.Arenas
  private let buckets: [Int]
  private let rowExchange: RowExchange?
  private let transport: BucketTransport
  private let progress: @Sendable () -> Void
  /// The own rows of this step, set before their task is released.
  var rows: TableRows?

  init(
    _ reduction: GradientReduction, _ sharding: Sharding, _ arenas: StepExchange.Arenas, buckets: [Int],
    rows: RowExchange?, over transport: BucketTransport, progress: @escaping @Sendable () -> Void
  ) {
    self.reduction = reduction
    self.sharding = sharding
    self.arenas = arenas
    self.buckets = buckets
    self.transport = transport
    self.progress = progress
    rowExchange = rows
  }

  var exchangesRows: Bool { rowExchange != nil }
  /// The ends of the stages of a step.
  var reductionEnd: Int { buckets.count + (exchangesRows ? 1 : 0) }
  var gradientsEnd: Int { reductionEnd + (arenas.gathersGradients ? buckets.count : 0) }
  var stepEnd: Int { gradientsEnd + buckets.count }

  /// Does a task by its number, counted over all steps.
  func perform(_ number: Int) throws {
    let task = number % stepEnd
    if task < buckets.count {
      try reduction.reduce(bucket: buckets[task], over: transport)
    } else if task < reductionEnd {
      try exchangeRows()
    } else if task < gradientsEnd {
      try transport.gather(arenas.gradients.view.base, sharding, bucket: task - reductionEnd)
    } else {
      try transport.gather(arenas.parameters.view.base, sharding, bucket: task - gradientsEnd)
    }
    progress()
  }

  private func exchangeRows() throws {
    guard let rowExchange, case .ring(let link) = transport else { return }
    try rowExchange.circulate(rows ?? rowExchange.none, over: link) { reduction.addToShard($0) }
  }
}
