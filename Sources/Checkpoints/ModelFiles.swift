import AlignmentCore
import JSON

/// The weights of a Hugging Face model directory: one safetensors file, or several with an index.
package struct ModelFiles: Sendable {
  /// The directory the model was opened from.
  package let directory: String
  /// The files in the byte order of their names.
  package let files: [SafetensorsFile]
  private let locations: [ByteString: Location]

  private struct Location {
    let file: Int
    let record: TensorRecord
  }

  /// Opens `model.safetensors.index.json` with its files if there is one, else `model.safetensors`.
  package static func open(directory: String) throws -> ModelFiles {
    let index = "\(directory)/model.safetensors.index.json"
    let single = "\(directory)/model.safetensors"
    if FileSystem.exists(index) { return try ModelFiles(directory: directory, index: index) }
    if FileSystem.exists(single) { return try ModelFiles(directory: directory, single: single) }
    throw missing(directory)
  }

  /// All tensor names in byte order.
  package var names: [String] { locations.keys.sorted().map(\.description) }

  /// The tensor of a name and the file that holds it.
  package subscript(name: String) -> (file: SafetensorsFile, record: TensorRecord)? {
    locations[ByteString(name)].map { (files[$0.file], $0.record) }
  }

  /// SHA-256 of all weight files one after the other in name order (as `cat *.safetensors | sha256sum` prints it).
  package func digest() -> String {
    let hash = SHA256()
    for file in files { file.hash(into: hash) }
    return hash.finish().hex
  }

  private init(directory: String, single path: String) throws {
    let file = try SafetensorsFile(path: path)
    self.directory = directory
    files = [file]
    locations = Dictionary(
      uniqueKeysWithValues: file.tensors.map { (ByteString($0.name), Location(file: 0, record: $0)) })
  }

  private init(directory: String, index: String) throws {
    let map = try Self.weightMap(index)
    let names = Set(map.map { ByteString($0.file) }).sorted()
    let positions = Dictionary(uniqueKeysWithValues: zip(names, 0...))
    let files = try names.map { try Self.open("\(directory)/\($0)", listedIn: index) }
    var locations: [ByteString: Location] = [:]
    for (tensor, file) in map {
      let position = positions[ByteString(file), default: 0]
      guard let record = files[position][tensor.description] else {
        throw Fault(
          .data, "'\(file)' does not hold tensor '\(tensor)', as weight_map says", at: index, hint: Self.again)
      }
      locations[tensor] = Location(file: position, record: record)
    }
    self.directory = directory
    self.files = files
    self.locations = locations
  }

  private static let again = "download or save the model again"

  private static func weightMap(_ index: String) throws -> [(tensor: ByteString, file: String)] {
    let root: JSONValue
    do {
      root = try JSONValue.parse(try FileSystem.readWhole(index, limit: SafetensorsHeader.maximumLength))
    } catch let error as JSONError {
      throw Fault(.data, "not valid JSON (\(error))", at: index, hint: again)
    }
    guard let map = root["weight_map"]?.objectValue, !map.members.isEmpty else {
      throw Fault(.data, "weight_map is missing, empty or not an object", at: index, hint: again)
    }
    return try map.members.map { name, value in
      guard let file = value.stringValue, FileSystem.isPlainName(file) else {
        throw Fault(.data, "weight_map of tensor '\(name)' is not a plain file name", at: index, hint: again)
      }
      return (name, file)
    }
  }

  private static func open(_ path: String, listedIn index: String) throws -> SafetensorsFile {
    guard FileSystem.exists(path) else {
      throw Fault(
        .missingInput, "the file is listed in model.safetensors.index.json but missing", at: path, hint: again)
    }
    return try SafetensorsFile(path: path)
  }

  private static func missing(_ directory: String) -> Fault {
    guard FileSystem.isDirectory(directory) else {
      return Fault(.missingInput, "no such model directory", at: directory, hint: "give a Hugging Face model directory")
    }
    let names = (try? FileSystem.list(directory)) ?? []
    let pickles = names.filter { name in [".bin", ".pt", ".pth", ".ckpt"].contains { name.hasSuffix($0) } }
    let what = "no model.safetensors and no model.safetensors.index.json here"
    guard let pickle = pickles.first else {
      return Fault(.missingInput, what, at: directory, hint: "give a Hugging Face model directory")
    }
    return Fault(
      .missingInput, "\(what); '\(pickle)' is a pickle, which can run code and is refused", at: directory,
      hint: "convert it with transformers: save_pretrained(..., safe_serialization=True)")
  }
}
