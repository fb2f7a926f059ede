import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#endif

extension SystemTests {
  /// Needs the right to mount a file system of its own; skipped without it.
  @Suite(.enabled(if: SmallDisk.isPossible, "needs the right to mount a tmpfs"))
  struct FullDisk {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    @Test("a full disk is named and costs no checkpoint that was whole", arguments: [nil, 2])
    func checkpoints(ranks: Int?) async throws {
      let disk = try SmallDisk(at: workspace("disk"), kilobytes: 900)
      let outcome = try await train(ranks)
      #expect(outcome.status == 73)
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("No space left on device"), "\(outcome.stderr)")
      #expect(outcome.faults.first?.contains(workspace("disk/run")) == true)
      #expect(run.checkpoints.contains { $0.hasPrefix("step-") })
      try disk.grow(kilobytes: 9000)
      let resumed = try await train(ranks)
      #expect(resumed.status == 0, "\(resumed.stderr)")
      #expect(!resumed.stderr.contains("damaged"))
      #expect(try run.weights == fixture.reference.weights)
      #expect(run.metrics == fixture.reference.metrics)
    }

    @Test("scores that do not fit do not appear")
    func scores() async throws {
      let disk = try SmallDisk(at: workspace("disk"), kilobytes: 4)
      let outcome = try await workspace.adalign(
        "score", "--model", fixture.model, "--data", fixture.pairs, "--output", workspace("disk/out.jsonl"))
      #expect(outcome.status == 73)
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("No space left on device"), "\(outcome.stderr)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
    }

    private var run: RunDirectory { RunDirectory(workspace("disk/run")) }

    private func train(_ ranks: Int?) async throws -> Outcome {
      try await workspace.adalign("train", fixture.recipe, "run=\(run.path)", "checkpoint.every=2", ranks: ranks)
    }
  }
}

/// A file system in memory, unmounted with this object.
private final class SmallDisk {
  let path: String

  init(at path: String, kilobytes: Int) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(kilobytes)k") == 0 else { throw POSIXError(.init(rawValue: errno)!) }
  }

  deinit {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }

  func grow(kilobytes: Int) throws {
    guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(kilobytes)k") == 0 else {
      throw POSIXError(.init(rawValue: errno)!)
    }
  }

  static let isPossible = (try? SmallDisk(at: NSTemporaryDirectory() + "adalign-disk-\(getpid())", kilobytes: 4)) != nil
}
