import AlignmentCore
import JSON

/// One file of a snapshot, as it was written.
package struct ShardFile: Sendable, Equatable {
  /// Its plain name inside the snapshot directory.
  package let name: String
  /// Its size.
  package let bytes: Int
  /// Its SHA-256 in lower-case hexadecimal.
  package let sha256: String

  /// Describes a file, for instance as gathered from another rank.
  package init(name: String, bytes: Int, sha256: String) {
    self.name = name
    self.bytes = bytes
    self.sha256 = sha256
  }
}

/// What a snapshot holds and how to recognise that it is whole; stored as `manifest.json`, written last.
package struct SnapshotManifest: Sendable, Equatable {
  /// The version of the snapshot format this program writes and reads.
  package static let formatVersion = 1

  /// Optimiser steps done.
  package var step: Int
  /// Digest of everything in the configuration that a resumed run must share.
  package var configDigest: String
  /// Digest of the parameter layout.
  package var layoutDigest: String
  /// Number of ranks that wrote the shards; any number may read them.
  package var worldSize: Int
  /// Whatever else is needed to go on: cursor, seeds, judge state.
  package var state: JSONObject
  /// The other files of the snapshot.
  package var files: [ShardFile]

  /// Describes a snapshot.
  package init(
    step: Int, configDigest: String, layoutDigest: String, worldSize: Int, state: JSONObject, files: [ShardFile]
  ) {
    self.step = step
    self.configDigest = configDigest
    self.layoutDigest = layoutDigest
    self.worldSize = worldSize
    self.state = state
    self.files = files
  }
}

extension SnapshotManifest {
  /// What stands between the body and its digest.
  static let integrityPrefix = Array(",\n  \"integrity\": \"".utf8)
  /// What stands after the digest.
  static let integritySuffix = Array("\"\n}\n".utf8)

  /// The manifest as JSON whose last member is the SHA-256 of every byte before that member.
  func encoded() -> [UInt8] {
    var json = JSONValue.object(jsonObject).serialized(pretty: true)
    while let last = json.last, last == UInt8(ascii: "}") || last == UInt8(ascii: "\n") {
      json.removeLast()
      if last == UInt8(ascii: "}") { break }
    }
    while json.last == UInt8(ascii: "\n") { json.removeLast() }
    let integrity = SHA256.digest(of: json).hex
    return json + Self.integrityPrefix + Array(integrity.utf8) + Self.integritySuffix
  }

  /// Reads what `encoded()` wrote; any changed byte is a `.data` fault.
  init(encoded bytes: [UInt8], path: String) throws {
    let body = try Self.checkedBody(bytes, path)
    let root: JSONValue
    do throws(JSONError) {
      root = try JSONValue.parse(Array(body) + Array("}".utf8))
    } catch {
      throw Self.fault("not valid JSON (\(error))", path)
    }
    try self.init(ManifestReader(root: root, path: path))
  }

  private init(_ reader: ManifestReader) throws {
    let version = try reader.integer("version")
    guard try reader.text("format") == "adalign-snapshot", version == Self.formatVersion else {
      throw Fault(
        .data, "snapshot format version \(version) is not \(Self.formatVersion)", at: reader.path,
        hint: "use the program version that wrote it")
    }
    self.init(
      step: try reader.integer("step"), configDigest: try reader.text("config_digest"),
      layoutDigest: try reader.text("layout_digest"), worldSize: try reader.integer("world_size"),
      state: try reader.object("state"), files: try reader.files())
  }

  private var jsonObject: JSONObject {
    JSONObject([
      ("format", .string("adalign-snapshot")), ("version", .integer(Int64(Self.formatVersion))),
      ("step", .integer(Int64(step))), ("config_digest", .string(ByteString(configDigest))),
      ("layout_digest", .string(ByteString(layoutDigest))), ("world_size", .integer(Int64(worldSize))),
      ("state", .object(state)), ("files", .array(files.map(Self.json))),
    ])
  }

  private static func json(_ file: ShardFile) -> JSONValue {
    .object(
      JSONObject([
        ("name", .string(ByteString(file.name))), ("bytes", .integer(Int64(file.bytes))),
        ("sha256", .string(ByteString(file.sha256))),
      ]))
  }

  private static func checkedBody(_ bytes: [UInt8], _ path: String) throws -> ArraySlice<UInt8> {
    let tail = integrityPrefix.count + 64 + integritySuffix.count
    guard bytes.count > tail, bytes.ends(with: integritySuffix) else { throw fault("the end is missing", path) }
    let body = bytes.dropLast(tail)
    let member = bytes[body.endIndex...].dropLast(integritySuffix.count)
    guard member.elementsEqual(integrityPrefix + Array(SHA256.digest(of: Array(body)).hex.utf8)) else {
      throw fault("the integrity digest does not match", path)
    }
    return body
  }

  fileprivate static func fault(_ what: String, _ path: String) -> Fault {
    Fault(.data, "damaged manifest: \(what)", at: path, hint: "an older snapshot can be used")
  }
}

/// Reads typed members of a manifest.
private struct ManifestReader {
  let root: JSONValue
  let path: String

  func integer(_ key: ByteString) throws -> Int {
    try require(root[key].flatMap { if case .integer(let value) = $0, value >= 0 { Int(value) } else { nil } }, key)
  }

  func text(_ key: ByteString) throws -> String { try require(root[key]?.stringValue, key) }

  func object(_ key: ByteString) throws -> JSONObject { try require(root[key]?.objectValue, key) }

  func files() throws -> [ShardFile] {
    let files = try require(root["files"]?.arrayValue, "files").map { entry in
      let reader = ManifestReader(root: entry, path: path)
      let name = try reader.text("name")
      guard SnapshotStore.isFileName(name) else { throw SnapshotManifest.fault("'\(name)' is not a plain name", path) }
      return ShardFile(name: name, bytes: try reader.integer("bytes"), sha256: try reader.text("sha256"))
    }
    guard Set(files.map { ByteString($0.name) }).count == files.count else {
      throw SnapshotManifest.fault("a file is listed twice", path)
    }
    return files
  }

  private func require<Value>(_ value: Value?, _ key: ByteString) throws -> Value {
    guard let value else { throw SnapshotManifest.fault("'\(key)' is missing or of the wrong type", path) }
    return value
  }
}

extension [UInt8] {
  fileprivate func ends(with suffix: [UInt8]) -> Bool { self.suffix(suffix.count).elementsEqual(suffix) }
}
