import AlignmentCore
import Synchronization

/// Hands questions to threads in order and gathers what they found out.
final class QuestionBoard: Sendable {
  private struct State {
    var next = 0
    var done = 0
    var answers: [JudgeAnswer?]
    var tally = LabellingReport()
    var fault: (any Error)?
  }

  private let questions: [JudgePrompt]
  private let mostUnanswered: Int
  private let onProgress: @Sendable (Int, Int) -> Void
  private let state: Mutex<State>

  /// - Parameters:
  ///   - mostUnanswered: questions that may stay unanswered before nothing more is asked.
  init(_ questions: [JudgePrompt], mostUnanswered: Int, onProgress: @escaping @Sendable (Int, Int) -> Void) {
    self.questions = questions
    self.mostUnanswered = mostUnanswered
    self.onProgress = onProgress
    state = Mutex(State(answers: [JudgeAnswer?](repeating: nil, count: questions.count)))
  }

  /// The next question and its place; nil where there is none, or no use in asking it.
  func next() -> (Int, JudgePrompt)? {
    state.withLock { state in
      guard state.fault == nil, state.next < questions.count else { return nil }
      defer { state.next += 1 }
      return (state.next, questions[state.next])
    }
  }

  func put(_ outcome: Questioner.Outcome, at place: Int) {
    let done = state.withLock { state in
      state.answers[place] = outcome.answer
      state.tally.add(outcome.tally)
      state.done += 1
      if state.fault == nil { state.fault = outcome.fault ?? excess(state.tally) }
      return state.done
    }
    onProgress(done, questions.count)
  }

  private func excess(_ tally: LabellingReport) -> Fault? {
    guard tally.unanswered > mostUnanswered else { return nil }
    return Fault(
      .environment,
      "the labelling model did not answer \(tally.unanswered) of \(questions.count) questions: \(tally.firstReason)",
      hint: "start again when it does, the answers so far are kept; or raise api.unanswered_limit")
  }

  /// Runs a thread's work and remembers the first error of all threads.
  func attempt(_ work: () throws -> Void) {
    do { try work() } catch { state.withLock { if $0.fault == nil { $0.fault = error } } }
  }

  /// Whether nothing more is to be asked because of a fault.
  var hasEnded: Bool { state.withLock { $0.fault != nil } }

  var tally: LabellingReport { state.withLock { $0.tally } }

  /// The answers, in order.
  func result() throws -> [JudgeAnswer] {
    try state.withLock { state in
      if let fault = state.fault { throw fault }
      return state.answers.compactMap(\.self)
    }
  }
}
