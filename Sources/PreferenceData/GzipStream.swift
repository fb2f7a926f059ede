import AlignmentCore
import CZlib

/// The contents of a gzip file, which may have several members (`pigz`, `bgzip`, `cat a.gz b.gz`).
final class GzipStream: ByteStream {
  private let input: InputFile
  private let state = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  private var isInsideMember = true

  /// Takes a file positioned at gzip data.
  init(input: InputFile) throws {
    self.input = input
    state.initialize(to: z_stream())
    // 15 is the largest window, 16 asks for the gzip format.
    let code = inflateInit2_(state, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard code == Z_OK else {
      throw Fault(.resource, "zlib cannot start (code \(code))", at: input.path)
    }
  }

  deinit {
    inflateEnd(state)
    state.deallocate()
  }

  /// Decompresses some more.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      if isInsideMember, case let count = try inflate(into: buffer), count > 0 { return count }
      if input.pending.isEmpty, try !input.refill() {
        guard !isInsideMember else { throw fault("the gzip file is truncated") }
        return 0
      }
      if !isInsideMember { try beginMember() }
    }
  }

  // Zero bytes after a member are padding, as gzip itself sees it.
  private func beginMember() throws {
    input.consume(input.pending.prefix { $0 == 0 }.count)
    guard !input.pending.isEmpty else { return }
    inflateReset(state)
    isInsideMember = true
  }

  private func inflate(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let pending = input.pending
    state.pointee.next_in = UnsafeMutablePointer(mutating: pending.assumingMemoryBound(to: UInt8.self).baseAddress)
    state.pointee.avail_in = UInt32(pending.count)
    state.pointee.next_out = buffer.assumingMemoryBound(to: UInt8.self).baseAddress
    state.pointee.avail_out = UInt32(buffer.count)
    let code = CZlib.inflate(state, Z_NO_FLUSH)
    input.consume(pending.count - Int(state.pointee.avail_in))
    switch code {
    case Z_STREAM_END: isInsideMember = false
    case Z_OK: break
    case Z_BUF_ERROR where pending.isEmpty: break
    default:
      throw fault("the gzip file is damaged (\(state.pointee.msg.map { String(cString: $0) } ?? "code \(code)"))")
    }
    return buffer.count - Int(state.pointee.avail_out)
  }

  private func fault(_ what: String) -> Fault {
    Fault(.data, what, at: input.path, hint: "copy or download it again")
  }
}
