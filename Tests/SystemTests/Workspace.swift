import Foundation

/// A directory of its own for one test, removed with this object; to be kept in a property of the suite.
final class Workspace: Sendable {
  let path: String

  init(path: String = NSTemporaryDirectory() + "adalign-system-\(UUID().uuidString)") throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in this directory.
  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file and returns its path.
  @discardableResult
  func write(_ name: String, _ contents: some Sequence<UInt8>) throws -> String {
    try Data(contents).write(to: URL(fileURLWithPath: self(name)))
    return self(name)
  }

  /// Writes lines, each with its line end.
  @discardableResult
  func write(_ name: String, lines: [String]) throws -> String {
    try write(name, lines.map { $0 + "\n" }.joined().utf8)
  }

  /// Copies a directory and returns the path of the copy.
  func copy(_ source: String, to name: String) throws -> String {
    try FileManager.default.copyItem(atPath: source, toPath: self(name))
    return self(name)
  }

  func command(_ arguments: [String], ranks: Int? = nil, variables: [String: String] = [:]) -> Command {
    Command(arguments: arguments, ranks: ranks, directory: path, variables: variables)
  }

  /// Runs the program here.
  func adalign(_ arguments: String..., ranks: Int? = nil) async throws -> Outcome {
    try await command(arguments, ranks: ranks).run()
  }
}

/// What a training run leaves in its directory.
struct RunDirectory {
  let path: String

  init(_ path: String) { self.path = path }

  /// Bytes of the final model.
  var weights: Data { get throws { try Data(contentsOf: URL(fileURLWithPath: "\(path)/final/model.safetensors")) } }

  /// Rows of the metrics without the numbers that are measurements.
  var metrics: [String] {
    rows.map { $0.replacing(/,"(seconds[^"]*|overlap)":[^,}]+/, with: "") }
  }

  /// The steps of the metrics, in their order.
  var steps: [Int] {
    rows.compactMap { $0.firstMatch(of: /"step":(\d+)/).flatMap { Int($0.1) } }
  }

  /// Names of the checkpoints, oldest first.
  var checkpoints: [String] { names(in: "\(path)/checkpoints") }

  /// Everything that is there, by path.
  var contents: [String: Data] {
    let all = FileManager.default.subpaths(atPath: path) ?? []
    return all.reduce(into: [:]) { $0[$1] = FileManager.default.contents(atPath: "\(path)/\($1)") ?? Data() }
  }

  /// Everything but locks and where the ranks were, by path; without what it took and where the cache is.
  var results: [String: Data] {
    var results = contents.filter { !$0.key.hasSuffix("lock") && $0.key != "placement.json" }
    for (name, bytes) in results where !name.hasSuffix(".safetensors") {
      let text = String(decoding: bytes, as: UTF8.self)
      results[name] = Data(text.replacing(/,"(seconds[^"]*|overlap)":[^,}]+|cache: [^\n<]+/, with: "").utf8)
    }
    return results
  }

  /// The files that are not the same here and there.
  func differences(from other: RunDirectory) -> [String] {
    let (own, others) = (results, other.results)
    return Set(own.keys).union(others.keys).filter { own[$0] != others[$0] }.sorted()
  }

  /// Which file each name stands for, and when that was written.
  func identities(of names: some Sequence<String>) -> [String: String] {
    names.reduce(into: [:]) { identities, name in
      let facts = try? FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")
      guard let facts, let number = facts[.systemFileNumber], let time = facts[.modificationDate] as? Date else {
        return
      }
      identities[name] = "\(number), \(time.timeIntervalSince1970)"
    }
  }

  /// Flips a bit in the middle of the shard of a checkpoint.
  func damage(_ checkpoint: String) throws {
    let directory = "\(path)/checkpoints/\(checkpoint)"
    let shard = "\(directory)/\(names(in: directory).first { $0.hasSuffix(".safetensors") } ?? "")"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: shard))
  }

  var rows: [String] {
    let text = (try? String(contentsOfFile: "\(path)/metrics.jsonl", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map(String.init)
  }

  private func names(in directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
  }
}
