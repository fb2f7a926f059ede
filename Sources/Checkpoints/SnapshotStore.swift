import AlignmentCore
import Glibc
import JSON

/// The snapshots of one run: complete and verified, or not there at all.
///
/// A snapshot is built in a staging directory, which becomes `step-NNNNNN` by one rename after everything in it is
/// durable. Rank 0 calls everything except `writeShard`, which any rank calls between `begin` and `commit`.
package struct SnapshotStore: Sendable {
  /// The directory that holds the snapshots.
  package let directory: String

  /// Names the directory, which `begin` makes when it is missing.
  package init(directory: String) {
    self.directory = directory
  }

  /// Where the snapshot of a step is or will be.
  package func path(step: Int) -> String { "\(directory)/\(Self.name(step))" }

  /// Steps that have a snapshot directory, newest first; none if there is no directory yet.
  package func candidates() throws -> [Int] {
    guard FileSystem.exists(directory) else { return [] }
    return try FileSystem.list(directory).compactMap(Self.step).sorted(by: >)
  }

  /// Makes an empty staging directory for a step, removes those of failed attempts, and returns its path.
  package func begin(step: Int) throws -> String {
    precondition(step >= 0, "step \(step)")
    try Self.injectFailure(at: .save, step, directory)
    try FileSystem.makeDirectory(directory)
    try removeStale()
    let staging = "\(directory)/\(Self.stagingPrefix)\(Self.name(step))"
    try FileSystem.makeDirectory(staging)
    try FileSystem.syncDirectory(directory)
    return staging
  }

  /// Writes one shard into a staging directory made by rank 0, durably, and says what was written.
  package func writeShard(
    staging: String, name: String, tensors: [TensorSource], metadata: [String: String] = [:]
  ) throws -> ShardFile {
    precondition(Self.isFileName(name), "shard name \(name)")
    let step = Self.stagedStep(staging)
    FaultInjection.reach(.write, step: step)
    try Self.injectFailure(at: .write, step, "\(staging)/\(name)")
    let all = metadata.merging(["format": "pt", "step": String(step)]) { _, fixed in fixed }
    let written = try SafetensorsWriter.write(path: "\(staging)/\(name)", tensors: tensors, metadata: all)
    return ShardFile(name: name, bytes: written.bytes, sha256: written.sha256.hex)
  }

  /// Writes the manifest and makes the snapshot appear; when this returns it survives a power cut.
  ///
  /// A snapshot of the same step that is there already is replaced.
  package func commit(staging: String, manifest: SnapshotManifest) throws {
    precondition(manifest.step == Self.stagedStep(staging), "manifest of step \(manifest.step) in \(staging)")
    FaultInjection.reach(.commit, step: manifest.step)
    try Self.injectFailure(at: .commit, manifest.step, staging)
    try AtomicFile.write("\(staging)/\(Self.manifestName)", manifest.encoded())
    let target = path(step: manifest.step)
    if FileSystem.exists(target) { try replace(target, by: staging) } else { try FileSystem.move(staging, to: target) }
    try FileSystem.syncDirectory(directory)
  }

  /// The manifest of a step, checked against its own digest but not against the files.
  package func manifest(step: Int) throws -> SnapshotManifest {
    let path = "\(self.path(step: step))/\(Self.manifestName)"
    guard FileSystem.isPlainDirectory(self.path(step: step)) else {
      throw Fault(.data, "the snapshot is not a directory", at: self.path(step: step), hint: SnapshotFault.hint)
    }
    let bytes = try SnapshotFault.damaged { try FileSystem.readWhole(path, limit: 1 << 28, followLinks: false) }
    let manifest = try SnapshotManifest(encoded: bytes, path: path)
    guard manifest.step == step else {
      throw Fault(.data, "the manifest is of step \(manifest.step)", at: path, hint: SnapshotFault.hint)
    }
    return manifest
  }

  /// Checks every byte of a snapshot and returns its manifest; throws `.data` naming the damaged file.
  package func verify(step: Int) throws -> SnapshotManifest {
    let manifest = try self.manifest(step: step)
    try checkNames(manifest)
    for file in manifest.files { try check(file, in: path(step: step), contents: true) }
    return manifest
  }

  /// The newest snapshot that verifies, or nil if there are no snapshots at all.
  ///
  /// Cleans up after crashes first. Each damaged one goes to `report`. If there are snapshots but none is good this
  /// throws, because starting from scratch would overwrite them.
  package func newestVerified(report: (Fault) -> Void) throws -> SnapshotManifest? {
    try removeStale()
    let candidates = try self.candidates()
    for step in candidates {
      do { return try verify(step: step) } catch let fault as Fault where fault.kind == .data { report(fault) }
    }
    if candidates.isEmpty { return nil }
    throw Fault(
      .data, "none of \(candidates.count) snapshots is whole", at: directory,
      hint: "restore one, or choose another run directory to start from scratch")
  }

  /// Removes all snapshots older than the newest `count` sound ones, and returns the steps removed.
  ///
  /// Sound here means a good manifest and files of the right size. Each goes by a rename first, so that a crash never
  /// leaves half a snapshot under its name.
  @discardableResult
  package func prune(keep count: Int) throws -> [Int] {
    precondition(count >= 1, "keeping \(count) snapshots")
    var sound = 0
    var removed: [Int] = []
    for step in try candidates() {
      if sound < count {
        sound += isSound(step) ? 1 : 0
      } else {
        try discard(step)
        removed.append(step)
      }
    }
    return removed
  }

  /// Removes what crashes left: staging directories and snapshots whose removal or replacement was cut short.
  package func removeStale() throws {
    guard FileSystem.exists(directory) else { return }
    for name in try FileSystem.list(directory) {
      let path = "\(directory)/\(name)"
      if name.hasPrefix(Self.stagingPrefix) || name.hasPrefix(Self.trashPrefix) { try FileSystem.removeTree(path) }
      if name.hasPrefix(Self.replacedPrefix) { try settleReplacement(path) }
    }
  }
}

