import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Ranks that are threads of one process: a single rank without MPI, or several for tests.
package final class LocalCommunicator: Communicator {
  package let rank: Int
  package var size: Int { board.size }
  package var hostRank: Int { rank % ranksPerHost }
  package var hostSize: Int { min(ranksPerHost, size - (rank - hostRank)) }
  private let ranksPerHost: Int
  private let board: Board
  private var channels = 0

  /// A single rank.
  package convenience init() { self.init(rank: 0, ranksPerHost: 1, board: Board(size: 1)) }

  private init(rank: Int, ranksPerHost: Int, board: Board) {
    self.rank = rank
    self.ranksPerHost = ranksPerHost
    self.board = board
  }

  /// Runs `body` as every rank of a world, each on a thread of its own, and returns what they return, in order of ranks.
  ///
  /// - Parameters:
  ///   - ranksPerHost: how many consecutive ranks say that they share a host; all, if it is nil.
  /// - Throws: the first error by rank. A rank that throws must do so on every rank, or the others wait for ever.
  package static func run<T>(
    ranks: Int, ranksPerHost: Int? = nil, _ body: @escaping (LocalCommunicator) throws -> T
  ) throws -> [T] {
    let board = Board(size: ranks)
    let tasks = (0..<ranks).map { rank in
      ThreadTask { try body(LocalCommunicator(rank: rank, ranksPerHost: ranksPerHost ?? ranks, board: board)) }
    }
    return try tasks.map { $0.join() }.map { try $0.get() }
  }

  package func barrier() { board.wait() }

  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    board.withPosted(UnsafeRawBufferPointer(bytes), by: rank) { posted in
      if rank != root, bytes.count > 0 { bytes.copyMemory(from: posted[root]) }
    }
  }

  package func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {
    guard size > 1 else { return }
    var result = [Double](repeating: 0, count: values.count)
    board.withPosted(UnsafeRawBufferPointer(values), by: rank) { posted in
      for (peer, bytes) in posted.enumerated() {
        for (index, value) in bytes.bindMemory(to: Double.self).enumerated() {
          result[index] = peer == 0 ? value : operation.apply(result[index], value)
        }
      }
    }
    _ = values.update(from: result)
    board.wait()
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Int64>) { sum(values, &+) }

  package func sum(_ values: UnsafeMutableBufferPointer<Float>) { sum(values, +) }

  private func sum<Element: Numeric>(
    _ values: UnsafeMutableBufferPointer<Element>, _ add: (Element, Element) -> Element
  ) {
    guard size > 1 else { return }
    var result = [Element](repeating: 0, count: values.count)
    board.withPosted(UnsafeRawBufferPointer(values), by: rank) { posted in
      for bytes in posted {
        for (index, value) in bytes.bindMemory(to: Element.self).enumerated() {
          result[index] = add(result[index], value)
        }
      }
    }
    _ = values.update(from: result)
    board.wait()
  }

  package func makeRingChannel() -> (any RingChannel)? {
    guard size > 1 else { return nil }
    defer { channels += 1 }
    return LocalRingChannel(rank: rank, size: size, ring: board.ring(channels))
  }

  package func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
  ) {
    board.withPosted(send, by: rank) { posted in
      if !receive.isEmpty {
        receive.copyMemory(from: UnsafeRawBufferPointer(rebasing: posted[source][..<receive.count]))
      }
    }
  }

  package func abort(code: Int32) -> Never { exit(code) }
}

extension ReductionOperator {
  fileprivate func apply(_ a: Double, _ b: Double) -> Double {
    switch self {
    case .sum: a + b
    case .minimum: min(a, b)
    case .maximum: max(a, b)
    }
  }
}

/// Where the ranks of one process post the addresses of their messages for each other.
///
/// `@unchecked Sendable`: `messages` has one slot for each rank, written by that rank before a barrier and read by the
/// others between that barrier and the next; `rings` is used under `monitor`.
private final class Board: @unchecked Sendable {
  let size: Int
  private var barrier = pthread_barrier_t()
  private let messages: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
  private let monitor = Monitor()
  private var rings: [LocalRing] = []

  init(size: Int) {
    self.size = size
    messages = .allocate(capacity: size)
    messages.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    pthread_barrier_init(&barrier, nil, UInt32(size))
  }

  deinit {
    pthread_barrier_destroy(&barrier)
    messages.deallocate()
  }

  /// A ring by its number, the same for all ranks that ask for it.
  func ring(_ number: Int) -> LocalRing {
    monitor.locked {
      while rings.count <= number { rings.append(LocalRing(size: size)) }
      return rings[number]
    }
  }

  func wait() { if size > 1 { pthread_barrier_wait(&barrier) } }

  /// Posts a message, reads those of all ranks, and returns when all have read.
  func withPosted(
    _ message: UnsafeRawBufferPointer, by rank: Int, _ read: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Void
  ) {
    messages[rank] = message
    wait()
    read(UnsafeBufferPointer(messages))
    wait()
  }
}

/// A thread that computes a value.
///
/// `@unchecked Sendable`: `result` is written by the thread and read after it was joined.
private final class ThreadTask<T>: @unchecked Sendable {
  private let body: () throws -> T
  private var result: Result<T, any Error>?
  private var thread = pthread_t()

  init(_ body: @escaping () throws -> T) {
    self.body = body
    let context = Unmanaged.passRetained(Callback { [unowned self] in result = Result { try self.body() } })
    pthread_create(
      &thread, nil,
      { context in
        Unmanaged<Callback>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
  }

  func join() -> Result<T, any Error> {
    pthread_join(thread, nil)
    guard let result else { preconditionFailure("a joined thread has a result") }
    return result
  }
}

/// A closure that a C function pointer can carry as its context.
private final class Callback {
  let run: () -> Void
  init(_ run: @escaping () -> Void) { self.run = run }
}
