import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Faults that somebody asks for, to see that a run survives them. They are in the program as it is shipped, so that what
/// is tested is what is used; without the environment variable `ADALIGN_FAULTS` a point costs one branch.
///
///     ADALIGN_FAULTS="kill@save:rank=1:step=20,fail=ENOSPC@write:times=3"
///
///     rules     = rule { "," rule }
///     rule      = action [ "@" condition { ":" condition } ]
///     action    = "kill" | "pause" | "delay=" SECONDS | "fail=" ERRNO | "nan" | "flip"
///     condition = point | "rank=" NUMBER | "step=" NUMBER | "times=" NUMBER
///
/// Steps count from 1 as in `metrics.jsonl`; a rule strikes once unless `times` says otherwise, on every rank unless `rank`
/// says which. docs/reliability.md explains actions and points.
package final class FaultInjection: Sendable {
  /// A place in the program where faults can happen.
  package enum Point: String, CaseIterable, Sendable {
    /// Weights are about to be read.
    case load
    /// A step begins.
    case step
    /// The gradient of a unit has been computed.
    case gradient
    /// The sums of all ranks are about to be added.
    case allreduce
    /// The parameters are about to be updated.
    case update
    /// The parameters have been updated.
    case weights
    case evaluation
    case sampling
    /// A judge is about to be asked.
    case judge
    /// A checkpoint begins.
    case save
    /// A rank is about to write its shard.
    case write
    /// All shards are durable; rank 0 is about to make the checkpoint appear.
    case commit
    /// The final model is about to be written.
    case export
  }

  /// What happens there.
  package enum Action: Equatable, Sendable {
    /// SIGKILL, as from the system when memory is short.
    case kill
    /// SIGSTOP: the process hangs until SIGCONT.
    case pause
    case delay(seconds: Double)
    /// A call of the system fails with this code.
    case fail(code: Int32)
    /// A number of the unit's gradient is no number.
    case nan
    /// A bit of a weight flips.
    case flip
  }

  /// One rule of the plan.
  package struct Rule: Equatable, Sendable {
    package var action: Action
    package var point: Point
    package var rank: Int?
    package var step: Int?
    package var times: Int

    package init(action: Action, point: Point, rank: Int? = nil, step: Int? = nil, times: Int = 1) {
      (self.action, self.point, self.rank, self.step, self.times) = (action, point, rank, step, times)
    }
  }

  /// The variable of the environment that holds the rules.
  package static let variable = "ADALIGN_FAULTS"

  // Written once by `begin`, before there is a second thread; only read from then on.
  private nonisolated(unsafe) static var plan: FaultInjection?

  private let rules: [Rule]
  private let rank: Int
  private let strikesLeft: Mutex<[Int]>
  private let step = Atomic(0)

  private init(_ rules: [Rule], rank: Int) {
    self.rules = rules
    self.rank = rank
    strikesLeft = Mutex(rules.map(\.times))
  }

  /// Takes the rules of the environment into force, for the life of the process.
  ///
  /// - Returns: the rules, if there are any; whoever starts a run says so.
  /// - Throws: ``Fault`` of kind `usage` for a rule that is none.
  package static func begin(rank: Int) throws -> String? {
    guard let value = getenv(variable) else { return nil }
    let text = String(cString: value)
    let rules = try parse(text)
    plan = rules.isEmpty ? nil : FaultInjection(rules, rank: rank)
    return rules.isEmpty ? nil : text
  }

  /// Tells which step has begun, counted from 1.
  @inline(__always)
  package static func beginStep(_ step: Int) {
    guard let plan else { return }
    plan.step.store(step, ordering: .relaxed)
    plan.strike(.step, step: nil)
  }

  /// A point of the program: here it may be killed, stopped or delayed.
  ///
  /// - Parameters:
  ///   - step: where it is not the step that began last.
  @inline(__always)
  package static func reach(_ point: Point, step: Int? = nil) {
    guard let plan else { return }
    plan.strike(point, step: step)
  }

  /// The code with which a call of the system fails here; nil if it shall not.
  @inline(__always)
  package static func failure(at point: Point, step: Int? = nil) -> Int32? {
    guard let plan else { return nil }
    return plan.failure(point, step: step)
  }

  /// Whether a number is spoilt here.
  @inline(__always)
  package static func spoils(_ action: Action, at point: Point) -> Bool {
    guard let plan else { return false }
    return plan.due(point, step: nil) { $0 == action } != nil
  }
}

