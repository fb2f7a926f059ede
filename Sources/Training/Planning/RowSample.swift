import AlignmentCore
import Checkpoints
import PreferenceData

/// Some rows of data files, in a file of their own: evenly spread ones, whose lengths are as those of all, and behind them the
/// longest, which decide how much memory units need.
struct RowSample {
  /// Rows of the even part: more than this and at most twice as many, unless there are fewer.
  static let evenRows = 256
  static let longestRows = 16

  let path: String
  /// Rows of the files.
  let rows: Int
  /// Bytes of the files' lines, and of the lines of the sample.
  let bytes: Int
  let sampledBytes: Int
  /// How many rows at the beginning of the file are evenly spread.
  let evenCount: Int

  /// Reads all files once.
  init(_ files: [String], to path: String) throws {
    self.path = path
    var picker = RowPicker()
    for file in files {
      let reader = try RowReader(path: file)
      while let row = try reader.next() { picker.add(try row.bytes.get()) }
    }
    (rows, bytes) = (picker.count, picker.bytes)
    let lines = picker.lines
    evenCount = picker.even.count
    sampledBytes = lines.reduce(0) { $0 + $1.count }
    guard !lines.isEmpty else { throw Fault(.data, "there are no rows", at: files.joined(separator: ", ")) }
    try AtomicFile.write(path) { output in for line in lines { try output.append(line + [UInt8(ascii: "\n")]) } }
  }
}

/// Picks rows while they pass.
private struct RowPicker {
  private(set) var count = 0
  private(set) var bytes = 0
  private(set) var even: [(index: Int, line: [UInt8])] = []
  private var longest: [(index: Int, line: [UInt8])] = []
  /// Every so many rows one is taken; doubles when there are too many.
  private var stride = 1

  mutating func add(_ line: [UInt8]) {
    if count % stride == 0 { even.append((count, line)) }
    if even.count > 2 * RowSample.evenRows {
      stride *= 2
      even.removeAll { $0.index % stride != 0 }
    }
    if longest.count < RowSample.longestRows || line.count > longest[longest.count - 1].line.count {
      longest.append((count, line))
      longest.sort { ($0.line.count, $1.index) > ($1.line.count, $0.index) }
      longest = Array(longest.prefix(RowSample.longestRows))
    }
    count += 1
    bytes += line.count
  }

  /// The even rows, and the longest that are not among them.
  var lines: [[UInt8]] {
    let taken = Set(even.map(\.index))
    return even.map(\.line) + longest.filter { !taken.contains($0.index) }.map(\.line)
  }
}
