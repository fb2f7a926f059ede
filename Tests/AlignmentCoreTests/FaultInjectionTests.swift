import AlignmentCore
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct FaultInjectionTests {
  typealias Rule = FaultInjection.Rule

  @Test func rulesAreRead() throws {
    #expect(try FaultInjection.parse("") == [])
    #expect(
      try FaultInjection.parse("kill@save:rank=1:step=20,fail=ENOSPC@times=3,nan@step=7:rank=0,flip,delay=0.5@judge")
        == [
          Rule(action: .kill, point: .save, rank: 1, step: 20),
          Rule(action: .fail(code: ENOSPC), point: .write, times: 3),
          Rule(action: .nan, point: .gradient, rank: 0, step: 7),
          Rule(action: .flip, point: .weights),
          Rule(action: .delay(seconds: 0.5), point: .judge),
        ])
  }

  @Test(
    "what is no rule is refused with what would be one",
    arguments: [
      ("burn@save", "actions are"), ("kill@nowhere", "points are"), ("kill@save:when=3", "conditions are"),
      ("kill@rank=-1", "number from 0 up"), ("fail=EWHAT", "ENOSPC"), ("fail@write", "actions are"),
      ("delay=long", "seconds"), ("nan@save", "at gradient only"), ("fail=EIO@judge", "at write, save, commit only"),
      ("kill@", "points are"), ("kill=9", "actions are"),
    ])
  func refused(text: String, words: String) {
    do {
      let rules = try FaultInjection.parse(text)
      Issue.record("\(rules)")
    } catch {
      #expect((error as? Fault)?.kind == .usage)
      #expect("\(error)".contains("\"\(text)\"") && "\(error)".contains(words), "\(error)")
    }
  }
}

@Suite struct BackgroundTaskTests {
  @Test func theValueArrives() {
    let task = BackgroundTask {
      usleep(20_000)
      return 42
    }
    #expect(task.result() == 42 && task.isFinished && task.wait(seconds: 0))
  }

  @Test func waitingEndsBeforeASlowTask() {
    let task = BackgroundTask { sleep(2) }
    #expect(!task.wait(seconds: 0) && !task.wait(seconds: 1))
    _ = task.result()
    #expect(task.isFinished)
  }
}
