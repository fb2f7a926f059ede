import AlignmentCore
import Checkpoints
import Glibc
import JSON
import Testing

@Suite struct SnapshotTests {
  let directory: TemporaryDirectory
  let store: SnapshotStore

  init() throws {
    directory = try TemporaryDirectory()
    store = SnapshotStore(directory: directory("run/checkpoints"))
  }

  @discardableResult
  private func save(_ step: Int, value: Float = 1, shards: Int = 2) throws -> SnapshotManifest {
    let staging = try store.begin(step: step)
    let files = try (0..<shards).map { shard in
      let values = [Float](repeating: value + Float(shard), count: 64)
      return try values.withUnsafeBufferPointer {
        try store.writeShard(
          staging: staging, name: "shard-0000\(shard).safetensors",
          tensors: [TensorSource(name: "w", shape: [64], values: $0)])
      }
    }
    let manifest = manifest(step, files)
    try store.commit(staging: staging, manifest: manifest)
    return manifest
  }

  private func manifest(_ step: Int, _ files: [ShardFile]) -> SnapshotManifest {
    SnapshotManifest(
      step: step, configDigest: "c0ffee", layoutDigest: "1a1a", worldSize: 2,
      state: JSONObject([("position", .integer(1234)), ("nested", .array([.double(0.5), .null, .string("é\n")]))]),
      files: files)
  }

  private func file(_ step: Int, _ name: String) -> String { "\(store.path(step: step))/\(name)" }

  @Test func roundTrip() throws {
    let saved = try save(200)
    #expect(try store.candidates() == [200])
    #expect(try store.verify(step: 200) == saved)
    #expect(try store.manifest(step: 200).state["position"]?.intValue == 1234)
    #expect(try FileSystem.list(store.directory) == ["step-000200"])
    let shard = try SafetensorsFile(path: file(200, "shard-00001.safetensors"))
    #expect(shard.metadata == ["format": "pt", "step": "200"])
    #expect(try floats(shard, #require(shard["w"])) == [Float](repeating: 2, count: 64))
    _ = try JSONValue.parse(FileSystem.readWhole(file(200, "manifest.json")))
  }

  @Test func emptyStateAndNoFiles() throws {
    let staging = try store.begin(step: 0)
    let manifest = SnapshotManifest(
      step: 0, configDigest: "", layoutDigest: "", worldSize: 1, state: JSONObject(), files: [])
    try store.commit(staging: staging, manifest: manifest)
    #expect(try store.verify(step: 0) == manifest)
  }

  @Test func everyFlippedByteOfTheManifestIsFound() throws {
    try save(5)
    let path = file(5, "manifest.json")
    let original = try FileSystem.readWhole(path)
    for index in original.indices {
      for mask in [UInt8(1), 0x20, 0xff] {
        var bytes = original
        bytes[index] ^= mask
        try PlainFile.write(path, bytes)
        fault(.data, containing: path) { _ = try store.manifest(step: 5) }
      }
    }
    for bytes in [[], Array(original.dropLast()), original + [0x0a], Array(original.prefix(100))] {
      try PlainFile.write(path, bytes)
      fault(.data, containing: path) { _ = try store.verify(step: 5) }
    }
  }

  @Test func everyFlippedByteOfAShardIsFound() throws {
    try save(5)
    let path = file(5, "shard-00000.safetensors")
    let original = try FileSystem.readWhole(path)
    for index in original.indices {
      var bytes = original
      bytes[index] ^= UInt8(1 << (index % 8))
      try PlainFile.write(path, bytes)
      fault(.data, containing: path, "SHA-256") { _ = try store.verify(step: 5) }
    }
  }

  @Test func truncatedMissingAndForeignShards() throws {
    try save(5)
    let path = file(5, "shard-00001.safetensors")
    let original = try FileSystem.readWhole(path)
    for count in [0, 1, original.count / 2, original.count - 1] {
      try PlainFile.write(path, Array(original.prefix(count)))
      fault(.data, containing: path, "\(count) bytes instead of \(original.count)") { _ = try store.verify(step: 5) }
    }
    unlink(path)
    fault(.data, containing: path, "No such file") { _ = try store.verify(step: 5) }
    try PlainFile.write(path, original)
    _ = try store.verify(step: 5)
    try PlainFile.write(file(5, "shard-00002.safetensors"), original)
    fault(.data, containing: "shard-00002.safetensors", "not part") { _ = try store.verify(step: 5) }
  }

  @Test func shardsOfTwoSavesDoNotMix() throws {
    try save(5, value: 1)
    try save(6, value: 1)
    try PlainFile.write(
      file(6, "shard-00000.safetensors"), FileSystem.readWhole(file(5, "shard-00000.safetensors")))
    fault(.data, containing: file(6, "shard-00000.safetensors")) { _ = try store.verify(step: 6) }
  }

