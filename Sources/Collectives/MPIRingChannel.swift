import AlignmentCore
import CMPI

/// A ring of ranks with a communicator of its own, so that its messages meet no others.
///
/// Its thread calls MPI while the main thread does: `MPI_THREAD_MULTIPLE`.
final class MPIRingChannel: RingChannel {
  let rank: Int
  let size: Int
  private var communicator: MPI_Comm?
  private let requests = Requests()

  /// Every rank must come here.
  init(duplicating world: MPI_Comm, rank: Int, size: Int) throws {
    (self.rank, self.size) = (rank, size)
    try check(MPI_Comm_dup(world, &communicator), "MPI_Comm_dup")
    try check(adalign_set_errors_return(communicator), "MPI_Comm_set_errhandler")
  }

  deinit {
    var isFinalized: Int32 = 0
    MPI_Finalized(&isFinalized)
    if isFinalized == 0 { MPI_Comm_free(&communicator) }
  }

  func start(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) throws {
    precondition(max(send.count, receive.count) <= MPICommunicator.largestMessage, "message is too long for MPI")
    try check(
      MPI_Irecv(
        receive.baseAddress, Int32(receive.count), adalign_type_byte(), Int32((rank + size - 1) % size), 0,
        communicator, requests.first), "MPI_Irecv")
    try check(
      MPI_Isend(
        send.baseAddress, Int32(send.count), adalign_type_byte(), Int32((rank + 1) % size), 0, communicator,
        requests.second), "MPI_Isend")
  }

  func isDone() throws -> Bool { try requests.areDone() }
}
