import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// A way to improve a policy by the rewards of its own samples: advantages from a rollout, then a loss on tokens.
///
/// A pure function, as ``Objective`` is. The losses of a batch are added and divided by the number of samples.
package protocol PolicyObjective: Sendable {
  static var name: String { get }
  static var summary: String { get }
  static var options: [OptionDescription] { get }

  init(options: OptionValues)

  /// Whether it asks for log-probabilities under the reference.
  var needsReference: Bool { get }
  /// Whether a critic is trained beside the policy.
  var needsValues: Bool { get }
  /// Fewest samples of a prompt that it can learn from.
  var fewestSamples: Int { get }

  /// What is to be learned from a whole rollout.
  func advantages(of rollout: Rollout) -> Advantages

  /// The loss of one sample, and its derivative with respect to each token's log-probability and value.
  ///
  /// - Parameters:
  ///   - scale: factor on the derivatives.
  func evaluate(_ sample: SampleTerms, scale: Double, _ derivatives: SampleDerivatives?) -> PolicyLoss
}

/// All ways to optimise a policy by rewards; a new one is one file and one line here.
package enum PolicyObjectiveRegistry {
  package static let all: [any PolicyObjective.Type] = [
    GRPO.self,
    RLOO.self,
    ReinforcePlusPlus.self,
    PPO.self,
  ]

  package static func type(named name: String) -> (any PolicyObjective.Type)? { all.first { $0.name == name } }

  /// Makes the one of a name; options of others are left aside.
  ///
  /// - Throws: ``Fault`` for an option that no objective has.
  package static func make(_ type: any PolicyObjective.Type, settings: [String: String]) throws -> any PolicyObjective {
    let own = Set(type.options.map(\.name))
    let modifiers = Set(PreferenceLoss.modifiers.map(\.name))
    let foreign = ObjectiveRegistry.optionNames.union(modifiers).subtracting(own)
    let settings = settings.filter { !foreign.contains($0.key) }
    return type.init(
      options: try OptionValues(settings, for: type.options, of: "objective \(type.name)", in: "objective"))
  }
}

// MARK: - What several of them use

/// Mean and standard deviation of some numbers.
package struct Moments {
  package let mean: Double
  private let sumOfSquares: Double
  private let count: Double

  package init(_ values: some Collection<Double>) {
    count = Double(values.count)
    let mean = values.reduce(0, +) / max(count, 1)
    self.mean = mean
    sumOfSquares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
  }

  /// With n − 1 in the denominator; 0 for a single number.
  package var sampleDeviation: Double { count > 1 ? (sumOfSquares / (count - 1)).squareRoot() : 0 }
  /// With n.
  package var deviation: Double { count > 0 ? (sumOfSquares / count).squareRoot() : 0 }
}

extension Rollout {
  /// One number for each sample, given to each of its tokens.
  func spread(_ values: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: old.count)
    for (sample, range) in tokens.enumerated() {
      for token in range { result[token] = values[sample] }
    }
    return result
  }

  /// Rewards of tokens: −κ times an estimate of the divergence from the reference at each, and the sample's reward at its
  /// last token.
  func tokenRewards(klWeight: Double, _ estimator: DivergenceEstimator) -> [Double] {
    var result = [Double](repeating: 0, count: old.count)
    if !reference.isEmpty {
      for token in result.indices { result[token] = -klWeight * estimator.value(old[token] - reference[token]) }
    }
    for (sample, range) in tokens.enumerated() { result[range.upperBound - 1] += rewards[sample] }
    return result
  }
}

/// Estimates of a divergence from one sample (Schulman 2020, "Approximating KL divergence").
package enum DivergenceEstimator: String, CaseIterable {
  /// ρ
  case k1
  /// ρ²/2
  case k2
  /// e^−ρ − 1 + ρ
  case k3

  /// - Parameters:
  ///   - logRatio: ρ = log π − log π_ref of what π drew.
  package func value(_ logRatio: Double) -> Double {
    switch self {
    case .k1: logRatio
    case .k2: logRatio * logRatio / 2
    case .k3: expm1(-min(max(logRatio, -80), 80)) + logRatio
    }
  }
}

/// A number of the current policy's log-probability with its derivative.
struct TokenLoss {
  var value: Double
  var slope: Double

  static let zero = TokenLoss(value: 0, slope: 0)

  /// max(−A·r, −A·clip(r, 1 − ε₁, 1 + ε₂)), r = e^ρ (Schulman et al. 2017, arXiv 1707.06347, eq. 7); a ratio that overflows
  /// is taken as e⁸⁰.
  static func clipped(
    logRatio: Double, advantage: Double, low: Double, high: Double
  ) -> (loss: TokenLoss, isClipped: Bool) {
    let ratio = exp(min(logRatio, 80))
    let bounded = min(max(ratio, low), high)
    let (free, held) = (-advantage * ratio, -advantage * bounded)
    guard held > free else { return (TokenLoss(value: free, slope: free), false) }
    return (TokenLoss(value: held, slope: 0), true)
  }

  /// k3 of the divergence from the reference, as a loss: e^(ref − θ) − (ref − θ) − 1.
  static func divergence(policy: Double, reference: Double) -> TokenLoss {
    let u = min(max(reference - policy, -80), 80)
    return TokenLoss(value: expm1(u) - u, slope: -expm1(u))
  }
}
