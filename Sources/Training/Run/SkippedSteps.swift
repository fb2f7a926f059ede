import AlignmentCore
import JSON
import Logging

/// What becomes of steps whose loss or gradient is not finite: the same on every rank, because all see the same fault.
struct SkippedSteps {
  private let settings: RunConfiguration.NonFiniteSettings
  private var inARow = 0
  private var total = 0

  init(_ settings: RunConfiguration.NonFiniteSettings) { self.settings = settings }

  /// The result of a step, or nil if it was skipped, with all weights as they were.
  ///
  /// - Throws: ``Fault`` of kind `nonFinite` where steps may not be skipped, or too many were in a row.
  mutating func unlessSkipped<Result>(_ step: Int, isRankZero: Bool, _ body: () throws -> Result) throws -> Result? {
    do {
      let result = try body()
      inARow = 0
      return result
    } catch let fault as Fault where fault.kind == .nonFinite && settings.action == .skip {
      inARow += 1
      total += 1
      guard inARow <= settings.mostSkips else {
        throw Fault(
          .nonFinite, "\(inARow) steps in a row are not finite; \(fault.what)", at: fault.location, hint: fault.hint)
      }
      if isRankZero { log.warning("step \(step + 1) is skipped: \(fault)") }
      return nil
    }
  }

  /// For the log, once there is something to tell.
  var metrics: [(String, JSONValue)] { total == 0 ? [] : [("skipped", .integer(Int64(total)))] }
}
