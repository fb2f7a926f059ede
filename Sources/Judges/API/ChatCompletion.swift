import JSON

#if canImport(Glibc)
  import Glibc
#endif

/// The tokens that a server says it billed.
struct TokenUsage: Sendable, Equatable {
  var promptTokens: Int
  var completionTokens: Int

  /// nil where the numbers are missing or beyond any context there is.
  init?(_ value: JSONValue?) {
    let plausible = 0...1 << 24
    guard let prompt = value?["prompt_tokens"]?.intValue, plausible.contains(prompt) else { return nil }
    let completion = value?["completion_tokens"]?.intValue ?? 0
    guard plausible.contains(completion) else { return nil }
    promptTokens = prompt
    completionTokens = completion
  }
}

/// A token of an answer and what might have stood in its place.
struct TokenAlternatives: Sendable, Equatable {
  struct Token: Sendable, Equatable {
    var bytes: [UInt8]
    var probability: Double
  }

  var bytes: [UInt8]
  /// The likeliest tokens, the chosen one among them or behind them.
  var alternatives: [Token]
}

/// What a server answered to a chat request, as far as a judge needs it.
struct ChatCompletion: Sendable, Equatable {
  /// What the model wrote, be it a refusal; empty where the server gave no text.
  var text: String
  /// One entry for each token; empty where the server gave no probabilities.
  var tokens: [TokenAlternatives]
  var usage: TokenUsage?
  /// Whether the limit of tokens ended the text.
  var isCut: Bool

  /// Reads the body of a successful answer; nil where it is none, be it cut off or something else.
  init?(body: [UInt8]) {
    guard let value = JSONValue(tolerating: body), let choice = value["choices"]?.arrayValue?.first,
      let message = choice["message"], message.objectValue != nil
    else { return nil }
    let content = Self.text(of: message["content"])
    text = content.isEmpty ? message["refusal"]?.stringValue ?? "" : content
    tokens = (choice["logprobs"]?["content"]?.arrayValue ?? []).compactMap(TokenAlternatives.init)
    usage = TokenUsage(value["usage"])
    isCut = choice["finish_reason"]?.stringValue == "length"
  }

  /// Whether the server billed more tokens than a request had reserved.
  func exceeds(_ bound: Spending) -> Bool {
    usage.map { $0.promptTokens > bound.promptTokens || $0.completionTokens > bound.completionTokens } ?? false
  }

  /// Reads the body of a successful answer as the store keeps it.
  init?(text: String) { self.init(body: Array(text.utf8)) }

  /// A text, or parts of which some are texts, or null.
  private static func text(of content: JSONValue?) -> String {
    content?.stringValue ?? (content?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }.joined()
  }
}

extension TokenAlternatives {
  /// nil where a token has no text.
  fileprivate init?(_ value: JSONValue) {
    guard let chosen = Token(value) else { return nil }
    bytes = chosen.bytes
    alternatives = (value["top_logprobs"]?.arrayValue ?? []).compactMap(Token.init)
    if !alternatives.contains(where: { $0.bytes == chosen.bytes }) { alternatives.append(chosen) }
  }
}

extension TokenAlternatives.Token {
  /// A missing or impossible log-probability, such as null or the −9999 for "not among the likeliest", is probability 0.
  fileprivate init?(_ value: JSONValue) {
    let exact = value["bytes"]?.arrayValue?.compactMap { $0.intValue.flatMap(UInt8.init(exactly:)) }
    guard let bytes = exact ?? value["token"]?.byteString?.bytes else { return nil }
    self.bytes = bytes
    let logProbability = value["logprob"]?.doubleValue ?? -.infinity
    probability = min(1, exp(logProbability))
  }
}

extension JSONValue {
  /// Reads JSON as servers write it: Python's writes infinities and NaN, which JSON does not have and which become null.
  init?(tolerating bytes: [UInt8]) {
    if let value = try? JSONValue.parse(bytes, duplicateKeys: .lastWins) {
      self = value
    } else if let value = try? JSONValue.parse(Self.replacingNonFinite(bytes), duplicateKeys: .lastWins) {
      self = value
    } else {
      return nil
    }
  }

  /// `null` for each `NaN`, `Infinity` and `-Infinity` outside strings.
  private static func replacingNonFinite(_ bytes: [UInt8]) -> [UInt8] {
    let names = ["-Infinity", "Infinity", "NaN"].map { Array($0.utf8) }
    var result: [UInt8] = []
    var isInString = false
    var rest = bytes[...]
    while let byte = rest.first {
      if !isInString, let name = names.first(where: rest.starts(with:)) {
        result += Array("null".utf8)
        rest = rest.dropFirst(name.count)
        continue
      }
      let step = isInString && byte == UInt8(ascii: "\\") ? 2 : 1
      if byte == UInt8(ascii: "\"") { isInString.toggle() }
      result += rest.prefix(step)
      rest = rest.dropFirst(step)
    }
    return result
  }
}
