import AlignmentCore
import Collectives
import Foundation
import Testing
import Training

/// Weights that ranks of a host share.
@Suite struct FrozenWeightsTests {
  /// Two pages and a bit.
  private static let count = 3000

  private static func load(_ weights: FrozenWeights) throws -> Int {
    var loads = 0
    try weights.fill { view in
      loads += 1
      for i in 0..<view.count { view.base[i] = Float(i) }
    }
    return loads
  }

  private static func isRight(_ weights: FrozenWeights) -> Bool {
    let view = weights.buffer.view
    return view.count == count && (0..<view.count).allSatisfy { view.base[$0] == Float($0) }
  }

  @Test("one rank of a host loads, all can read")
  func loadedOnce() throws {
    let found = try LocalCommunicator.run(ranks: 3) { communicator in
      let weights = try FrozenWeights(count: Self.count, purpose: "test", over: communicator)
      let loads = try Self.load(weights)
      return (loads, Self.isRight(weights))
    }
    #expect(found.map(\.0) == [1, 0, 0] && found.allSatisfy(\.1))
  }

  @Test("a rank that nobody shares with has its own")
  func ownCopies() throws {
    let found = try LocalCommunicator.run(ranks: 2) { communicator in
      let weights = try FrozenWeights(count: Self.count, purpose: "test", over: Followers(communicator))
      let loads = try Self.load(weights)
      return (loads, Self.isRight(weights))
    }
    #expect(found.map(\.0) == [1, 1] && found.allSatisfy(\.1))
  }

  @Test("what one rank cannot load ends all")
  func failure() throws {
    let faults = try LocalCommunicator.run(ranks: 2) { communicator in
      let weights = try FrozenWeights(count: Self.count, purpose: "test", over: communicator)
      do {
        try weights.fill { _ in throw Fault(.data, "no such tensor", at: "model") }
        return ""
      } catch {
        return "\(error)"
      }
    }
    #expect(faults.allSatisfy { $0.contains("no such tensor") })
  }

  @Test("a mapping is found by its ticket, by nothing else, and not when it is closed")
  func tickets() throws {
    let mapping = try SharedMapping(bytes: 1 << 16, purpose: "test")
    let ticket = mapping.ticket
    mapping.base.storeBytes(of: 7, toByteOffset: 4096, as: Int.self)
    let other = try SharedMapping(ticket: ticket, bytes: 1 << 16, purpose: "test")
    #expect(other.base.load(fromByteOffset: 4096, as: Int.self) == 7)
    let strange = try SharedMapping(bytes: 1 << 16, purpose: "test")
    let fields = ticket.split(separator: " ")
    let mixed = ([fields[0], strange.ticket.split(separator: " ")[1]] + fields[2...]).joined(separator: " ")
    for wrong in ["", "1 2 3", "99999999 3 1 1", mixed] {
      #expect(throws: Fault.self) { try SharedMapping(ticket: wrong, bytes: 1 << 16, purpose: "test") }
    }
    #expect(throws: Fault.self) { try SharedMapping(ticket: ticket, bytes: 1 << 17, purpose: "test") }
    mapping.closeForOthers()
    #expect(throws: Fault.self) { try SharedMapping(ticket: ticket, bytes: 1 << 16, purpose: "test") }
  }
}

/// Ranks of which none thinks itself the first of its host.
private final class Followers: Communicator {
  private let inner: LocalCommunicator
  init(_ inner: LocalCommunicator) { self.inner = inner }

  var rank: Int { inner.rank }
  var size: Int { inner.size }
  var hostRank: Int { 1 }
  var hostSize: Int { 2 }
  func barrier() { inner.barrier() }
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) { inner.broadcast(bytes, from: root) }
  func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {
    inner.allReduce(operation, values)
  }
  func sum(_ values: UnsafeMutableBufferPointer<Int64>) { inner.sum(values) }
  func sum(_ values: UnsafeMutableBufferPointer<Float>) { inner.sum(values) }
  func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
  ) { inner.exchange(send: send, to: destination, receive: receive, from: source) }
  func abort(code: Int32) -> Never { inner.abort(code: code) }
}
