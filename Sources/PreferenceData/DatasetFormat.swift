import AlignmentCore
import Checkpoints

/// The layout of a file of tokenised examples: a header, then sections aligned to 64 bytes, little-endian.
///
///     0    magic (8)  version u32  zero u32  content digest (32)  report digest (32)  file size u64  zero (40)
///     128  nine counts, u64 each, zero up to 256
///     256  tokens i32 [T]: per example prompt, completion 1, completion 2 …
///          per example:    first token i64 [n+1], first completion i64 [n+1], prompt length i32, weight f64, q f64,
///                          margin f64, domain i32, generator i32 (−1 for none), source row i64
///          per completion: first token i64, length i32, source log-prob f64, score f64 (NaN for none), role u8
///          strings:        ends i64 [domains + generators], UTF-8 bytes
///     last report, JSON, up to the end of the file
///
/// The content digest is SHA-256 over the bytes from 256 to the report and then 128 ..< 256; it does not depend on
/// where the rows came from. Everything before 128 is checked exactly, so that any changed byte is found.
enum DatasetFormat {
  /// How a file begins.
  static let magic = Array("ADALNTOK".utf8)
  /// The version this program reads and writes.
  static let version: UInt32 = 2
  /// Where the counts are.
  static let countsOffset = 128
  /// Where the first section is.
  static let headerSize = 256

  /// The next multiple of 64.
  static func aligned(_ offset: Int) -> Int { (offset + 63) & ~63 }

  /// The first 128 bytes.
  static func prefix(content: SHA256.Digest, report: SHA256.Digest, fileSize: Int) -> [UInt8] {
    var bytes = magic + littleEndian(version) + littleEndian(UInt32(0)) + content.bytes + report.bytes
    bytes += littleEndian(UInt64(fileSize))
    return bytes + [UInt8](repeating: 0, count: countsOffset - bytes.count)
  }

  /// The bytes of an integer.
  static func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
  }

  /// The prefix that a whole file ought to have.
  static func expectedPrefix(of file: UnsafeRawBufferPointer, reportOffset: Int) -> [UInt8] {
    let content = SHA256()
    content.update(UnsafeRawBufferPointer(rebasing: file[headerSize..<reportOffset]))
    content.update(UnsafeRawBufferPointer(rebasing: file[countsOffset..<headerSize]))
    let report = SHA256()
    report.update(UnsafeRawBufferPointer(rebasing: file[reportOffset...]))
    return prefix(content: content.finish(), report: report.finish(), fileSize: file.count)
  }
}

/// The numbers from which the layout of a file follows.
struct DatasetCounts: Equatable {
  /// Number of examples n.
  var examples = 0
  /// Number of completions m.
  var completions = 0
  /// Number of tokens T.
  var tokens = 0
  /// Number of domain names, which come first among the strings.
  var domains = 0
  /// Number of generator names.
  var generators = 0
  /// Bytes of all names.
  var stringBytes = 0
  /// Most tokens of one example.
  var maximumGroupTokens = 0
  /// Most tokens of one prompt with one completion.
  var maximumSequenceTokens = 0
  /// The largest id.
  var maximumToken = 0

  private static let fields: [WritableKeyPath<DatasetCounts, Int> & Sendable] = [
    \.examples, \.completions, \.tokens, \.domains, \.generators, \.stringBytes, \.maximumGroupTokens,
    \.maximumSequenceTokens, \.maximumToken,
  ]

  /// Bytes 128 ..< 256 of the file.
  var encoded: [UInt8] {
    let bytes = Self.fields.flatMap { DatasetFormat.littleEndian(UInt64(self[keyPath: $0])) }
    return bytes + [UInt8](repeating: 0, count: DatasetFormat.headerSize - DatasetFormat.countsOffset - bytes.count)
  }

  /// All zero.
  init() {}

  /// Reads the counts; nil if one is so large that the file cannot hold it.
  init?(file: MappedFile) {
    for (index, field) in Self.fields.enumerated() {
      let value = file.integer(UInt64.self, at: DatasetFormat.countsOffset + 8 * index)
      let limit = field == \.maximumToken ? UInt64(Int32.max) : UInt64(file.bytes.count)
      guard value <= limit else { return nil }
      self[keyPath: field] = Int(value)
    }
  }
}

/// Where each section begins; a pure function of the counts.
struct DatasetLayout {
  /// Offset of `DatasetColumns.tokens`.
  let tokens: Int
  /// Offset of `DatasetColumns.firstToken`.
  let firstToken: Int
  /// Offset of `DatasetColumns.firstCompletion`.
  let firstCompletion: Int
  /// Offset of `DatasetColumns.promptLength`.
  let promptLength: Int
  /// Offset of `DatasetColumns.weight`.
  let weight: Int
  /// Offset of `DatasetColumns.q`.
  let q: Int
  /// Offset of `DatasetColumns.margin`.
  let margin: Int
  /// Offset of `DatasetColumns.domain`.
  let domain: Int
  /// Offset of `DatasetColumns.generator`.
  let generator: Int
  /// Offset of `DatasetColumns.sourceRow`.
  let sourceRow: Int
  /// Offset of `DatasetColumns.completionStart`.
  let completionStart: Int
  /// Offset of `DatasetColumns.completionLength`.
  let completionLength: Int
  /// Offset of `DatasetColumns.sourceLogp`.
  let sourceLogp: Int
  /// Offset of `DatasetColumns.score`.
  let score: Int
  /// Offset of `DatasetColumns.role`.
  let role: Int
  /// Offset of `DatasetColumns.stringEnds`.
  let stringEnds: Int
  /// Offset of `DatasetColumns.strings`.
  let strings: Int
  /// Offset of the report.
  let report: Int

  /// The counts must be at most the size of a file, so that nothing here can overflow.
  init(_ counts: DatasetCounts) {
    var end = DatasetFormat.headerSize
    func section(_ count: Int, _ width: Int) -> Int {
      defer { end = DatasetFormat.aligned(end + count * width) }
      return end
    }
    tokens = section(counts.tokens, 4)
    firstToken = section(counts.examples + 1, 8)
    firstCompletion = section(counts.examples + 1, 8)
    promptLength = section(counts.examples, 4)
    weight = section(counts.examples, 8)
    q = section(counts.examples, 8)
    margin = section(counts.examples, 8)
    domain = section(counts.examples, 4)
    generator = section(counts.examples, 4)
    sourceRow = section(counts.examples, 8)
    completionStart = section(counts.completions, 8)
    completionLength = section(counts.completions, 4)
    sourceLogp = section(counts.completions, 8)
    score = section(counts.completions, 8)
    role = section(counts.completions, 1)
    stringEnds = section(counts.domains + counts.generators, 8)
    strings = section(counts.stringBytes, 1)
    report = end
  }
}
