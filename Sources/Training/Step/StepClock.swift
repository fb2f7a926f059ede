import AlignmentCore
import Collectives

/// Tells where the time of a rank's step goes: computing, waiting for others, or updating.
final class StepClock {
  /// A moment, and the seconds that this thread had waited for others by then.
  struct Moment {
    fileprivate let seconds: Double
    fileprivate let waited: Double
  }

  private let exchange: StepExchange
  private var beginning = Moment(seconds: 0, waited: 0)
  /// Seconds of communication in exchanges before the step.
  private var communicated = 0.0
  /// Seconds of this thread's own collectives in the step so far.
  private var collectiveSeconds = 0.0
  private var computed = 0.0
  /// Of the last step that ended.
  private(set) var times = PhaseTimes()

  init(_ exchange: StepExchange) { self.exchange = exchange }

  func begin() {
    collectiveSeconds = 0
    communicated = exchange.communicationSeconds
    beginning = now
  }

  /// The model has been computed; the rest is the optimiser's.
  func endComputation() { computed = passed(since: beginning) }

  func end() {
    times = PhaseTimes()
    times.compute = computed
    times.wait = waited - beginning.waited
    times.optimizer = passed(since: beginning) - computed
    times.communication = exchange.communicationSeconds - communicated + collectiveSeconds
  }

  var now: Moment { Moment(seconds: MonotonicClock.seconds, waited: waited) }

  /// Seconds since then that were not spent waiting.
  func passed(since start: Moment) -> Double {
    MonotonicClock.seconds - start.seconds - (waited - start.waited)
  }

  /// Counts the time of a collective as waiting.
  func collectively(_ body: () throws -> Void) rethrows {
    let started = MonotonicClock.seconds
    defer { collectiveSeconds += MonotonicClock.seconds - started }
    try body()
  }

  /// Seconds of waiting in exchanges ever, and in this step's collectives.
  private var waited: Double { exchange.waitSeconds + collectiveSeconds }
}
