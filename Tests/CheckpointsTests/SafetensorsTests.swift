import AlignmentCore
import Checkpoints
import Testing

@Suite struct SafetensorsTests {
  static let values: [Float] = [0, 1, -2.5, 3.14159274, 65504, 1e-7, -0.0, .infinity]

  @Test(arguments: [TensorType.f32, .f16, .bf16])
  func roundTrip(type: TensorType) throws {
    let directory = try TemporaryDirectory()
    try writeTensors(
      directory("m.safetensors"),
      [
        ("b", type, [2, 4], Self.values), ("scalar", .f32, [], [7]), ("empty", .f32, [3, 0], []),
        ("é\"\n", .f32, [1], [5]),
      ])
    let file = try SafetensorsFile(path: directory("m.safetensors"))
    #expect(file.metadata == ["format": "pt"])
    #expect(Set(file.tensors.map(\.name)) == ["b", "scalar", "empty", "é\"\n"])
    let record = try #require(file["b"])
    #expect(record.shape == [2, 4] && record.type == type && record.elementCount == 8)
    let expected = Self.values.map { value -> Float in
      switch type {
      case .f16: Float(Float16(value))
      case .bf16: FloatConversion.float(bfloat16: FloatConversion.bfloat16(value))
      default: value
      }
    }
    #expect(try floats(file, record) == expected)
    #expect(try floats(file, record, 3..<6) == Array(expected[3..<6]))
    #expect(try floats(file, #require(file["scalar"])) == [7])
    #expect(try floats(file, #require(file["empty"])) == [])
    #expect(file["none"] == nil)
  }

  // The bytes that the reference writer (safetensors 0.8.0) gives for the same content.
  @Test func layoutOfTheHeader() throws {
    let directory = try TemporaryDirectory()
    let written = try writeTensors(
      directory("m"), [("b", .f32, [1], [1]), ("h", .f16, [2], [1, 2]), ("a", .f32, [1, 1], [2])])
    let bytes = try FileSystem.readWhole(directory("m"))
    let header = """
      {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},\
      "b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"h":{"dtype":"F16","shape":[2],"data_offsets":[8,12]}}
      """
    let length = Int(bytes[0]) | Int(bytes[1]) << 8
    let text = String(decoding: bytes[8..<8 + length], as: UTF8.self)
    #expect(length % 8 == 0)
    #expect(text.hasPrefix(header) && text.dropFirst(header.count).allSatisfy { $0 == " " })
    #expect(Array(bytes[(8 + length)...]) == [0, 0, 0, 64, 0, 0, 128, 63, 0, 0x3c, 0, 0x40])
    #expect(written.bytes == bytes.count && written.sha256 == SHA256.digest(of: bytes))
  }

  @Test func sameContentGivesSameBytes() throws {
    let directory = try TemporaryDirectory()
    let tensors: [(name: String, type: TensorType, shape: [Int], values: [Float])] = (0..<20).map {
      ("layer.\($0).weight", $0 % 3 == 0 ? .bf16 : .f32, [2, 2], [Float($0), 1, 2, 3])
    }
    let metadata = ["format": "pt", "b": "2", "a": "1", "c": "3"]
    let first = try writeTensors(directory("1"), tensors, metadata: metadata)
    let second = try writeTensors(directory("2"), tensors.reversed(), metadata: metadata)
    #expect(first == second)
    #expect(try FileSystem.readWhole(directory("1")) == FileSystem.readWhole(directory("2")))
  }

  @Test func largeTensorsAreConvertedInPieces() throws {
    let directory = try TemporaryDirectory()
    let values = (0..<2_500_000).map { Float($0 % 256) }
    for type in [TensorType.f32, .bf16, .f16] {
      let written = try writeTensors(directory("m"), [("w", type, [2_500_000], values)])
      let file = try SafetensorsFile(path: directory("m"))
      #expect(try floats(file, #require(file["w"])) == values)
      #expect(try written.sha256 == SHA256.digest(ofFile: directory("m")))
    }
  }

