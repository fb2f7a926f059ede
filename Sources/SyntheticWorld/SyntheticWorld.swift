import AlignmentCore

/// A seeded world of short prompts and responses with a known reward, in two domains that speak differently.
///
/// It is what a demonstration of alignment under covariate shift needs: prompts of at most 48 bytes, responses of at
/// most 64, both of plain lowercase words; one gold reward for both domains; and generators whose texts separate good
/// from bad by different features. Every text is a pure function of the seed and its indices: nothing is stored, any
/// process can produce any of them, and no C library function is called, so that all machines produce the same bytes.
package struct SyntheticWorld: Sendable {
  /// Who speaks: the collected data come from the source, the policy to be aligned speaks like the target.
  package enum Domain: String, CaseIterable, Sendable {
    /// Terse, often off the subject.
    case source
    /// Wordy, on the subject, courteous.
    case target
  }

  /// What texts are for; the random streams of the splits are disjoint, though short texts may coincide.
  package enum Split: Int, CaseIterable, Sendable {
    /// Supervised fine-tuning.
    case sft
    /// Preference pairs.
    case preferences
    /// Evaluation.
    case heldOut
  }

  /// Two responses to a prompt, labelled.
  package struct Preference: Sendable, Equatable {
    /// What both respond to.
    package let prompt: String
    /// The response the label prefers.
    package let chosen: String
    /// The other response; never the same text.
    package let rejected: String
    /// Gold reward of the chosen response; labels are noisy, so it can be below that of the rejected one.
    package let chosenReward: Double
    /// Gold reward of the rejected response.
    package let rejectedReward: Double
  }

  /// Temperature of the labels: the first response is chosen with probability σ((r₁ − r₂) / temperature), the model of
  /// Bradley and Terry, "Rank analysis of incomplete block designs" (Biometrika 39, 1952).
  package static let labelTemperature = 0.75

  private enum Use: Int { case prompt, response, label }

  private let seed: UInt64

  /// The world of a seed.
  package init(seed: UInt64) { self.seed = seed }

  /// A prompt, such as "ask: a red kite and the sea\n".
  /// - Parameter index: from 0 to 2³² − 1.
  package func prompt(_ index: Int, split: Split, domain: Domain) -> String {
    var speaker = Speaker(style: domain.style, stream: stream(for: .prompt, index, split: split, domain: domain))
    return speaker.prompt()
  }

  /// A draw from a domain's generator; a prompt of no known content words gets a response about nothing.
  /// - Parameters:
  ///   - index: the index of the prompt, from 0 to 2³² − 1.
  ///   - sample: tells the draws for one prompt apart, from 0 to 2²⁷ − 1.
  package func response(to prompt: String, index: Int, sample: Int, split: Split, domain: Domain) -> String {
    let stream = stream(for: .response, index, sample: sample, split: split, domain: domain)
    var speaker = Speaker(style: domain.style, stream: stream)
    return speaker.response(about: Lexicon.contentWords(of: prompt))
  }

  /// The known reward of any response to any prompt; see ``RewardFeatures/reward``.
  package static func goldReward(prompt: String, response: String) -> Double {
    RewardFeatures(prompt: prompt, response: response).reward
  }

  /// A labelled pair: sample 0 of a prompt and the first later sample of another text.
  /// - Parameter index: the index of the prompt, from 0 to 2³² − 1.
  package func pair(_ index: Int, split: Split, domain: Domain) -> Preference {
    let prompt = prompt(index, split: split, domain: domain)
    let first = response(to: prompt, index: index, sample: 0, split: split, domain: domain)
    var second = first
    var sample = 0
    while second == first {
      sample += 1
      second = response(to: prompt, index: index, sample: sample, split: split, domain: domain)
    }
    let texts = [first, second]
    let rewards = texts.map { Self.goldReward(prompt: prompt, response: $0) }
    let probability = logistic((rewards[0] - rewards[1]) / Self.labelTemperature)
    let label = stream(for: .label, index, split: split, domain: domain)
    let chosen = label.uniform(at: 0) < probability ? 0 : 1
    return Preference(
      prompt: prompt, chosen: texts[chosen], rejected: texts[1 - chosen], chosenReward: rewards[chosen],
      rejectedReward: rewards[1 - chosen])
  }

  private func stream(for use: Use, _ index: Int, sample: Int = 0, split: Split, domain: Domain) -> RandomStream {
    precondition(index >= 0 && index < 1 << 32, "index \(index)")
    precondition(sample >= 0 && sample < 1 << 27, "sample \(sample)")
    let identity = sample << 5 | split.rawValue << 3 | use.rawValue << 1 | (domain == .target ? 1 : 0)
    return RandomStream(seed: seed, purpose: .syntheticWorld, index, identity)
  }
}

extension SyntheticWorld.Domain {
  /// How the domain speaks.
  var style: Style { self == .source ? .source : .target }
}

/// σ(x) = 1 / (1 + e⁻ˣ) within 10⁻⁹, from additions, multiplications and one division alone: the exponential of a
/// C library may differ in its last bit from one machine to the next.
func logistic(_ x: Double) -> Double {
  let step = -min(abs(x), 40) / 1024
  var power = 1 + step * (1 + step * (0.5 + step / 6))
  for _ in 0..<10 { power *= power }
  return x >= 0 ? 1 / (1 + power) : power / (1 + power)
}
