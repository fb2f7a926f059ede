#if canImport(Glibc)
  import Glibc
#endif

/// A flat arena of Float32, 64-byte aligned, zeroed, allocated once and owned by one object.
package final class FloatBuffer {
  private let owner: AnyObject
  private let base: UnsafeMutablePointer<Float>
  package let count: Int

  /// - Parameters:
  ///   - isShared: whether other ranks of the host will have the same memory, which only a ``MemoryLedger`` wants to know.
  /// - Throws: ``Fault`` of kind `resource` that names the bytes wanted.
  package init(count: Int, purpose: String, isShared: Bool = false) throws {
    let storage = try AlignedStorage(
      bytes: count * MemoryLayout<Float>.stride, purpose: purpose, isShared: isShared)
    (owner, base) = (storage, storage.base.assumingMemoryBound(to: Float.self))
    self.count = count
  }

  /// An arena that is a mapping; it lives as long as the buffer.
  package init(count: Int, in mapping: SharedMapping, purpose: String) {
    precondition(count * MemoryLayout<Float>.stride <= mapping.bytes, "\(count) floats in \(mapping.bytes) bytes")
    MemoryLedger.note(.init(purpose: purpose, bytes: mapping.bytes, isShared: true))
    (owner, base) = (mapping, mapping.base.assumingMemoryBound(to: Float.self))
    self.count = count
  }

  /// The whole arena; valid as long as the buffer lives.
  package var view: FloatView { FloatView(base: base, count: count) }
}

/// A flat arena of Int64, 64-byte aligned, zeroed: the exact sums.
package final class IntegerBuffer {
  private let storage: AlignedStorage
  package let count: Int

  /// - Throws: ``Fault`` of kind `resource` that names the bytes wanted.
  package init(count: Int, purpose: String) throws {
    storage = try AlignedStorage(bytes: count * MemoryLayout<Int64>.stride, purpose: purpose)
    self.count = count
  }

  /// The whole arena; valid as long as the buffer lives.
  package var base: UnsafeMutablePointer<Int64> { storage.base.assumingMemoryBound(to: Int64.self) }
}

/// A borrowed run of Float32 inside an arena: cut per step, passed down, never stored beyond its owner.
package struct FloatView {
  package let base: UnsafeMutablePointer<Float>
  package let count: Int

  package init(base: UnsafeMutablePointer<Float>, count: Int) {
    self.base = base
    self.count = count
  }

  /// The part of the view that a range names; the range is checked here, once.
  package subscript(range: Range<Int>) -> FloatView {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range \(range) exceeds view of \(count)")
    return FloatView(base: base + range.lowerBound, count: range.count)
  }
}

/// Zeroed memory of its own mapping, 64-byte aligned, so that it returns to the system when freed.
private final class AlignedStorage {
  let base: UnsafeMutableRawPointer
  private let bytes: Int

  init(bytes: Int, purpose: String, isShared: Bool = false) throws {
    self.bytes = max(bytes, 64)
    MemoryLedger.note(.init(purpose: purpose, bytes: self.bytes, isShared: isShared))
    let isReserved = MemoryLedger.isReserving
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | (isReserved ? MAP_NORESERVE : 0)
    let mapping = mmap(nil, self.bytes, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let mapping, mapping != MAP_FAILED else {
      throw Fault(
        .resource, "cannot allocate \(self.bytes >> 20) MiB for \(purpose)",
        hint: "use a smaller batch.unit_tokens or model, or fewer ranks on this host")
    }
    base = mapping
    guard !isReserved else { return }
    madvise(mapping, self.bytes, MADV_HUGEPAGE)
    // Touches every page now: page faults in the first steps would be slow. Older kernels refuse, which costs only time.
    madvise(mapping, self.bytes, MADV_POPULATE_WRITE)
  }

  deinit { munmap(base, bytes) }
}
