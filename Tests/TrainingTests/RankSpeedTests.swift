import AlignmentCore
import Collectives
import Foundation
import Testing
import Training

/// Units go to ranks that are quick, and nothing but the clock notices.
@Suite struct RankSpeedTests {
  /// Speeds after some steps in which every rank had a unit of cost.
  private func speeds(_ seconds: [Double], steps: Int = 20) -> RankSpeeds {
    var speeds = RankSpeeds(ranks: seconds.count)
    for _ in 0..<steps { speeds.observe { Computation(cost: 2, seconds: 2 * seconds[$0]) } }
    return speeds
  }

  @Test func nothingIsKnownBeforeEveryRankHasComputed() {
    var speeds = RankSpeeds(ranks: 2)
    #expect(speeds.rates == [1, 1] && speeds.slowness.isEmpty)
    speeds.observe { $0 == 0 ? Computation(cost: 1, seconds: 3) : Computation() }
    #expect(speeds.rates == [1, 1] && speeds.slowness.isEmpty)
    speeds.observe { _ in Computation(cost: 1, seconds: 3) }
    #expect(speeds.rates == [3, 3] && speeds.slowness == [1, 1])
  }

  @Test func slownessIsRelativeToTheMedian() {
    #expect(speeds([0.5, 0.25]).slowness == [2, 1])
    #expect(speeds([0.5, 0.5, 2, 0.25]).slowness == [1, 1, 4, 0.5])
  }

  @Test func oneStrangeStepMovesAnEstimateAThird() {
    var speeds = speeds([1, 1])
    speeds.observe { Computation(cost: 1, seconds: $0 == 0 ? 11 : 1) }
    #expect(abs(speeds.rates[0] - 4) < 1e-12 && speeds.rates[1] == 1)
  }

  // Else a rank that was slow once would never be asked again.
  @Test func aRankWithoutUnitsIsTriedAgain() {
    var speeds = speeds([1, 9])
    for _ in 0..<60 { speeds.observe { $0 == 0 ? Computation(cost: 1, seconds: 1) : Computation() } }
    #expect(speeds.rates[1] < 1.1)
  }

  // MARK: Remarks

  private func remarks(_ slowness: [[Double]], seconds: Double = 1, sharesWork: Bool = true) -> [[String]] {
    var watch = StragglerWatch(hosts: ["a", "b"], sharesWork: sharesWork)
    return slowness.map { watch.remarks(on: $0, seconds: seconds) }
  }

