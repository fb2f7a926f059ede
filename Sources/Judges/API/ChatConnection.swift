import AlignmentCore
import JSON

/// What became of one try of a chat request.
enum ChatOutcome: Sendable {
  /// `body` is what the server wrote, without the key.
  case answered(ChatCompletion, body: [UInt8])
  case failed(ChatFailure)
}

/// Why a try of a chat request gave no answer.
struct ChatFailure: Error, Sendable, Equatable {
  enum Verdict: Sendable, Equatable {
    /// Another try may succeed.
    case retry(RetryPolicy.Advice)
    /// This request will not succeed.
    case hopeless
    /// No request will, for a reason that a person must see to.
    case fatal(hint: String)
  }

  /// One line, without the key.
  var reason: String
  var verdict: Verdict
  /// Whether the server may bill this try all the same.
  var mayBeBilled: Bool
}

/// Sends chat requests to one server, a try at a time; for one thread.
final class ChatConnection {
  private let connection: HTTPConnection
  private let key: APIKey
  private let now: @Sendable () -> Double

  init(settings: APISettings, key: APIKey, now: @escaping @Sendable () -> Double) throws {
    self.key = key
    self.now = now
    // Without an empty "Expect", libcurl holds a long body back until the server agrees or a second has passed.
    let headers = ["Content-Type: application/json", "Accept: application/json", "Expect:"]
    connection = try HTTPConnection(
      url: settings.address + "/chat/completions", headers: headers + [key.header].compactMap(\.self),
      limits: HTTPConnection.Limits(
        connectSeconds: settings.connectSeconds, totalSeconds: settings.timeoutSeconds,
        stallSeconds: settings.stallSeconds))
  }

  /// Sends a request once.
  func send(_ request: ChatRequest) -> ChatOutcome {
    do throws(HTTPFailure) {
      var response = try connection.post(request.body)
      response.body = key.scrubbed(response.body)
      return outcome(of: response)
    } catch {
      let verdict = error.remedy.map { ChatFailure.Verdict.fatal(hint: $0) } ?? .retry(.none)
      return .failed(ChatFailure(reason: error.reason, verdict: verdict, mayBeBilled: error.mayHaveArrived))
    }
  }

  private func outcome(of response: HTTPResponse) -> ChatOutcome {
    if (200...299).contains(response.status), let completion = ChatCompletion(body: response.body) {
      return .answered(completion, body: response.body)
    }
    var failure = ChatFailure(response, now: now())
    failure.reason = key.scrubbed(failure.reason)
    return .failed(failure)
  }
}

extension ChatFailure {
  /// What an answer without a completion means.
  init(_ response: HTTPResponse, now: Double) {
    let words = ServerError(body: response.body)
    let identity = response.headers["x-request-id"].map { " (request \($0.excerpt(80)))" } ?? ""
    mayBeBilled = (200...299).contains(response.status)
    reason = "HTTP \(response.status)\(mayBeBilled ? " without a completion" : ""): \(words.message)\(identity)"
    verdict = Self.verdict(response, words, now)
  }

  private static func verdict(_ response: HTTPResponse, _ words: ServerError, _ now: Double) -> Verdict {
    if words.code == "insufficient_quota" { return .fatal(hint: "the account's own quota is used up; raise it") }
    // A success that holds no completion was cut off, or is an error in the wrong place.
    if (200...299).contains(response.status)
      || RetryPolicy.isTransient(status: response.status, headers: response.headers)
    {
      return .retry(RetryPolicy.advice(in: response.headers, now: now))
    }
    switch response.status {
    case 300...399: return .fatal(hint: "the server points elsewhere, where no key is sent; set api.base_url to it")
    case 401: return .fatal(hint: "the server does not accept the key; check the variable of api.key_variable")
    case 402: return .fatal(hint: "the server asks for money first")
    case 404, 405: return .fatal(hint: "check api.base_url and api.model")
    default: return .hopeless
    }
  }
}

/// What a server says of an error: OpenAI's object, FastAPI's `detail`, or plain text.
struct ServerError: Sendable, Equatable {
  var message: String
  /// OpenAI's `code`, or its `type` where there is no code.
  var code: String?

  init(body: [UInt8]) {
    let value = JSONValue(tolerating: body)
    let error = value?["error"]
    code = error?["code"]?.stringValue ?? error?["type"]?.stringValue
    let named = [error?["message"], error, value?["detail"], value?["message"]]
    let words = named.lazy.compactMap { $0.flatMap(Self.words) }.first
    let text = (words ?? String(decoding: body.prefix(4096), as: UTF8.self)).excerpt()
    message = text.isEmpty ? "no words" : text
  }

  /// A text as it is, anything else but null as JSON.
  private static func words(of value: JSONValue) -> String? {
    if value == .null { return nil }
    return value.stringValue ?? String(decoding: value.serialized(), as: UTF8.self)
  }
}
