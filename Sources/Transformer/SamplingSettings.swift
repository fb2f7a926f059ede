/// How tokens are drawn: what happens to the model's distribution, in this order, and when a sample ends.
package struct SamplingSettings: Sendable, Equatable {
  package var seed: UInt64
  /// Samples of each prompt.
  package var samples = 1
  /// Most tokens of a sample, the stop token included; the model's context may end it earlier.
  package var maxNewTokens: Int
  /// Divides the logits of tokens that the prompt or the sample already has where they are positive, and multiplies
  /// them where they are negative (Keskar et al. 2019, arXiv 1909.05858, §4.1, with the sign rule of transformers).
  package var repetitionPenalty = 1.0
  /// Divides the logits; 0 takes the likeliest token, the one with the smallest id among equals.
  package var temperature = 1.0
  /// How many of the likeliest tokens are kept, and those as likely as the last of them; 0 keeps all.
  package var topK = 0
  /// The likeliest tokens are kept until they have this share of the probability (Holtzman et al. 2020, arXiv
  /// 1904.09751, §3.1); at least one is, and among equals the larger ids.
  package var topP = 1.0
  /// Tokens are kept whose probability is at least this share of the likeliest one's (Nguyen et al. 2024, arXiv
  /// 2407.01082, §3); 0 keeps all.
  package var minP = 0.0
  /// Tokens that end a sample, of which they are the last.
  package var stopTokens: Set<Int32> = []

  package init(seed: UInt64, maxNewTokens: Int) {
    self.seed = seed
    self.maxNewTokens = maxNewTokens
  }

  package var isGreedy: Bool { temperature == 0 }

  /// What is out of range, as the name of the setting and what it must be; nil if nothing is.
  package var problem: (name: String, expectation: String)? {
    let rules: [(String, Bool, String)] = [
      ("samples", (1...1 << 20).contains(samples), "an integer from 1 to \(1 << 20)"),
      ("max_new_tokens", (1...1 << 24).contains(maxNewTokens), "an integer from 1 to \(1 << 24)"),
      ("temperature", temperature >= 0 && temperature.isFinite, "a finite number that is not negative"),
      ("repetition_penalty", repetitionPenalty > 0 && repetitionPenalty.isFinite, "a finite number above 0"),
      ("top_k", topK >= 0, "an integer that is not negative (0 keeps all tokens)"),
      ("top_p", topP > 0 && topP <= 1, "a number above 0 and at most 1"),
      ("min_p", minP >= 0 && minP <= 1, "a number from 0 to 1"),
    ]
    return rules.first { !$0.1 }.map { ($0.0, $0.2) }
  }
}

/// A completion that was drawn.
package struct Sample: Sendable, Equatable {
  /// The new tokens, with the stop token if one was drawn.
  package var ids: [Int32] = []
  /// Their log-probability under the model itself, in nats.
  package var logProbability = 0.0
  /// Their log-probability under the distribution that they were drawn from; 0 where the likeliest was taken.
  package var samplingLogProbability = 0.0
  /// Whether a stop was met, rather than the limit of length or the end of the context.
  package var isFinished = false

  package init() {}
}
