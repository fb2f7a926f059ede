import AlignmentCore
import CAllocationCounter
import Optimization
import Testing

@Suite struct OptimizerAllocationTests {
  private func allocations(_ body: () -> Void) -> Int {
    allocation_counter_start()
    body()
    return allocation_counter_stop()
  }

  // A counter that counts nothing would pass every test.
  @Test func theCounterCounts() {
    var array = [1]
    #expect(allocations { array.reserveCapacity(1_000) } == 1 && array.count == 1)
  }

  @Test(arguments: Method.all)
  func anUpdateAllocatesNothing(method: Method) throws {
    let arena = Arena.twoGroups
    let shard = 5_000..<50_000
    let optimizer = try method.make(shard: [shard, 60_000..<70_000], runs: arena.runs, tensors: arena.tensors)
    let parameters = try buffer(pseudoRandom(arena.count, seed: 1))
    let gradients = try buffer(pseudoRandom(arena.count, seed: 2))
    let groups = OptimizerLawTests.groups
    for step in 0..<3 {
      let count = allocations {
        optimizer.update(parameters: parameters.view, gradients: gradients.view, step: step, groups: groups)
      }
      #expect(count == 0, "step \(step)")
    }
  }

  @Test func normsAllocateNothing() throws {
    let arena = Arena.twoGroups
    let norms = GradientNorms(Sharding(count: arena.count, ranks: 2), runs: arena.runs)
    let gradients = try buffer(pseudoRandom(arena.count, seed: 2))
    var table = [Double](repeating: 0, count: norms.tableCount)
    var sum = 0.0
    let count = allocations {
      table.withUnsafeMutableBufferPointer {
        norms.sumSquares(of: gradients.view, rank: 1, into: $0)
        for group in 0..<2 { sum += norms.norm(ofGroup: group, from: UnsafeBufferPointer($0)) }
      }
    }
    #expect(count == 0 && sum > 0)
  }
}
