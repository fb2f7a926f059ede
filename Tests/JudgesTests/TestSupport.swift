import AlignmentCore
import Checkpoints
import Glibc
import Judges
import Synchronization
import Testing

/// A directory of its own for one test, removed at the end.
final class TemporaryDirectory: Sendable {
  let path: String

  /// In memory where that can be: the tests commit thousands of times, and a disk takes its time for each.
  init() throws {
    let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    path = "\(parent)/adalign-judges-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    try FileSystem.makeDirectory(path)
  }

  deinit { try? FileSystem.removeTree(path) }

  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Every byte of every file.
  func contents() throws -> [UInt8] {
    try FileSystem.list(path).flatMap { try FileSystem.readWhole(self($0)) }
  }
}

/// A clock that stands still but for the pauses, which it writes down.
final class FakeTime: Sendable {
  private let state: Mutex<(now: Double, pauses: [Double])>

  init(now: Double = 784_111_777) { state = Mutex((now, [])) }

  var pauses: [Double] { state.withLock { $0.pauses } }

  var waiting: Waiting {
    Waiting(
      now: { [self] in state.withLock { $0.now } },
      pause: { [self] seconds in
        state.withLock { state in
          state.now += seconds
          state.pauses.append(seconds)
        }
      })
  }
}

/// The key that the tests' environment holds; it must not be in any file.
let secret = "sk-test-7Hq2/Zx9\"wL0\\Vb3"

/// The environment variable that holds it. Those of all tests are set together, before any thread reads one.
let keyVariable: String = {
  let values = [
    "KEY": secret, "EMPTY": " \n", "BROKEN": "sk-one\r\nX-Evil: two", "SPACED": " sk-spaced-key\n", "SHORT": "EMPTY",
  ]
  for (name, value) in values { setenv("ADALIGN_TEST_\(name)", value, 1) }
  return "ADALIGN_TEST_KEY"
}()

/// Settings for a scripted server and a store of the test's own.
func settings(_ url: String, _ directory: TemporaryDirectory, _ change: (inout APISettings) -> Void = { _ in })
  -> APISettings
{
  var settings = APISettings()
  settings.baseURL = url
  settings.model = "judge-1"
  settings.keyVariable = keyVariable
  settings.storePath = directory("answers.sqlite")
  settings.concurrency = 1
  change(&settings)
  return settings
}

/// A question with the options A and B.
func question(_ text: String) -> JudgePrompt {
  JudgePrompt(system: "Judge.", user: text, options: ["A", "B"])
}

/// The fault that `body` throws; records an issue if it throws none.
@discardableResult
func fault(
  _ kind: Fault.Kind, containing words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) -> Fault? {
  do {
    try body()
    Issue.record("no fault was thrown", sourceLocation: sourceLocation)
  } catch let fault as Fault {
    #expect(fault.kind == kind, "\(fault)", sourceLocation: sourceLocation)
    for word in words {
      #expect(fault.description.contains(word), "\(fault)", sourceLocation: sourceLocation)
    }
    return fault
  } catch {
    Issue.record(error, sourceLocation: sourceLocation)
  }
  return nil
}
