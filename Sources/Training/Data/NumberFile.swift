import Checkpoints

/// A file of Float64 numbers behind the digest of their bytes.
enum NumberFile {
  private static let digestBytes = 32

  /// The bytes of the numbers, or nil if the file is missing, damaged, or of another count.
  static func read(_ path: String, count: Int? = nil) -> [UInt8]? {
    guard let bytes = try? FileSystem.readWhole(path), bytes.count >= digestBytes else { return nil }
    guard count.map({ bytes.count == digestBytes + 8 * $0 }) ?? (bytes.count % 8 == 0) else { return nil }
    let values = Array(bytes[digestBytes...])
    return SHA256.digest(of: values).bytes == Array(bytes[..<digestBytes]) ? values : nil
  }

  /// Makes the file appear whole.
  static func write(_ values: [Double], to path: String) throws {
    let bytes = values.withUnsafeBytes { Array($0) }
    try AtomicFile.write(path, SHA256.digest(of: bytes).bytes + bytes)
  }

  static func numbers(_ bytes: [UInt8]) -> [Double] {
    bytes.withUnsafeBytes { buffer in
      (0..<buffer.count / 8).map { buffer.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self) }
    }
  }
}
