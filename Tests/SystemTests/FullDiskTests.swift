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

    @Test("a disk that stays full is named, and costs no checkpoint that was whole", arguments: [nil, 2])
    func checkpoints(ranks: Int?) async throws {
      let disk = try SmallDisk(at: workspace("disk"), kilobytes: 900)
      let outcome = try await train(ranks)
      #expect(outcome.status == 74)
      #expect(outcome.stderr.contains("checkpoints may fail"))
      #expect(outcome.stderr.split(separator: "\n").count { $0.contains("training goes on and tries again") } == 1)
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

    @Test("a disk on which not even one checkpoint fits is refused before the first step", arguments: [nil, 2])
    func tooSmall(ranks: Int?) async throws {
      let disk = try SmallDisk(at: workspace("disk"), kilobytes: 200)
      let outcome = try await train(ranks)
      #expect(outcome.status == 73)
      #expect(
        outcome.faults.count == 1 && outcome.faults[0].contains(/a checkpoint needs \d+ KiB/), "\(outcome.stderr)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
    }

    @Test("a run directory that cannot be written is refused at once", arguments: [nil, 2])
    func readOnly(ranks: Int?) async throws {
      let disk = try SmallDisk(at: workspace("disk"), kilobytes: 9000)
      try FileManager.default.createDirectory(atPath: run.path, withIntermediateDirectories: true)
      try disk.makeReadOnly()
      let outcome = try await train(ranks)
      #expect(outcome.status == 73 && outcome.seconds < 10)
      #expect(outcome.faults.count == 1 && outcome.faults[0].contains("Read-only file system"), "\(outcome.stderr)")
    }

    // Rows that fit again later must not be spoilt by half of one that did not.
    @Test("metrics that do not fit cost rows and one warning, not the run")
    func metrics() async throws {
      let disk = try SmallDisk(at: workspace("disk"), kilobytes: 16)
      try FileManager.default.createDirectory(atPath: run.path, withIntermediateDirectories: true)
      let checkpoints = workspace("checkpoints")
      try FileManager.default.createDirectory(atPath: checkpoints, withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(atPath: "\(run.path)/checkpoints", withDestinationPath: checkpoints)
      let outcome = try await train(2)
      // The model does not fit either.
      #expect(outcome.status == 73)
      #expect(outcome.stderr.split(separator: "\n").count { $0.contains("metrics.jsonl: cannot be written") } == 1)
      #expect(outcome.stderr.contains("step 60/60"), "\(outcome.stderr)")
      #expect(run.checkpoints == ["step-000058", "step-000060"])
      #expect(run.rows.allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") } && run.rows.count > 5)
      withExtendedLifetime(disk) {}
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

  func makeReadOnly() throws {
    guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0 else {
      throw POSIXError(.init(rawValue: errno)!)
    }
  }

  static let isPossible = (try? SmallDisk(at: NSTemporaryDirectory() + "adalign-disk-\(getpid())", kilobytes: 4)) != nil
}
