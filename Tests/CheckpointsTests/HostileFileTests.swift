import AlignmentCore
import Checkpoints
import Testing

/// Files as an attacker or a broken disk would make them: each is refused with a `.data` fault, none crashes.
@Suite struct HostileFileTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]
    let words: String
    var testDescription: String { name }
  }

  static func file(_ header: String, _ data: [UInt8] = []) -> [UInt8] { file(Array(header.utf8), data) }

  static func file(_ header: [UInt8], _ data: [UInt8]) -> [UInt8] { length(UInt64(header.count)) + header + data }

  private static func length(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }

  /// One tensor `w` with `size` zero bytes of data.
  private static func tensor(_ entry: String, _ size: Int, _ name: String, _ words: String) -> Case {
    Case(name: name, bytes: file("{\"w\":\(entry)}", [UInt8](repeating: 0, count: size)), words: words)
  }

  private static func pair(_ first: String, _ second: String, _ size: Int, _ name: String, _ words: String) -> Case {
    let header = """
      {"a":{"dtype":"U8","shape":[4],"data_offsets":\(first)},"b":{"dtype":"U8","shape":[4],"data_offsets":\(second)}}
      """
    return Case(name: name, bytes: file(header, [UInt8](repeating: 0, count: size)), words: words)
  }

  static let lengths = [
    Case(name: "empty file", bytes: [], words: "too few"),
    Case(name: "seven bytes", bytes: [UInt8](repeating: 0, count: 7), words: "too few"),
    Case(name: "length 2^64-1", bytes: length(.max) + Array("{}".utf8), words: "exceeds the limit"),
    Case(name: "length 2^63", bytes: length(1 << 63) + Array("{}".utf8), words: "exceeds the limit"),
    Case(name: "length above the cap", bytes: length(100_000_001) + Array("{}".utf8), words: "exceeds the limit"),
    Case(name: "length beyond the file", bytes: length(3) + Array("{}".utf8), words: "beyond the file"),
    Case(
      name: "length at the cap, short file", bytes: length(100_000_000) + Array("{}".utf8), words: "beyond the file"),
    Case(name: "length zero", bytes: length(0), words: "not valid JSON"),
  ]

  static let texts = [
    Case(name: "not JSON", bytes: file("hello"), words: "not valid JSON"),
    Case(name: "cut JSON", bytes: file("{\"w\":{\"dtype\":\"F32\""), words: "not valid JSON"),
    Case(name: "trailing NUL", bytes: file([0x7b, 0x7d, 0], []), words: "not valid JSON"),
    Case(
      name: "invalid UTF-8", bytes: file(Array("{\"".utf8) + [0xff] + Array("\":1}".utf8), []),
      words: "not valid JSON"),
    Case(name: "trailing comma", bytes: file("{\"w\":1,}"), words: "not valid JSON"),
    Case(name: "array", bytes: file("[]"), words: "not a JSON object"),
    Case(
      name: "nesting 10^5", bytes: file("{\"w\":" + String(repeating: "[", count: 100_000) + "}"),
      words: "not valid JSON"),
    Case(
      name: "duplicate keys, identical",
      bytes: file(
        """
        {"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}
        """, [0]), words: "not valid JSON"),
    Case(
      name: "duplicate keys by escape",
      bytes: file(
        """
        {"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0077":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}
        """, [0, 0]), words: "not valid JSON"),
    Case(
      name: "duplicate dtype",
      bytes: file("{\"w\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]}}", [0]),
      words: "not valid JSON"),
    Case(
      name: "NUL in a name",
      bytes: file("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", [0]),
      words: "NUL"),
    Case(name: "metadata not strings", bytes: file("{\"__metadata__\":{\"a\":1}}"), words: "'a' is not a string"),
    Case(name: "metadata a list", bytes: file("{\"__metadata__\":[]}"), words: "__metadata__ is not an object"),
    Case(
      name: "too many tensors",
      bytes: file(
        "{"
          + (0...100_000).map { "\"\($0)\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}" }.joined(
            separator: ",") + "}"),
      words: "exceed the limit"),
  ]

  static let entries = [
    tensor("3", 0, "entry a number", "'w': its entry"),
    tensor("{\"shape\":[1],\"data_offsets\":[0,1]}", 1, "no dtype", "'w': dtype is missing"),
    tensor("{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}", 1, "dtype a number", "'w': dtype is missing"),
    tensor("{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,1]}", 1, "unknown dtype", "unknown dtype 'F33'"),
    tensor("{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}", 4, "lower-case dtype", "unknown dtype 'f32'"),
    tensor("{\"dtype\":\"U8\",\"data_offsets\":[0,1]}", 1, "no shape", "'w': shape is missing"),
    tensor("{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}", 1, "shape a number", "'w': shape is missing"),
    tensor("{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}", 1, "negative dimension", "'w': shape must"),
    tensor("{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}", 1, "fractional dimension", "'w': shape must"),
    tensor("{\"dtype\":\"U8\",\"shape\":[true],\"data_offsets\":[0,1]}", 1, "dimension true", "'w': shape must"),
    tensor(
      "{\"dtype\":\"U8\",\"shape\":[18446744073709551615],\"data_offsets\":[0,1]}", 1, "2^64-1", "'w': shape must"),
    tensor(
      "{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}", 0, "product overflows", "overflows"
    ),
    tensor(
      "{\"dtype\":\"F64\",\"shape\":[288230376151711744],\"data_offsets\":[0,0]}", 0, "bits overflow", "overflows"),
    tensor("{\"dtype\":\"U8\",\"shape\":[1]}", 1, "no offsets", "'w': data_offsets is missing"),
    tensor("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}", 1, "one offset", "has 1 numbers"),
    tensor("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}", 1, "three offsets", "has 3 numbers"),
    tensor("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}", 1, "negative offset", "data_offsets must"),
    tensor("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}", 1, "reversed offsets", "end before they begin"),
    tensor("{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}", 1, "truncated data", "truncated"),
    tensor(
      "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9223372036854775806,9223372036854775807]}", 1, "huge offsets",
      "reach beyond"),
    tensor("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}", 4, "size too small", "needs 8"),
    tensor("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}", 8, "size too large", "needs 4"),
    tensor("{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}", 2, "sub-byte remainder", "whole number of bytes"),
    tensor("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}", 2, "trailing byte", "1 trailing bytes"),
    tensor(
      "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}", 2, "hole at the start",
      "'w': data_offsets leave a hole"),
    pair("[0,4]", "[0,4]", 4, "two at one place", "overlap"),
    pair("[0,4]", "[3,7]", 7, "overlap by one", "'b': data_offsets overlap"),
    pair("[5,9]", "[0,4]", 9, "hole of one", "'a': data_offsets leave a hole"),
    Case(name: "bytes without tensors", bytes: file("{}", [1]), words: "1 trailing bytes without any tensor"),
  ]

  @Test(arguments: lengths + texts + entries)
  func isRefused(hostile: Case) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("m.safetensors", hostile.bytes)
    fault(.data, containing: path, hostile.words) { _ = try SafetensorsFile(path: path) }
  }

  static let accepted = [
    ("no tensors", file("{}")),
    ("leading and trailing spaces", file(" \n{}   ")),
    ("null metadata", file("{\"__metadata__\":null}")),
    ("extra keys", file("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":[{}]}}", [0])),
    ("sub-byte type", file("{\"w\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", [0, 0, 0])),
    (
      "zero before overflow",
      file("{\"w\":{\"dtype\":\"U8\",\"shape\":[0,9223372036854775807,8],\"data_offsets\":[0,0]}}")
    ),
    (
      "empty tensors everywhere, order of the header reversed",
      file(
        """
        {"z":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},"y":{"dtype":"F32","shape":[2,0],"data_offsets":[4,4]},\
        "w":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"v":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}}
        """, [0, 0, 128, 63])
    ),
  ]

  @Test(arguments: accepted)
  func isAccepted(name: String, bytes: [UInt8]) throws {
    let directory = try TemporaryDirectory()
    _ = try SafetensorsFile(path: directory.write("m", bytes))
  }

  // Any single changed byte gives a file that opens with every tensor inside it, or a fault; never a trap.
  @Test func mutationsNeverCrash() throws {
    let directory = try TemporaryDirectory()
    try writeTensors(directory("m"), [("a", .f32, [2, 2], [1, 2, 3, 4]), ("b", .bf16, [3], [1, 2, 3])])
    let original = try FileSystem.readWhole(directory("m"))
    var state: UInt64 = 7
    for _ in 0..<4_000 {
      var bytes = original
      for _ in 0..<3 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 24)
      }
      do {
        let file = try SafetensorsFile(path: Self.overwrite(directory("x"), bytes))
        #expect(file.tensors.allSatisfy { $0.byteRange.upperBound <= bytes.count })
        for record in file.tensors where FloatConversion.canRead(record.type) { _ = try floats(file, record) }
      } catch let fault as Fault {
        #expect(fault.kind == .data)
      }
    }
  }

  // Without fsync, for thousands of small files.
  private static func overwrite(_ path: String, _ bytes: [UInt8]) throws -> String {
    try PlainFile.write(path, bytes)
    return path
  }
}
