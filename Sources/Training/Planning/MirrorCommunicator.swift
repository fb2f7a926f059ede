import AlignmentCore
import Collectives

#if canImport(Glibc)
  import Glibc
#endif

/// The first of several ranks that are only thought of: whatever it does, the others are taken to do alike. For plans, which
/// build what a rank holds but exchange nothing.
final class MirrorCommunicator: Communicator {
  let rank = 0
  let size: Int
  let hostRank = 0
  let hostSize: Int

  init(hosts: Int, ranksPerHost: Int) {
    size = hosts * ranksPerHost
    hostSize = ranksPerHost
  }

  func barrier() {}
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {}

  func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {
    guard operation == .sum else { return }
    for index in values.indices { values[index] *= Double(size) }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Int64>) {
    for index in values.indices { values[index] *= Int64(size) }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) {
    for index in values.indices { values[index] *= Float(size) }
  }

  func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
  ) { receive.copyMemory(from: UnsafeRawBufferPointer(rebasing: send.prefix(receive.count))) }

  func abort(code: Int32) -> Never { exit(code) }
}