extension SnapshotStore {
  /// The file whose presence, inside a `step-` directory, makes a snapshot.
  static let manifestName = "manifest.json"
  /// Begins the names of directories being built.
  static let stagingPrefix = ".tmp-"
  /// Begins the names of directories being removed.
  static let trashPrefix = ".trash-"
  /// Begins the names of snapshots being replaced.
  static let replacedPrefix = ".old-"

  /// The directory name of a step, with at least six digits.
  static func name(_ step: Int) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  /// The step of a directory name; only the canonical spelling counts, not `step-0000001` or `step-+00001`.
  static func step(_ name: String) -> Int? {
    guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, self.name(step) == name else {
      return nil
    }
    return step
  }

  /// Whether a shard may be called this.
  static func isFileName(_ name: String) -> Bool {
    FileSystem.isPlainName(name) && name != manifestName && !name.hasPrefix(".")
  }

  private static func injectFailure(at point: FaultInjection.Point, _ step: Int, _ path: String) throws {
    guard let code = FaultInjection.failure(at: point, step: step) else { return }
    throw Fault.system(.unwritable, "cannot write file", path, code)
  }

  private static func stagedStep(_ staging: String) -> Int {
    guard let step = step(String(FileSystem.name(of: staging).dropFirst(stagingPrefix.count))) else {
      preconditionFailure("\(staging) is not a staging directory")
    }
    return step
  }

  // Between the two renames the old snapshot is under a name of its own, from which `removeStale` brings it back.
  private func replace(_ target: String, by staging: String) throws {
    let old = "\(directory)/\(Self.replacedPrefix)\(FileSystem.name(of: target))"
    try FileSystem.removeTree(old)
    try FileSystem.move(target, to: old)
    try FileSystem.move(staging, to: target)
    try FileSystem.syncDirectory(directory)
    try FileSystem.removeTree(old)
  }

  private func settleReplacement(_ old: String) throws {
    let target = "\(directory)/\(FileSystem.name(of: old).dropFirst(Self.replacedPrefix.count))"
    guard !FileSystem.exists(target) else { return try FileSystem.removeTree(old) }
    try FileSystem.move(old, to: target)
    try FileSystem.syncDirectory(directory)
  }

  private func discard(_ step: Int) throws {
    let trash = "\(directory)/\(Self.trashPrefix)\(Self.name(step))"
    try FileSystem.removeTree(trash)
    try FileSystem.move(path(step: step), to: trash)
    try FileSystem.syncDirectory(directory)
    try FileSystem.removeTree(trash)
  }

  private func isSound(_ step: Int) -> Bool {
    guard let manifest = try? manifest(step: step) else { return false }
    return manifest.files.allSatisfy { (try? check($0, in: path(step: step), contents: false)) != nil }
  }

  private func checkNames(_ manifest: SnapshotManifest) throws {
    let directory = path(step: manifest.step)
    let listed = Set(manifest.files.map { ByteString($0.name) })
    let names = try SnapshotFault.damaged { try FileSystem.list(directory) }
    for name in names where name != Self.manifestName && !name.hasPrefix(".") && !listed.contains(ByteString(name)) {
      throw Fault(.data, "the file is not part of this snapshot", at: "\(directory)/\(name)", hint: SnapshotFault.hint)
    }
  }

  private func check(_ file: ShardFile, in directory: String, contents: Bool) throws {
    let path = "\(directory)/\(file.name)"
    let reader = try SnapshotFault.damaged { try FileReader(path: path, followLinks: false) }
    guard reader.size == file.bytes else {
      throw Fault(
        .data, "damaged snapshot: \(reader.size) bytes instead of \(file.bytes)", at: path, hint: SnapshotFault.hint)
    }
    guard contents else { return }
    guard try SnapshotFault.damaged({ try SHA256.digest(of: reader).hex }) == file.sha256 else {
      throw Fault(.data, "damaged snapshot: SHA-256 does not match the manifest", at: path, hint: SnapshotFault.hint)
    }
  }
}

private enum SnapshotFault {
  static let hint = "an older snapshot can be used"

  // A file of a snapshot that is missing or unreadable is damage, not a wrong path given by the user.
  static func damaged<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let fault as Fault where fault.kind == .missingInput {
      throw Fault(.data, "damaged snapshot: \(fault.what)", at: fault.location, hint: hint)
    }
  }
}
