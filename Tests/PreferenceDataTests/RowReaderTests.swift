import AlignmentCore
import Checkpoints
import PreferenceData
import Testing

@Suite struct RowReaderTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Rows of very different lengths, some beyond the reader's buffer.
  static let manyRows: [String] = (0..<2_000).map {
    "row \($0) " + String(repeating: "é", count: $0 * $0 % 40_000 / ($0 % 7 == 0 ? 1 : 100))
  }
  static var manyBytes: [UInt8] { Array(manyRows.joined(separator: "\n").utf8) }

  @Test func plainLines() throws {
    let path = try directory.write("f", "\u{feff}{\"a\":1}\r\n\n  \t\r\nsecond\nlast without end")
    let rows = try lines(path)
    #expect(rows.map(\.0) == [1, 4, 5])
    #expect(rows.map(\.1) == ["{\"a\":1}", "second", "last without end"])
  }

  @Test(arguments: ["", "\n", "\n\r\n \n", "\u{feff}", "\u{feff}\n"])
  func filesWithoutRows(text: String) throws {
    #expect(try lines(directory.write("f", text)).isEmpty)
    #expect(try lines(directory.write("g", gzip(Array(text.utf8)))).isEmpty)
    #expect(try lines(directory.write("z", zstandard(Array(text.utf8)))).isEmpty)
  }

  @Test func aByteOrderMarkIsOnlySkippedAtTheStart() throws {
    #expect(
      try lines(directory.write("f", "a\n\u{feff}b")).map { Array($0.1.utf8) } == [
        Array("a".utf8), [0xef, 0xbb, 0xbf, 0x62],
      ])
  }

  @Test func compressedFilesGiveTheSameRows() throws {
    let bytes = Self.manyBytes
    for data in [bytes, gzip(bytes), zstandard(bytes)] {
      let rows = try lines(directory.write("data.any", data))
      #expect(rows.map(\.1) == Self.manyRows)
      #expect(rows.map(\.0) == Array(1...2_000))
    }
  }

  @Test func severalMembersAndFrames() throws {
    let bytes = Self.manyBytes
    let cuts = [0, 1, 5_000, 5_000, 300_000, bytes.count]
    let parts = zip(cuts, cuts.dropFirst()).map { Array(bytes[$0..<$1]) }
    #expect(try lines(directory.write("g", parts.flatMap(gzip))).map(\.1) == Self.manyRows)
    #expect(try lines(directory.write("z", parts.flatMap(zstandard))).map(\.1) == Self.manyRows)
    let padded = gzip(bytes) + [UInt8](repeating: 0, count: 700_000)
    #expect(try lines(directory.write("p", padded)).count == 2_000)
    let skippable: [UInt8] = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]
    #expect(try lines(directory.write("s", skippable + zstandard(bytes))).count == 2_000)
  }

  @Test func truncatedCompressedFilesAreFaults() throws {
    let bytes = Self.manyBytes
    for data in [gzip(bytes), zstandard(bytes), gzip(bytes) + gzip(bytes), zstandard(bytes) + zstandard(bytes)] {
      for cut in [1, 3, 9, data.count / 3] {
        let path = try directory.write("cut", Array(data.dropLast(cut)))
        fault(.data, containing: path, "truncated") { _ = try lines(path) }
      }
    }
  }

  @Test func damagedCompressedFilesAreFaults() throws {
    let bytes = Self.manyBytes
    for data in [gzip(bytes), zstandard(bytes)] {
      var damaged = data
      for index in data.count / 2..<data.count / 2 + 40 { damaged[index] ^= 0xa5 }
      let path = try directory.write("bad", damaged)
      fault(.data, containing: path) { _ = try lines(path) }
    }
    let trailing = try directory.write("trailing", gzip(bytes) + Array("garbage".utf8))
    fault(.data, containing: trailing, "damaged") { _ = try lines(trailing) }
  }

  @Test func parquetIsNamed() throws {
    let path = try directory.write("f.jsonl", "PAR1....")
    fault(.data, containing: path, "Parquet", "duckdb") { _ = try RowReader(path: path) }
  }

  @Test func invalidUTF8IsNamedAndTheNextRowReadable() throws {
    let bytes = Array("good\nbad ".utf8) + [0xff, 0x0a, 0xc3, 0x0a] + Array("good".utf8)
    let path = try directory.write("f", bytes)
    let reader = try RowReader(path: path)
    #expect(try reader.next()?.bytes.get() == Array("good".utf8))
    fault(.data, containing: "\(path):2", "invalid UTF-8 at byte 5") { _ = try reader.next()?.bytes.get() }
    fault(.data, containing: "\(path):3", "invalid UTF-8") { _ = try reader.next()?.bytes.get() }
    #expect(try reader.next()?.bytes.get() == Array("good".utf8))
    #expect(try reader.next()?.line == nil)
  }

  @Test func longLinesAreRefusedButPassed() throws {
    let exact = [UInt8](repeating: 0x61, count: RowReader.lineLimit)
    let path = try directory.write("f", exact + [0x0a] + exact + [0x62, 0x0a] + Array("next".utf8))
    let reader = try RowReader(path: path)
    #expect(try reader.next()?.bytes.get().count == RowReader.lineLimit)
    fault(.data, containing: "\(path):2", "longer than 16777216") { _ = try reader.next()?.bytes.get() }
    #expect(try reader.next()?.bytes.get() == Array("next".utf8))
  }

  @Test func missingFilesAndDirectories() {
    fault(.missingInput, containing: "/nonexistent") { _ = try RowReader(path: "/nonexistent") }
    fault(.missingInput, containing: "/tmp") { _ = try RowReader(path: "/tmp") }
  }
}
