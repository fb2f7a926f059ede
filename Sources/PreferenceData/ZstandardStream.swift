import AlignmentCore
import CZstd

/// The contents of a Zstandard file, which may have several frames.
final class ZstandardStream: ByteStream {
  private let input: InputFile
  private let state: OpaquePointer
  private var isInsideFrame = false

  /// Takes a file positioned at Zstandard data.
  init(input: InputFile) throws {
    guard let state = ZSTD_createDStream() else {
      throw Fault(.resource, "zstd cannot start", at: input.path)
    }
    // Files made with --long=31 need the largest window; memory is taken only as a file asks for it.
    ZSTD_DCtx_setParameter(state, ZSTD_d_windowLogMax, 31)
    self.input = input
    self.state = state
  }

  deinit { ZSTD_freeDStream(state) }

  /// Decompresses some more.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      if input.pending.isEmpty, try !input.refill() { return try drain(into: buffer) }
      let count = try decompress(into: buffer)
      if count > 0 { return count }
    }
  }

  // At the end of the file the decoder may still hold output; if it wants input instead, the file is truncated.
  private func drain(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard isInsideFrame else { return 0 }
    let count = try decompress(into: buffer)
    guard count > 0 || !isInsideFrame else { throw fault("the zstd file is truncated") }
    return count
  }

  private func decompress(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let pending = input.pending
    var source = ZSTD_inBuffer(src: pending.baseAddress, size: pending.count, pos: 0)
    var target = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
    let code = ZSTD_decompressStream(state, &target, &source)
    guard ZSTD_isError(code) == 0 else {
      throw fault("the zstd file is damaged (\(String(cString: ZSTD_getErrorName(code))))")
    }
    input.consume(source.pos)
    isInsideFrame = code != 0
    return target.pos
  }

  private func fault(_ what: String) -> Fault {
    Fault(.data, what, at: input.path, hint: "copy or download it again")
  }
}
