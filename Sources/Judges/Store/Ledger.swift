import AlignmentCore

/// Reserves from a budget before each request and settles behind it, for all threads of this process.
///
/// What requests under way have reserved may come back when they end. So a request that the budget does not cover waits
/// for them; it is refused only when none is under way.
///
/// `@unchecked Sendable`: what changes is touched under `monitor` only.
final class Ledger: @unchecked Sendable {
  private let store: AnswerStore
  private let budget: Budget
  private let time: @Sendable () -> String
  private let monitor = Monitor()
  /// Requests that have, or are about to have, a reservation.
  private var underWay = 0
  /// Requests that have ended.
  private var ended = 0
  private var spent = Spending()

  init(store: AnswerStore, budget: Budget, time: @escaping @Sendable () -> String) {
    self.store = store
    self.budget = budget
    self.time = time
  }

  /// What this process has spent.
  var total: Spending { monitor.locked { spent } }

  /// Reserves the most that a request can take; nil where the budget is used up.
  func reserve(_ bound: Spending) throws -> Reservation? {
    while true {
      let before = monitor.locked {
        underWay += 1
        return ended
      }
      do {
        if let reservation = try store.reserve(bound, from: budget, at: time()) { return reservation }
      } catch {
        leave()
        throw error
      }
      guard waitForEnd(since: before) else { return nil }
    }
  }

  /// Waits until a request has ended since `before`; false if none is under way that could.
  private func waitForEnd(since before: Int) -> Bool {
    leave()
    return monitor.locked {
      while ended == before, underWay > 0 { monitor.wait() }
      return ended != before
    }
  }

  /// Ends a request that got no answer.
  func settle(_ reservation: Reservation, spent amount: Spending) throws {
    defer { leave(spent: amount) }
    try store.settle(reservation, spent: amount)
  }

  /// Ends a request and keeps its answer; returns the answer to be used.
  ///
  /// - Parameters:
  ///   - earlier: what the tries before it took.
  func keep(
    _ response: String, to request: ChatRequest, from server: String, settling reservation: Reservation,
    spent amount: Spending, earlier: Spending
  ) throws -> StoredAnswer {
    defer { leave(spent: amount) }
    return try store.keep(
      StoredAnswer(response: response, spent: earlier + amount), to: request, from: server, settling: reservation,
      spent: amount, at: time())
  }

  /// - Parameters:
  ///   - amount: what a request took; nil where none was sent.
  private func leave(spent amount: Spending? = nil) {
    monitor.locked {
      underWay -= 1
      ended += amount == nil ? 0 : 1
      spent = spent + (amount ?? Spending())
      monitor.wakeAll()
    }
  }
}