  @Test func manifestOfAnotherStepIsRefused() throws {
    try save(5)
    rename(store.path(step: 5), store.path(step: 7))
    fault(.data, containing: "of step 5") { _ = try store.manifest(step: 7) }
  }

  @Test func linksAndSpecialFilesAreRefused() throws {
    try save(5)
    let path = file(5, "shard-00000.safetensors")
    rename(path, directory("outside"))
    symlink(directory("outside"), path)
    fault(.data, containing: path) { _ = try store.verify(step: 5) }
    unlink(path)
    mkfifo(path, 0o600)
    fault(.data, containing: path) { _ = try store.verify(step: 5) }
  }

  @Test func aLinkIsNoSnapshot() throws {
    try save(5)
    rename(store.path(step: 5), directory("outside"))
    symlink(directory("outside"), store.path(step: 5))
    fault(.data, containing: "not a directory") { _ = try store.verify(step: 5) }
  }

  @Test(arguments: ["../shard", "a/b", "manifest.json", ".hidden", "", "a\u{0}"])
  func namesInAManifestMustBePlain(name: String) throws {
    let staging = try store.begin(step: 1)
    try store.commit(
      staging: staging, manifest: manifest(1, [ShardFile(name: name, bytes: 0, sha256: "")]))
    fault(.data, containing: "plain name", "manifest.json") { _ = try store.verify(step: 1) }
  }

  @Test func aFileListedTwiceIsRefused() throws {
    let staging = try store.begin(step: 1)
    let file = ShardFile(name: "a", bytes: 0, sha256: "")
    try store.commit(staging: staging, manifest: manifest(1, [file, file]))
    fault(.data, containing: "twice") { _ = try store.verify(step: 1) }
  }

  @Test func candidatesAreNumericAndCanonical() throws {
    for name in [
      "step-000010", "step-000009", "step-1000000", "step-999999", "step-0000100", "step-10", "step-abc",
      "step--00001", "other", ".tmp-step-000011", "step-99999999999999999999",
    ] {
      try FileSystem.makeDirectory("\(store.directory)/\(name)")
    }
    #expect(try store.candidates() == [1_000_000, 999_999, 10, 9])
    #expect(try SnapshotStore(directory: "/nonexistent").candidates() == [])
  }

  @Test func pruneKeepsTheNewestSound() throws {
    for step in [8, 9, 10, 11, 999_999, 1_000_000] { try save(step) }
    #expect(try store.prune(keep: 4) == [9, 8])
    #expect(try store.candidates() == [1_000_000, 999_999, 11, 10])
    try PlainFile.write(file(1_000_000, "manifest.json"), [])
    unlink(file(999_999, "shard-00000.safetensors"))
    #expect(try store.prune(keep: 1) == [10])
    #expect(try store.candidates() == [1_000_000, 999_999, 11])
    #expect(try FileSystem.list(store.directory).count == 3)
  }

  @Test func failedAttemptsAreCleanedUp() throws {
    try save(5)
    let staging = try store.begin(step: 6)
    try PlainFile.write("\(staging)/half", [1])
    try FileSystem.makeDirectory("\(store.directory)/.trash-step-000001")
    _ = try store.begin(step: 7)
    #expect(try FileSystem.list(store.directory) == [".tmp-step-000007", "step-000005"])
    #expect(try store.candidates() == [5])
    try store.removeStale()
    #expect(try FileSystem.list(store.directory) == ["step-000005"])
  }

  @Test func savingAStepAgainReplacesIt() throws {
    try save(5, value: 1)
    let second = try save(5, value: 2)
    #expect(try store.verify(step: 5) == second)
    #expect(try FileSystem.list(store.directory) == ["step-000005"])
  }

  @Test func aReplacementCutShortIsUndone() throws {
    let saved = try save(5)
    rename(store.path(step: 5), "\(store.directory)/.old-step-000005")
    #expect(try store.newestVerified { _ in } == saved)
    try FileSystem.makeDirectory("\(store.directory)/.old-step-000005")
    try store.removeStale()
    #expect(try FileSystem.list(store.directory) == ["step-000005"])
    _ = try store.verify(step: 5)
  }

  @Test func damagedNewestFallsBackAndNoneGoodThrows() throws {
    #expect(try store.newestVerified { _ in } == nil)
    try save(1)
    try save(2)
    try save(3)
    try PlainFile.write(file(3, "shard-00000.safetensors"), [])
    var reports: [String] = []
    #expect(try store.newestVerified { reports.append($0.location) }?.step == 2)
    #expect(reports == [file(3, "shard-00000.safetensors")])
    for step in 1...2 { unlink(file(step, "manifest.json")) }
    fault(.data, containing: "none of 3 snapshots", store.directory) { _ = try store.newestVerified { _ in } }
  }

  @Test func unwritableDirectory() {
    fault(.unwritable, containing: "/proc") { _ = try SnapshotStore(directory: "/proc/none").begin(step: 1) }
  }
}
