import AlignmentCore
import Collectives
import Foundation
import Synchronization
import Testing

/// Steps of an exchange whose gradients and updates are made up.
@Suite struct StepExchangeTests {
  static let count = 7 * Sharding.blockSize + 77
  static let units = 5
  /// A table of 300 rows at the beginning of the arena, and the rest in the order of a backward pass.
  static let table = StepExchange.Table(start: 0, width: 100, capacity: 8)
  static let order = [
    0..<30_000, 90_000..<count, 89_000..<90_000, 60_000..<89_000, 30_001..<60_000, 30_000..<30_001,
  ]

  /// One rank of a training that adds ⅛ of each mean to its parameter.
  private final class Rank {
    let communicator: any Communicator
    let sharding: Sharding
    let parameters: FloatBuffer
    let gradients: FloatBuffer
    let unit: FloatBuffer
    let reduction: GradientReduction
    let exchange: StepExchange
    let indices = UnsafeMutablePointer<Int32>.allocate(capacity: 8)
    let rows: FloatBuffer
    let gathersGradients: Bool

    init(
      _ mode: CommunicationMode, _ reductionMode: GradientReduction.Mode = .exact, bucketBlocks: Int = 2,
      gathersGradients: Bool = false, over communicator: any Communicator, progress: @escaping @Sendable () -> Void = {}
    ) throws {
      self.communicator = communicator
      self.gathersGradients = gathersGradients
      sharding = Sharding(count: count, ranks: communicator.size, bucketBlocks: bucketBlocks)
      parameters = try buffer(pseudoRandom(count, seed: 1))
      gradients = try FloatBuffer(count: count, purpose: "test")
      unit = try FloatBuffer(count: count, purpose: "test")
      rows = try FloatBuffer(count: 800, purpose: "test")
      reduction = try GradientReduction(reductionMode, sharding, rank: communicator.rank)
      exchange = try StepExchange(
        mode, reduction, sharding,
        StepExchange.Arenas(parameters: parameters, gradients: gradients, gathersGradients: gathersGradients),
        order: order, table: table, over: communicator, progress: progress)
    }

    deinit { indices.deallocate() }

    /// A step whose units are dealt by `owner`; every rank works on its units as it pleases.
    func step(_ step: Int, owner: (Int) -> Int) throws {
      exchange.begin()
      reduction.begin(scale: 4, terms: 2 * units)
      let own = (0..<units).filter { owner($0) == communicator.rank }
      for index in own { try add(unit: index, step, isLast: index == own.last) }
      if own.isEmpty { exchange.release(0..<count) }
      try exchange.reduce()
      reduction.means(normalizer: 4, into: gradients.view)
      try exchange.gatherGradients()
      for index in gathersGradients ? [0..<count] : sharding.shard(ofRank: communicator.rank) { update(index) }
      try exchange.gatherParameters()
    }

    /// A step that all ranks give up, though the first has not come to its end.
    func giveUp() throws {
      exchange.begin()
      reduction.begin(scale: 4, terms: 2 * units)
      for range in StepExchangeTests.order.prefix(communicator.rank == 0 ? 2 : 6) {
        _ = reduction.add(unit.view, range)
        exchange.release(range)
      }
      try exchange.skip()
    }

    private func add(unit index: Int, _ step: Int, isLast: Bool) throws {
      let values = pseudoRandom(count + 800, seed: 100 * step + index + 1)
      for range in order {
        // As a model reads its parameters before it has gradients.
        exchange.wait(for: range)
        for i in range { unit.view.base[i] = values[i] }
        #expect(reduction.add(unit.view, range))
        if isLast { exchange.release(range) }
      }
      for i in 0..<800 { rows.view.base[i] = values[count + i] }
      for i in 0..<8 { indices[i] = Int32((37 * i + 11 * index + step) % 300) }
      let rows = TableRows(
        tableStart: 0, width: 100, indices: indices, count: index % 2 == 0 ? 8 : 3, base: rows.view.base)
      #expect(isLast ? exchange.add(rows) : reduction.add(rows))
    }

