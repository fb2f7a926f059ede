import Foundation
import Testing

extension SystemTests {
  /// Weights that do not change are in memory once for all ranks of a host.
  @Suite struct SharedWeights {
    let fixture: Fixture
    let workspace: Workspace

    init() async throws {
      fixture = try await Fixture.shared
      workspace = try Workspace()
    }

    @Test(
      "two ranks have half of the pages each",
      arguments: [
        ("base weights", ["objective.name=dpo", "lora.rank=2"]),
        ("reference weights", ["objective.name=kto", "objective.kl=mismatched"]),
      ])
    func halves(purpose: String, settings: [String]) async throws {
      let run = workspace("run")
      let command = try workspace.command(
        ["train", fixture.recipe, "run=\(run)", "steps=100000"] + settings, ranks: 2
      ).start()
      let pages: [Pages]
      do {
        // When the first step is done, every weight has been read.
        try await eventually("a step", within: 60) { RunDirectory(run).steps.count > 1 }
        pages = command.ranks.compactMap { Pages(of: purpose, in: $0) }
      } catch {
        command.send(SIGKILL)
        throw error
      }
      command.send(SIGTERM)
      _ = try await command.outcome()
      #expect(pages.count == 2)
      for rank in pages {
        #expect(rank.resident > 0 && rank.resident == rank.size, "all of it is in memory")
        #expect(2 * rank.proportional == rank.resident, "\(rank)")
        #expect(rank.dirty == 0, "no rank has pages of its own")
      }
    }
  }
}

/// What /proc/PID/smaps says of a shared mapping, in KiB.
private struct Pages: CustomStringConvertible {
  var size = 0
  var resident = 0
  var proportional = 0
  var dirty = 0

  init?(of purpose: String, in process: pid_t) {
    guard let bytes = try? FileHandle(forReadingAtPath: "/proc/\(process)/smaps")?.readToEnd() else { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    guard let start = text.range(of: "/memfd:adalign \(purpose)") else { return nil }
    var values: [String: Int] = [:]
    for line in text[start.upperBound...].split(separator: "\n").dropFirst().prefix(20) {
      let fields = line.split(separator: " ")
      if fields.count > 1, let value = Int(fields[1]), values[String(fields[0])] == nil {
        values[String(fields[0])] = value
      }
    }
    size = values["Size:"] ?? 0
    resident = values["Rss:"] ?? 0
    proportional = values["Pss:"] ?? 0
    dirty = values["Private_Dirty:"] ?? 0
  }

  var description: String { "size \(size), resident \(resident), proportional \(proportional), dirty \(dirty)" }
}
