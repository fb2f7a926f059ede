import AlignmentCore
import Checkpoints

/// What one rank writes into a checkpoint: its shard of the parameters, of the optimiser's state, and of a reference that
/// moves.
struct SnapshotImage {
  typealias Tensor = (name: String, view: FloatView)

  static let parameterName = "parameters"
  static let referenceName = "reference"

  let tensors: [Tensor]
  /// Blocks of a bucket of the division that shards are of.
  let bucketBlocks: Int

  /// The live arenas of a trainer; what is true of all ranks is rank 0's to write.
  init(of trainer: Trainer, rank: Int) {
    bucketBlocks = trainer.sharding.bucketBlocks
    let range = trainer.sharding.range(ofRank: rank)
    let replicated = rank == 0 ? trainer.optimizer.replicatedState : []
    let reference = trainer.movingReference.map { (name: Self.referenceName, view: $0[range]) }
    tensors =
      [(name: Self.parameterName, view: trainer.weights.trained.view[range])] + trainer.optimizer.shardedState
      + replicated + (reference.map { [$0] } ?? [])
  }

  private init(_ tensors: [Tensor], bucketBlocks: Int) { (self.tensors, self.bucketBlocks) = (tensors, bucketBlocks) }

  /// Numbers in all tensors together.
  var count: Int { tensors.reduce(0) { $0 + $1.view.count } }

  /// Copies everything into a buffer of ``count`` numbers, and gives the image that lies there.
  func copied(into buffer: FloatBuffer) -> SnapshotImage {
    precondition(buffer.count >= count, "\(count) numbers into a buffer of \(buffer.count)")
    var start = 0
    return SnapshotImage(
      tensors.map { name, view in
        let target = buffer.view[start..<start + view.count]
        target.base.update(from: view.base, count: view.count)
        start += view.count
        return (name, target)
      }, bucketBlocks: bucketBlocks)
  }

  /// Writes the shard into a staging directory, durably; the bytes are the same for a live image and its copy.
  ///
  /// - Throws: ``Fault`` of the file system.
  func write(_ name: String, staging: String, store: SnapshotStore) throws -> ShardFile {
    try store.writeShard(
      staging: staging, name: name,
      tensors: tensors.map { name, view in
        TensorSource(
          name: name, shape: [view.count], values: UnsafeBufferPointer(start: view.base, count: view.count))
      })
  }
}

extension Trainer {
  /// A live reference that has left its beginning; it has the layout of the trained parameters.
  var movingReference: FloatView? { referenceMoves ? weights.reference?.view : nil }

  /// Bytes of a checkpoint, over all ranks, without headers.
  var checkpointBytes: Int {
    let vectors = 1 + optimizer.shardedState.count + (movingReference == nil ? 0 : 1)
    let replicated = optimizer.replicatedState.reduce(0) { $0 + $1.view.count }
    return (vectors * sharding.count + replicated) * MemoryLayout<Float>.stride
  }
}
