import AlignmentCore

/// What requests took, in integers so that sums do not depend on their order.
package struct Spending: Sendable, Equatable {
  package var requests = 0
  package var promptTokens = 0
  package var completionTokens = 0
  /// In billionths of the currency of the prices.
  package var billionths = 0

  package init() {}

  /// One request and its tokens.
  init(promptTokens: Int, completionTokens: Int, prices: TokenPrices) {
    requests = 1
    self.promptTokens = promptTokens
    self.completionTokens = completionTokens
    billionths = prices.billionths(promptTokens, completionTokens)
  }

  /// A request that was not billed.
  static let request = Spending(promptTokens: 0, completionTokens: 0, prices: TokenPrices())

  package var tokens: Int { promptTokens.addingSaturated(completionTokens) }
  /// In the currency of the prices.
  package var money: Double { Double(billionths) / 1e9 }

  /// The sum; numbers beyond 64 bits, which only a server that lies can cause, stay at the largest one.
  package static func + (a: Spending, b: Spending) -> Spending {
    var sum = a
    sum.requests = a.requests.addingSaturated(b.requests)
    sum.promptTokens = a.promptTokens.addingSaturated(b.promptTokens)
    sum.completionTokens = a.completionTokens.addingSaturated(b.completionTokens)
    sum.billionths = a.billionths.addingSaturated(b.billionths)
    return sum
  }
}

extension Int {
  /// The sum of two numbers that are not negative, at most the largest number.
  fileprivate func addingSaturated(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}

/// What a provider asks for a million tokens.
package struct TokenPrices: Sendable, Equatable {
  package var prompt = 0.0
  package var completion = 0.0

  package init(prompt: Double = 0, completion: Double = 0) {
    self.prompt = prompt
    self.completion = completion
  }

  /// The price of tokens in billionths, rounded up.
  func billionths(_ promptTokens: Int, _ completionTokens: Int) -> Int {
    let exact = (Double(promptTokens) * prompt + Double(completionTokens) * completion) * 1000
    return Int(min(exact.rounded(.up), 0x1p62))
  }
}

/// What a labelling model may take, over all runs that name the same budget in the same store.
package struct Budget: Sendable, Equatable {
  /// Runs with one name share one purse.
  package var name = "default"
  /// Requests, retries included; nil is no limit.
  package var requests: Int?
  /// Prompt and completion tokens together; nil is no limit.
  package var tokens: Int?
  /// In the currency of the prices; nil is no limit.
  package var money: Double?

  package init(name: String = "default", requests: Int? = nil, tokens: Int? = nil, money: Double? = nil) {
    self.name = name
    self.requests = requests
    self.tokens = tokens
    self.money = money
  }

  /// Whether anything is limited.
  package var isLimited: Bool { requests != nil || tokens != nil || money != nil }

  /// Whether all of this may be spent.
  func covers(_ spending: Spending) -> Bool {
    spending.requests <= requests ?? .max && spending.tokens <= tokens ?? .max
      && spending.billionths <= money.map { Int(($0 * 1e9).rounded(.down)) } ?? .max
  }
}
