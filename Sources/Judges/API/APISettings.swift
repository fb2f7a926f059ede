import AlignmentCore

/// A labelling model behind an OpenAI-compatible API, as a recipe describes it.
package struct APISettings: Sendable, Equatable {
  /// The name of the field that limits the length of an answer; older servers know only the first.
  package enum TokenLimitField: String, Sendable, CaseIterable {
    case maxTokens = "max_tokens"
    case maxCompletionTokens = "max_completion_tokens"
  }

  /// Up to, and without, `/chat/completions`.
  package var baseURL = "https://api.openai.com/v1"
  package var model = ""
  /// What stands for the server in the keys of stored answers; nil is the base URL. To be set where a server's address
  /// changes from job to job.
  package var serverName: String?
  /// The environment variable that holds the key; empty for a server that asks for none.
  package var keyVariable = "ADALIGN_API_KEY"
  /// nil leaves it to the server; some models accept none.
  package var temperature: Double? = 0
  /// Most tokens of an answer.
  package var maxTokens = 8
  package var tokenLimitField = TokenLimitField.maxTokens
  /// Whether instructions are a message of their own; some models know only users.
  package var usesSystemRole = true
  /// Whether to ask for the probabilities of tokens; a server that gives none is asked for votes.
  package var asksLogProbabilities = true
  /// The share of a verdict's token that must fall on the options for its probabilities to count.
  package var leastOptionMass = 0.5
  /// Answers to a question that gets no probabilities; above 1, the temperature must be above 0.
  package var votes = 1
  /// The seed of the first vote; the others follow. nil sends none.
  package var seed: Int? = 0
  /// Further tries of a request that fails for a reason that may pass.
  package var retries = 6
  package var connectSeconds = 5.0
  /// For a whole request.
  package var timeoutSeconds = 600.0
  /// Without a byte in either direction; the server computes meanwhile.
  package var stallSeconds = 120
  /// Requests at a time.
  package var concurrency = 8
  /// The share of questions that may stay without an answer because the server fails; more is a fault.
  package var unansweredLimit = 0.05
  package var budget = Budget()
  package var prices = TokenPrices()
  /// The most tokens that a server adds to a prompt by its template and instructions of its own. A request reserves them
  /// beside one token for each byte of its messages.
  package var templateTokens = 256
  /// The file of paid answers; ``AnswerStore``.
  package var storePath = ""

  package init() {}

  /// - Throws: ``Fault`` of kind `configuration` for the first setting that cannot be.
  package func validate() throws {
    try check(!model.isEmpty, "model", "names no model", "set the name that the server knows it by")
    try validateAddress()
    try check(
      temperature.map((0...2).contains) ?? true, "temperature", "is not between 0 and 2", "0 takes the likeliest")
    try check((1...1 << 20).contains(maxTokens), "max_tokens", "is not between 1 and 1048576", "a verdict needs few")
    try check((1...1000).contains(votes), "votes", "is not between 1 and 1000", "5 is a good number")
    try check(
      votes == 1 || temperature != 0, "votes", "are all alike at temperature 0",
      "set api.temperature above 0, or votes=1")
    try check((0...1).contains(leastOptionMass), "least_option_mass", "is not between 0 and 1", "it is a share")
    try check((0...1).contains(unansweredLimit), "unanswered_limit", "is not between 0 and 1", "it is a share")
    try check((0...100).contains(retries), "retries", "is not between 0 and 100", "6 is a good number")
    try check((1...1024).contains(concurrency), "concurrency", "is not between 1 and 1024", "providers limit it, too")
    try check((0.001...86400).contains(connectSeconds), "connect_seconds", "is not up to a day", "5 is a good number")
    try check((0.001...86400).contains(timeoutSeconds), "timeout_seconds", "is not up to a day", "600 is a good number")
    try check((1...86400).contains(stallSeconds), "stall_seconds", "is not between 1 and 86400", "120 is a good number")
    try check(!storePath.isEmpty, "store", "names no file", "paid answers are kept there")
    try validateMoney()
  }

  private func validateAddress() throws {
    let parts = baseURL.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    let scheme = parts.first?.lowercased()
    try check(
      parts.count == 3 && parts[1].isEmpty && (scheme == "http:" || scheme == "https:"), "base_url",
      "is not an http or https address", "such as https://api.openai.com/v1")
    let host = parts[2].prefix { $0 != "/" }
    try check(!host.isEmpty, "base_url", "names no host", "such as https://api.openai.com/v1")
    // The address is written into reports and stores, where no secret may be.
    try check(!host.contains("@"), "base_url", "holds a password", "keys come from the environment only")
    try check(
      baseURL.utf8.allSatisfy { (0x21...0x7E).contains($0) } && !baseURL.contains { "?#".contains($0) }, "base_url",
      "is more than an address", "leave out what follows \"?\" or \"#\"")
  }

  private func validateMoney() throws {
    let mostMoney = 1e9
    try check(!budget.name.isEmpty, "budget.name", "is empty", "runs with one name share one budget")
    try check(budget.requests ?? 0 >= 0, "budget.requests", "is negative", "leave it out for no limit")
    try check(budget.tokens ?? 0 >= 0, "budget.tokens", "is negative", "leave it out for no limit")
    try check(
      (0...mostMoney).contains(budget.money ?? 0), "budget.money", "is not up to 1e9", "leave it out for no limit")
    try check(
      (0...1 << 20).contains(templateTokens), "template_tokens", "is not between 0 and 1048576", "256 is a good number")
    for (name, price) in [("prompt", prices.prompt), ("completion", prices.completion)] {
      try check((0...1e6).contains(price), "prices.\(name)", "is not between 0 and 1e6", "it is for a million tokens")
    }
    try check(
      budget.money == nil || prices.prompt > 0 || prices.completion > 0, "budget.money", "needs prices",
      "set api.prices.prompt and api.prices.completion, for a million tokens")
  }

  private func check(_ condition: Bool, _ setting: String, _ what: String, _ hint: String) throws {
    guard condition else { throw Fault(.configuration, "api.\(setting) \(what)", at: "api.\(setting)", hint: hint) }
  }
}