    private func update(_ range: Range<Int>) {
      for i in range { parameters.view.base[i] += 0.125 * gradients.view.base[i] }
    }

    func finish() throws -> [Float] {
      try exchange.settle()
      return (0..<count).map { parameters.view.base[$0] }
    }
  }

  private func train(
    _ mode: CommunicationMode, _ reduction: GradientReduction.Mode = .exact, ranks: Int, bucketBlocks: Int = 2,
    gathersGradients: Bool = false, owner: @escaping (Int) -> Int
  ) throws -> [[Float]] {
    try LocalCommunicator.run(ranks: ranks) { communicator in
      let rank = try Rank(
        mode, reduction, bucketBlocks: bucketBlocks, gathersGradients: gathersGradients, over: communicator)
      #expect(rank.exchange.isOverlapped == (mode == .overlapped && ranks > 1))
      for step in 0..<3 { try rank.step(step, owner: owner) }
      return try rank.finish()
    }
  }

  @Test(arguments: CommunicationMode.allCases, 1...5)
  func everyModeGivesTheSameBitsOnAnyNumberOfRanks(mode: CommunicationMode, ranks: Int) throws {
    let alone = try train(.ring, ranks: 1) { _ in 0 }[0]
    #expect(alone != pseudoRandom(Self.count, seed: 1) && alone.allSatisfy { $0.isFinite })
    for outcome in try train(mode, ranks: ranks, owner: { $0 % ranks }) { #expect(outcome == alone) }
    // One rank does all, so that others have no units.
    for outcome in try train(mode, ranks: ranks, bucketBlocks: 1, owner: { _ in ranks - 1 }) {
      #expect(outcome == alone)
    }
    for outcome in try train(mode, ranks: ranks, bucketBlocks: 64, gathersGradients: true, owner: { $0 * $0 % ranks }) {
      #expect(outcome == alone)
    }
  }

  @Test(arguments: CommunicationMode.allCases, [2, 3])
  func fastSumsAreTheSameFromRunToRunAndOnEveryRank(mode: CommunicationMode, ranks: Int) throws {
    let first = try train(mode, .fast, ranks: ranks) { $0 % ranks }
    for outcome in try first + train(mode, .fast, ranks: ranks, owner: { $0 % ranks }) { #expect(outcome == first[0]) }
    let exact = try train(mode, ranks: ranks) { $0 % ranks }[0]
    // Three steps of sums of five terms in Float32.
    for (a, b) in zip(first[0], exact) { try #require(abs(a - b) < 1e-5) }
  }

  @Test(arguments: CommunicationMode.allCases, [1, 3])
  func aStepThatIsGivenUpLeavesNothing(mode: CommunicationMode, ranks: Int) throws {
    let alone = try train(.ring, ranks: 1) { _ in 0 }[0]
    let outcomes = try LocalCommunicator.run(ranks: ranks) { communicator in
      let rank = try Rank(mode, over: communicator)
      for step in 0..<3 {
        try rank.giveUp()
        try rank.step(step) { $0 % ranks }
      }
      return try rank.finish()
    }
    for outcome in outcomes { #expect(outcome == alone) }
  }

  @Test func rowsThatCannotBeAddedAreReported() throws {
    let sound = try LocalCommunicator.run(ranks: 2) { communicator in
      let rank = try Rank(.overlapped, over: communicator)
      rank.exchange.begin()
      rank.reduction.begin(scale: 1, terms: 1)
      let answers = [Float(1), .nan, .infinity, 1025].map { value in
        rank.rows.view.base[77] = value
        rank.indices[0] = 5
        return rank.exchange.add(
          TableRows(tableStart: 0, width: 100, indices: rank.indices, count: 1, base: rank.rows.view.base))
      }
      return answers
    }
    for answers in sound { #expect(answers == [true, false, false, false]) }
  }

  // MARK: Time

  @Test func theThreadTellsOfEveryBucketAndOfItsTime() throws {
    let buckets = Atomic<Int>(0)
    let seconds = try LocalCommunicator.run(ranks: 2) { communicator in
      let rank = try Rank(.overlapped, over: communicator) { buckets.add(1, ordering: .relaxed) }
      try rank.step(0) { $0 % 2 }
      _ = try rank.finish()
      return rank.exchange.communicationSeconds
    }
    // Four buckets of sums, the rows, four buckets of parameters, on two ranks.
    #expect(buckets.load(ordering: .relaxed) == 18)
    #expect(seconds.allSatisfy { $0 > 0 })
  }

  // MARK: Faults

  /// A ring that breaks at one of its messages.
  private final class BreakingChannel: RingChannel {
    struct Break: Error {}
    private let channel: any RingChannel
    private var left: Int
    var rank: Int { channel.rank }
    var size: Int { channel.size }

    init(_ channel: any RingChannel, after messages: Int) {
      self.channel = channel
      left = messages
    }

    func start(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) throws {
      left -= 1
      guard left >= 0 else { throw Break() }
      try channel.start(send: send, receive: receive)
    }

    func isDone() throws -> Bool { try channel.isDone() }
  }

  private final class BreakingCommunicator: Communicator {
    private let local: LocalCommunicator
    private let messages: Int?
    init(_ local: LocalCommunicator, after messages: Int?) { (self.local, self.messages) = (local, messages) }
    var rank: Int { local.rank }
    var size: Int { local.size }
    var hostRank: Int { local.rank }
    var hostSize: Int { local.size }
    func barrier() { local.barrier() }
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) { local.broadcast(bytes, from: root) }
    func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {
      local.allReduce(operation, values)
    }
    func sum(_ values: UnsafeMutableBufferPointer<Int64>) { local.sum(values) }
    func sum(_ values: UnsafeMutableBufferPointer<Float>) { local.sum(values) }
    func exchange(
      send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
    ) { local.exchange(send: send, to: destination, receive: receive, from: source) }
    func makeRingChannel() -> (any RingChannel)? {
      messages.flatMap { messages in local.makeRingChannel().map { BreakingChannel($0, after: messages) } }
    }
    func abort(code: Int32) -> Never { local.abort(code: code) }
  }

  // Four buckets and three messages of rows, then four buckets: the first step's sums, its rows, its parameters, and the
  // sums of the second.
  @Test(arguments: [0, 2, 5, 8, 12])
  func aFaultOfTheThreadEndsTheStepsOfItsRank(messages: Int) throws {
    let outcomes = try LocalCommunicator.run(ranks: 2) { local in
      let rank = try Rank(.overlapped, over: BreakingCommunicator(local, after: messages))
      do {
        for step in 0..<2 { try rank.step(step) { $0 % 2 } }
        return "nothing"
      } catch { return "\(type(of: error))" }
    }
    #expect(outcomes == ["Break", "Break"])
  }

  // A rank whose peers have gone must be able to end.
  @Test func anExchangeThatIsAbandonedEnds() throws {
    let outcome = try LocalCommunicator.run(ranks: 2) { communicator in
      let rank = try Rank(.overlapped, over: communicator)
      rank.exchange.begin()
      rank.reduction.begin(scale: 4, terms: 10)
      if communicator.rank == 0 { rank.exchange.release(0..<Self.count) }
      return rank.exchange.isOverlapped
    }
    #expect(outcome == [true, true])
  }

  @Test func whereOneThreadOnlyMayCommunicateTheRingDoes() throws {
    let alone = try train(.ring, ranks: 1) { _ in 0 }[0]
    let outcomes = try LocalCommunicator.run(ranks: 2) { local in
      let rank = try Rank(.overlapped, over: BreakingCommunicator(local, after: nil))
      #expect(!rank.exchange.isOverlapped)
      for step in 0..<3 { try rank.step(step) { $0 % 2 } }
      return try rank.finish()
    }
    for outcome in outcomes { #expect(outcome == alone) }
  }
}