  @Test func aSlowRankIsNamedOnceWithItsHost() {
    let told = remarks(Array(repeating: [1, 2], count: 20)).enumerated().filter { !$1.isEmpty }
    #expect(told.map(\.offset) == [4])
    #expect(
      told.flatMap(\.element) == [
        "rank 1 on b computes 2.0 times as long as the median of all ranks; it is dealt fewer units"
      ])
    #expect(remarks(Array(repeating: [1, 1.4], count: 20)).joined().isEmpty)
    #expect(remarks(Array(repeating: [1, 9], count: 20), seconds: 0.01).joined().isEmpty)
    #expect(
      remarks(Array(repeating: [1, 9], count: 4) + [[1, 1]] + Array(repeating: [1, 9], count: 4)).joined().isEmpty)
    #expect(remarks([[]]).joined().isEmpty)
    let alike = remarks(Array(repeating: [1, 2], count: 20), sharesWork: false).joined()
    #expect(alike.count == 1 && alike.first?.contains("reduction=exact") == true)
  }

  @Test func whatGetsMuchWorseOrRecoversIsSaidAgain() {
    let course =
      Array(repeating: 2.0, count: 5) + Array(repeating: 2.9, count: 5) + Array(repeating: 3.1, count: 5)
      + Array(repeating: 1.3, count: 5) + Array(repeating: 1.0, count: 9) + Array(repeating: 2.0, count: 5)
    let told = remarks(course.map { [1, $0] }).enumerated().filter { !$1.isEmpty }
    #expect(told.map(\.offset) == [4, 10, 24, 33])
    #expect(told[1].element[0].contains("slower: 3.1") && told[2].element[0].contains("as fast as the others"))
  }

  // MARK: A slow rank

  /// A rank that needs three times as long for the same, as its clock tells; its own work goes on as before.
  private final class SlowCommunicator: Communicator {
    private let local: LocalCommunicator
    private let slowRank: Int
    init(_ local: LocalCommunicator, slowRank: Int) { (self.local, self.slowRank) = (local, slowRank) }
    var rank: Int { local.rank }
    var size: Int { local.size }
    var hostRank: Int { local.rank }
    var hostSize: Int { local.size }
    func barrier() { local.barrier() }
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) { local.broadcast(bytes, from: root) }
    func sum(_ values: UnsafeMutableBufferPointer<Int64>) { local.sum(values) }
    func sum(_ values: UnsafeMutableBufferPointer<Float>) { local.sum(values) }
    func exchange(
      send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
    ) { local.exchange(send: send, to: destination, receive: receive, from: source) }
    func makeRingChannel() -> (any RingChannel)? { local.makeRingChannel() }
    func abort(code: Int32) -> Never { local.abort(code: code) }

    /// Tables end with cost and seconds of each rank: of made-up seconds, three for each unit of cost on the slow rank
    /// and one on the others. A unit costs more than 10⁴ operations, and no other sum has numbers of that size.
    func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {
      let own = values.count - 2 * size + 2 * rank
      if operation == .sum, own >= 0, values[own] > 1e4 { values[own + 1] = values[own] * (rank == slowRank ? 3 : 1) }
      local.allReduce(operation, values)
    }
  }

  @Test(arguments: ["exact", "fast"])
  func aSlowRankTakesFewerUnitsAndTheBitsStay(reduction: String) throws {
    let setup = try TrainerSetup("llama-gqa", ["batch.unit_tokens=40", "reduction=\(reduction)"])
    let batch = TrainerSetup.batches[0]
    /// Parameters after two steps, and the units that the rank has in a third.
    func run(_ communicator: any Communicator) throws -> (parameters: [Float], costs: Double) {
      let (trainer, task) = (try setup.trainer(over: communicator), try setup.task())
      for step in 0..<2 { _ = try trainer.step(step, trainer.plan(batch, of: task), of: task) }
      let units = try trainer.plan(batch, of: task).units
      return (trainer.weights.trained.values, units.ownUnits.reduce(0) { $0 + units.plan.costs[$1] })
    }
    let even = try LocalCommunicator.run(ranks: 2) { try run($0) }
    let uneven = try LocalCommunicator.run(ranks: 2) { try run(SlowCommunicator($0, slowRank: 1)) }
    for (a, b) in zip(even, uneven) { #expect(a.parameters == b.parameters) }
    let share = uneven[1].costs / (uneven[0].costs + uneven[1].costs)
    if reduction == "exact" {
      #expect(share < 0.35, "the slow rank has \(share) of the work")
    } else {
      #expect(abs(share - 0.5) < 0.15, "the slow rank has \(share) of the work")
    }
  }

  @Test func unitsGoToWhoeverIsDoneFirst() throws {
    let setup = try TrainerSetup("llama-gqa", ["batch.unit_tokens=40"])
    let plan = try setup.trainer().plan(TrainerSetup.batches[0], of: setup.task()).units.plan
    #expect(plan.assignment(rates: [2, 2, 2]) == plan.assignment(ranks: 3))
    let assignment = plan.assignment(rates: [1, 1e9])
    #expect(assignment[0].sorted() == Array(plan.units.indices) && assignment[1].isEmpty)
    #expect(plan.assignment(rates: [1, 2, 5]).joined().sorted() == Array(plan.units.indices))
  }
}