// MARK: - Striking

extension FaultInjection {
  private func strike(_ point: Point, step: Int?) {
    let action = due(point, step: step) { action in
      switch action {
      case .kill, .pause, .delay: true
      case .fail, .nan, .flip: false
      }
    }
    switch action {
    case .kill: kill(getpid(), SIGKILL)
    case .pause: raise(SIGSTOP)
    case .delay(let seconds): usleep(UInt32(seconds * 1e6))
    case .fail, .nan, .flip, nil: break
    }
  }

  private func failure(_ point: Point, step: Int?) -> Int32? {
    let action = due(point, step: step) { if case .fail = $0 { true } else { false } }
    guard case .fail(let code) = action else { return nil }
    return code
  }

  /// The action of the first rule that holds here and now, which it counts.
  private func due(_ point: Point, step: Int?, _ isMeant: (Action) -> Bool) -> Action? {
    let current = step ?? self.step.load(ordering: .relaxed)
    return strikesLeft.withLock { left in
      let index = rules.indices.first { index in
        let rule = rules[index]
        return left[index] > 0 && rule.point == point && isMeant(rule.action)
          && (rule.rank ?? rank) == rank && (rule.step ?? current) == current
      }
      guard let index else { return nil }
      left[index] -= 1
      return rules[index].action
    }
  }
}

// MARK: - Reading

extension FaultInjection {
  private static let codes: [String: Int32] = [
    "ENOSPC": ENOSPC, "EIO": EIO, "EDQUOT": EDQUOT, "EMFILE": EMFILE, "EROFS": EROFS,
  ]

  /// Reads rules; an empty text has none.
  package static func parse(_ text: String) throws -> [Rule] {
    try text.split(separator: ",").map { try rule(String($0)) }
  }

  private static func rule(_ text: String) throws -> Rule {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let action = try action(parts[0], of: text)
    let points = points(of: action)
    var rule = Rule(action: action, point: points[0])
    for condition in parts.count > 1 ? parts[1].split(separator: ":", omittingEmptySubsequences: false) : [] {
      try apply(String(condition), to: &rule, of: text)
    }
    guard points.contains(rule.point) else {
      throw wrong(text, "\(parts[0]) happens at \(points.map(\.rawValue).joined(separator: ", ")) only")
    }
    return rule
  }

  private static func action(_ text: String, of rule: String) throws -> Action {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    switch (parts[0], parts.count > 1 ? parts[1] : nil) {
    case ("kill", nil): return .kill
    case ("pause", nil): return .pause
    case ("nan", nil): return .nan
    case ("flip", nil): return .flip
    case ("delay", let value?):
      guard let seconds = Double(value), (0...3600).contains(seconds) else {
        throw wrong(rule, "a delay is from 0 to 3600 seconds")
      }
      return .delay(seconds: seconds)
    case ("fail", let value?):
      guard let code = codes[value] else {
        throw wrong(rule, "a call fails with \(codes.keys.sorted().joined(separator: ", "))")
      }
      return .fail(code: code)
    default: throw wrong(rule, "actions are kill, pause, delay=SECONDS, fail=CODE, nan and flip")
    }
  }

  private static func apply(_ condition: String, to rule: inout Rule, of text: String) throws {
    let parts = condition.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else {
      guard let point = Point(rawValue: condition) else {
        throw wrong(text, "points are \(Point.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      rule.point = point
      return
    }
    guard let number = Int(parts[1]), number >= 0 else { throw wrong(text, "\(parts[0]) is a number from 0 up") }
    switch parts[0] {
    case "rank": rule.rank = number
    case "step": rule.step = number
    case "times": rule.times = number
    default: throw wrong(text, "conditions are a point, rank=, step= and times=")
    }
  }

  /// Where an action can happen; the first place is meant if its rule names none.
  private static func points(of action: Action) -> [Point] {
    switch action {
    case .kill, .pause, .delay: [.step] + Point.allCases
    case .fail: [.write, .save, .commit]
    case .nan: [.gradient]
    case .flip: [.weights]
    }
  }

  private static func wrong(_ rule: String, _ why: String) -> Fault {
    Fault(.usage, "\"\(rule)\" is no fault to be injected: \(why)", at: variable, hint: "see docs/reliability.md")
  }
}