  @Test func unalignedDataAndDoubles() throws {
    let directory = try TemporaryDirectory()
    let doubles: [Double] = [1.5, -2, 1e300]
    let data = [UInt8](arrayLiteral: 1) + bytes([3, 4]) + doubles.withUnsafeBytes(Array.init) + [0x80, 0x3f]
    let header = """
      {"x":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},\
      "d":{"dtype":"F64","shape":[3],"data_offsets":[9,33]},"b":{"dtype":"BF16","shape":[],"data_offsets":[33,35]}}
      """
    let file = try SafetensorsFile(path: directory.write("m", HostileFileTests.file(header, data)))
    #expect(try floats(file, #require(file["f"])) == [3, 4])
    #expect(try floats(file, #require(file["d"])) == [1.5, -2, .infinity])
    #expect(try floats(file, #require(file["b"])) == [1])
    try file.withBytes(of: #require(file["x"])) { #expect($0.elementsEqual([1])) }
    fault(.data, containing: "'x'", "BOOL", directory("m")) { _ = try floats(file, #require(file["x"])) }
  }

  @Test func namesAreComparedByteByByte() throws {
    let directory = try TemporaryDirectory()
    try writeTensors(directory("m"), [("\u{e9}", .f32, [1], [1]), ("e\u{301}", .f32, [1], [2])])
    let file = try SafetensorsFile(path: directory("m"))
    #expect(try floats(file, #require(file["\u{e9}"])) == [1])
    #expect(try floats(file, #require(file["e\u{301}"])) == [2])
  }

  @Test func missingFile() {
    fault(.missingInput, containing: "/nonexistent.safetensors") {
      _ = try SafetensorsFile(path: "/nonexistent.safetensors")
    }
  }
}

@Suite struct ModelFilesTests {
  private func sharded(_ directory: TemporaryDirectory, index: String? = nil) throws {
    try writeTensors(directory("model-00001-of-00002.safetensors"), [("a", .f32, [1], [1]), ("extra", .f32, [1], [9])])
    try writeTensors(directory("model-00002-of-00002.safetensors"), [("b", .bf16, [2], [2, 3])])
    let text = """
      {"metadata":{"total_size":8},"weight_map":{"b":"model-00002-of-00002.safetensors",
      "a":"model-00001-of-00002.safetensors"}}
      """
    try directory.write("model.safetensors.index.json", Array((index ?? text).utf8))
  }

  @Test func singleFile() throws {
    let directory = try TemporaryDirectory()
    try writeTensors(directory("model.safetensors"), [("b", .f32, [1], [2]), ("a", .f32, [1], [1])])
    let model = try ModelFiles.open(directory: directory.path)
    #expect(model.names == ["a", "b"])
    #expect(try model.digest() == SHA256.digest(ofFile: directory("model.safetensors")).hex)
    let (file, record) = try #require(model["b"])
    #expect(try floats(file, record) == [2])
    #expect(model["c"] == nil)
  }

  @Test func shardsByIndex() throws {
    let directory = try TemporaryDirectory()
    try sharded(directory)
    let model = try ModelFiles.open(directory: directory.path)
    #expect(model.names == ["a", "b"])
    #expect(model.files.map(\.path) == [1, 2].map { directory("model-0000\($0)-of-00002.safetensors") })
    let all = try model.files.flatMap { try FileSystem.readWhole($0.path) }
    #expect(model.digest() == SHA256.digest(of: all).hex)
    let (file, record) = try #require(model["b"])
    #expect(try floats(file, record) == [2, 3])
  }

  @Test(arguments: [
    ("{", "not valid JSON"), ("{}", "weight_map"), ("{\"weight_map\":{}}", "weight_map"),
    ("{\"weight_map\":{\"a\":1}}", "plain file name"),
    ("{\"weight_map\":{\"a\":\"../model-00001-of-00002.safetensors\"}}", "plain file name"),
    ("{\"weight_map\":{\"c\":\"model-00001-of-00002.safetensors\"}}", "does not hold tensor 'c'"),
  ])
  func badIndex(index: String, words: String) throws {
    let directory = try TemporaryDirectory()
    try sharded(directory, index: index)
    fault(.data, containing: words, "index.json") { _ = try ModelFiles.open(directory: directory.path) }
  }

  @Test func missingShard() throws {
    let directory = try TemporaryDirectory()
    try sharded(directory)
    try FileSystem.removeTree(directory("model-00002-of-00002.safetensors"))
    fault(.missingInput, containing: "model-00002-of-00002.safetensors", "missing") {
      _ = try ModelFiles.open(directory: directory.path)
    }
  }

  @Test func nothingOrOnlyPickles() throws {
    let directory = try TemporaryDirectory()
    fault(.missingInput, containing: "no model.safetensors", directory.path) {
      _ = try ModelFiles.open(directory: directory.path)
    }
    try directory.write("pytorch_model.bin", [1])
    fault(.missingInput, containing: "pytorch_model.bin", "pickle", "refused") {
      _ = try ModelFiles.open(directory: directory.path)
    }
    fault(.missingInput, containing: "no such model directory") { _ = try ModelFiles.open(directory: "/nonexistent") }
  }
}
