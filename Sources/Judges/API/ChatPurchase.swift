import AlignmentCore

/// Gets answers to chat requests: from the store, or from the server within budget and retries. For one thread.
final class ChatPurchase {
  enum Result: Sendable {
    case answer(StoredAnswer, ChatCompletion, isNew: Bool)
    /// The server refused, or failed at every try.
    case unanswered(reason: String, isFatal: Fault?)
    case unfunded
    case stopped
  }

  private let settings: APISettings
  private let connection: ChatConnection
  private let store: AnswerStore
  private let ledger: Ledger
  private let waiting: Waiting

  init(settings: APISettings, key: APIKey, store: AnswerStore, ledger: Ledger, waiting: Waiting) throws {
    self.settings = settings
    self.store = store
    self.ledger = ledger
    self.waiting = waiting
    connection = try ChatConnection(settings: settings, key: key, now: waiting.now)
  }

  /// The answer to one request.
  ///
  /// - Throws: ``Fault`` where the store fails; what was paid for until then is in it or stays reserved.
  func answer(to request: ChatRequest) throws -> Result {
    if let stored = try store.answer(for: request.key), let completion = ChatCompletion(text: stored.response) {
      return .answer(stored, completion, isNew: false)
    }
    var earlier = Spending()
    var attempt = 0
    while !waiting.isStopping() {
      guard let reservation = try ledger.reserve(request.bound) else { return .unfunded }
      switch connection.send(request) {
      case .answered(let completion, let body):
        return try keep(completion, body, request, reservation, earlier)
      case .failed(let failure):
        let amount = failure.mayBeBilled ? request.bound : Spending.request
        try ledger.settle(reservation, spent: amount)
        earlier = earlier + amount
        guard let pause = pause(after: failure, attempt, request) else { return unanswered(failure) }
        waiting.pause(pause)
        attempt += 1
      }
    }
    return .stopped
  }

  private func keep(
    _ completion: ChatCompletion, _ body: [UInt8], _ request: ChatRequest, _ reservation: Reservation,
    _ earlier: Spending
  ) throws -> Result {
    let answer = try ledger.keep(
      String(decoding: body, as: UTF8.self), to: request, from: settings.serverIdentity, settling: reservation,
      spent: spent(completion, request), earlier: earlier)
    // Another process may have been faster; its answer counts.
    return .answer(answer, ChatCompletion(text: answer.response) ?? completion, isNew: true)
  }

  /// What an answer took: what the server says, or the most it can be where it says nothing.
  private func spent(_ completion: ChatCompletion, _ request: ChatRequest) -> Spending {
    guard let usage = completion.usage else { return request.bound }
    return Spending(
      promptTokens: usage.promptTokens, completionTokens: usage.completionTokens, prices: settings.prices)
  }

  /// Seconds until the next try; nil where there is none.
  private func pause(after failure: ChatFailure, _ attempt: Int, _ request: ChatRequest) -> Double? {
    guard case .retry(let advice) = failure.verdict, attempt < settings.retries else { return nil }
    switch advice {
    case .giveUp: return nil
    case .wait(let seconds): return seconds
    case .none: return RetryPolicy.backoff(attempt, jitter: request.jitter.uniform(at: attempt))
    }
  }

  private func unanswered(_ failure: ChatFailure) -> Result {
    switch failure.verdict {
    case .fatal(let hint):
      return .unanswered(
        reason: failure.reason, isFatal: Fault(.environment, failure.reason, at: settings.address, hint: hint))
    case .retry(.giveUp(let seconds)):
      return .unanswered(reason: "\(failure.reason), to be tried again in \(Int(min(seconds, 1e9))) s", isFatal: nil)
    default: return .unanswered(reason: failure.reason, isFatal: nil)
    }
  }
}

extension ChatRequest {
  /// Random numbers for the pauses of this request.
  fileprivate var jitter: RandomStream {
    let seed = key.bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return RandomStream(seed: seed, purpose: .judging)
  }
}
