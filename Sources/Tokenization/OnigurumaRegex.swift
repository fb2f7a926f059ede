import AlignmentCore
@preconcurrency import COniguruma

/// A regular expression of the engine that the Hugging Face tokenizers use, with the Unicode tables they ship.
///
/// Search from one thread at a time: the instance owns the region that receives the matches.
final class OnigurumaRegex {
  /// Backtracking steps of one search after which it fails instead of running on.
  private static let retryLimit: UInt = 100_000_000

  private let pattern: [UInt8]
  /// Owned; freed in `deinit`.
  private let handle: OnigRegex
  /// Owned; freed in `deinit`.
  private let region: UnsafeMutablePointer<OnigRegion>

  /// Compiles a pattern in Oniguruma's own syntax.
  init(_ pattern: [UInt8]) throws {
    try Self.engine.get()
    self.pattern = pattern
    handle = try Self.compile(pattern)
    guard let region = onig_region_new() else {
      onig_free(handle)
      throw Fault(.resource, "no memory for a regular expression")
    }
    self.region = region
  }

  deinit {
    onig_region_free(region, 1)
    onig_free(handle)
  }

  /// Calls `body` with each match inside a part of valid UTF-8, which counts as a text of its own.
  ///
  /// As in rust-onig, an empty match at the end of the match before it is skipped.
  func forEachMatch(in text: [UInt8], _ part: Range<Int>, _ body: (Range<Int>) -> Void) throws {
    try text.withUnsafeBufferPointer { buffer in
      // An empty array has no base address; the engine needs one and reads nothing.
      guard let base = buffer.baseAddress else { return }
      let start = base + part.lowerBound
      let end = base + part.upperBound
      var position = start
      var previousEnd: UnsafePointer<UInt8>?
      while position <= end, let match = try firstMatch(start, end, from: position) {
        let lower = start + match.lowerBound
        position = start + match.upperBound
        if match.isEmpty && previousEnd == position {
          position += position < end ? buffer.span.scalarLength(at: position - base) : 1
          continue
        }
        previousEnd = position
        body(lower - base..<position - base)
      }
    }
  }

  /// The first match at or after a position, relative to the start.
  private func firstMatch(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, from position: UnsafePointer<UInt8>
  ) throws -> Range<Int>? {
    let status = onig_search(handle, start, end, position, end, region, 0)
    if status == ONIG_MISMATCH { return nil }
    guard status >= 0 else { throw Self.fault(status, "searching with", pattern) }
    return Int(region.pointee.beg[0])..<Int(region.pointee.end[0])
  }

  private static func compile(_ pattern: [UInt8]) throws -> OnigRegex {
    var handle: OnigRegex?
    var information = OnigErrorInfo()
    let status = pattern.withUnsafeBufferPointer { buffer in
      // An empty array may have no base address; then both ends are the address of a dummy.
      withUnsafePointer(to: 0 as UInt8) { dummy in
        let start = buffer.baseAddress ?? dummy
        return onig_new(
          &handle, start, start + buffer.count, 0, &OnigEncodingUTF8, OnigDefaultSyntax, &information)
      }
    }
    guard status == ONIG_NORMAL, let handle else { throw fault(status, "compiling", pattern) }
    return handle
  }

  /// Initializes the engine once and replaces its general categories by those of Unicode 16.
  private static let engine: Result<Void, Fault> = {
    let status = withUnsafeMutablePointer(to: &OnigEncodingUTF8) { encoding in
      var encodings: [OnigEncoding?] = [encoding]
      return onig_initialize(&encodings, 1)
    }
    guard status == ONIG_NORMAL else { return .failure(fault(status, "initializing", [])) }
    onig_set_retry_limit_in_search(retryLimit)
    for (name, ranges) in UnicodeRanges.tables {
      let status = define(name, ranges)
      guard status == ONIG_NORMAL else { return .failure(fault(status, "defining", Array(name.utf8))) }
    }
    return .success(())
  }()

  /// Defines a property; the engine keeps the pointer, so the table is never freed.
  private static func define(_ name: String, _ ranges: [UInt32]) -> CInt {
    let table = UnsafeMutableBufferPointer<OnigCodePoint>.allocate(capacity: ranges.count + 1)
    table[0] = OnigCodePoint(ranges.count / 2)
    for (index, bound) in ranges.enumerated() { table[index + 1] = bound }
    return onig_unicode_define_user_property(name, table.baseAddress)
  }

  private static func fault(_ status: CInt, _ action: String, _ pattern: [UInt8]) -> Fault {
    let text = String(decoding: pattern, as: UTF8.self)
    let reason =
      switch status {
      case ONIGERR_RETRY_LIMIT_IN_MATCH_OVER, ONIGERR_RETRY_LIMIT_IN_SEARCH_OVER: "too many steps"
      case ONIGERR_MEMORY, ONIGERR_MATCH_STACK_LIMIT_OVER: "out of memory"
      default: "Oniguruma error \(status)"
      }
    return Fault(
      .data, "\(action) the regular expression \(text) failed: \(reason)", hint: "check the pattern and text")
  }
}
