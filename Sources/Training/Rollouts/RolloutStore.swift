import AlignmentCore
import Checkpoints
import Collectives
import Logging
import PreferenceData

/// The files of a run's rollouts: what each stage has finished, so that a run that was killed does not do it again.
///
/// A rollout is a directory; a stage is a file that appears when it is complete.
struct RolloutStore {
  let directory: String
  let communicator: any Communicator

  /// Begins a rollout: what its directory has is gone on with, but nothing of it if it follows from something else.
  ///
  /// - Parameters:
  ///   - key: what the first stage, called `name`, follows from; later stages follow from the first.
  func begin(_ number: Int, key: String, name: String) throws {
    try communicator.doOnRankZero {
      let directory = path(number)
      guard FileSystem.exists(directory), !hasSamples(number, key: key, name: name) else { return }
      try FileSystem.removeTree(directory)
    }
  }

  private func hasSamples(_ number: Int, key: String, name: String) -> Bool {
    (try? TokenizedDataset(path: "\(path(number))/\(name).tokens"))?.key == key
  }

  /// The samples of a rollout, from their file or made now.
  ///
  /// - Parameters:
  ///   - key: what the samples follow from; a file of another key is made again.
  func samples(_ number: Int, key: String, name: String, _ make: () throws -> [EncodedExample]) throws
    -> TokenizedDataset
  {
    let path = "\(path(number))/\(name).tokens"
    let isThere = try communicator.agree { hasSamples(number, key: key, name: name) }
    if !isThere {
      let examples = try make()
      try communicator.doOnRankZero {
        try FileSystem.makeDirectory(self.path(number))
        try TokenizedDataset.write(examples, to: path, key: key)
      }
    }
    return try TokenizedDataset(path: path)
  }

  /// The numbers of a stage, from their file or made now.
  func numbers(_ number: Int, name: String, _ make: () throws -> [Double]) throws -> [Double] {
    let path = "\(path(number))/\(name).numbers"
    var bytes = communicator.rank == 0 ? NumberFile.read(path) ?? [] : []
    bytes = try communicator.broadcast(bytes)
    guard bytes.isEmpty else { return NumberFile.numbers(bytes) }
    let values = try make()
    try communicator.doOnRankZero { try NumberFile.write(values, to: path) }
    return values
  }

  /// Adds a file for people.
  func note(_ number: Int, name: String, _ lines: () throws -> [[UInt8]]) throws {
    guard communicator.rank == 0, !FileSystem.exists("\(path(number))/\(name)") else { return }
    replace(number, name: name, try lines())
  }

  /// Writes a file for people anew.
  func replace(_ number: Int, name: String, _ lines: [[UInt8]]) {
    guard communicator.rank == 0 else { return }
    do { try AtomicFile.write("\(path(number))/\(name)", lines.flatMap { $0 + [UInt8(ascii: "\n")] }) } catch {
      log.warning("a file for people cannot be written (\(error)); training goes on")
    }
  }

  /// Removes the rollouts before a number.
  func prune(before number: Int) throws {
    guard communicator.rank == 0, FileSystem.isDirectory(directory) else { return }
    for name in try FileSystem.list(directory) {
      if let old = Int(name), old < number { try FileSystem.removeTree("\(directory)/\(name)") }
    }
  }

  private func path(_ number: Int) -> String { "\(directory)/\(number.padded(to: 6))" }
}
