import Checkpoints
import JSON

/// One vote on one question, as the server is asked for it.
struct ChatRequest: Sendable {
  /// What the server is sent; everything that the answer may depend on is in it.
  let body: [UInt8]
  /// Names the answer in the store, of this run and all others.
  let key: SHA256.Digest
  let vote: Int
  /// The most that one try can take.
  let bound: Spending

  init(_ prompt: JudgePrompt, vote: Int, settings: APISettings) {
    self.vote = vote
    body = Self.body(prompt, vote, settings).serialized()
    key = Self.key(body, vote, settings)
    bound = Spending(
      promptTokens: prompt.bytes + settings.templateTokens, completionTokens: settings.maxTokens,
      prices: settings.prices)
  }

  private static func body(_ prompt: JudgePrompt, _ vote: Int, _ settings: APISettings) -> JSONValue {
    var members: [(ByteString, JSONValue)] = [
      ("model", text(settings.model)), ("messages", .array(messages(prompt, settings))),
      (ByteString(settings.tokenLimitField.rawValue), .integer(Int64(settings.maxTokens))),
    ]
    if let temperature = settings.temperature { members.append(("temperature", .double(temperature))) }
    if let seed = settings.seed { members.append(("seed", .integer(Int64(seed &+ vote)))) }
    if settings.asksLogProbabilities { members += [("logprobs", .bool(true)), ("top_logprobs", .integer(20))] }
    return .object(JSONObject(members))
  }

  private static func messages(_ prompt: JudgePrompt, _ settings: APISettings) -> [JSONValue] {
    guard !prompt.system.isEmpty else { return [message("user", prompt.user)] }
    return settings.usesSystemRole
      ? [message("system", prompt.system), message("user", prompt.user)]
      : [message("user", prompt.system + "\n\n" + prompt.user)]
  }

  private static func message(_ role: ByteString, _ content: String) -> JSONValue {
    .object(JSONObject([("role", .string(role)), ("content", text(content))]))
  }

  private static func text(_ string: String) -> JSONValue { .string(ByteString(string)) }

  private static func key(_ body: [UInt8], _ vote: Int, _ settings: APISettings) -> SHA256.Digest {
    let hash = SHA256()
    hash.update(field: "adalign answer 1")
    hash.update(field: settings.serverIdentity)
    hash.update(field: String(vote))
    hash.update(body)
    return hash.finish()
  }
}

extension JudgePrompt {
  /// Bytes of the messages. Tokenizers make at most one token of each.
  fileprivate var bytes: Int { system.utf8.count + user.utf8.count }
}

extension APISettings {
  /// The server in keys of stored answers.
  var serverIdentity: String { serverName ?? address }

  /// The base URL without a slash at its end.
  var address: String { baseURL.trimmedEnd("/") }
}

extension String {
  fileprivate func trimmedEnd(_ character: Character) -> String {
    String(reversed().drop { $0 == character }.reversed())
  }
}
