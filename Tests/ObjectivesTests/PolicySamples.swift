import AlignmentCore
import Objectives
import Testing

/// One sample with everything that a policy objective may look at.
struct PolicySample {
  var policy: [Double]
  var old: [Double]
  var reference: [Double] = []
  var advantages: [Double]
  var values: [Double] = []
  var oldValues: [Double] = []
  var returns: [Double] = []
  var samplesPerToken = 1.0
  var maximumLength = 8

  /// A single token whose log-ratio to the old policy is given.
  static func token(logRatio: Double, advantage: Double) -> PolicySample {
    PolicySample(policy: [-2 + logRatio], old: [-2], advantages: [advantage])
  }

  /// The same with a critic.
  func valued(_ values: [Double], old: [Double], returns: [Double]) -> PolicySample {
    var sample = self
    (sample.values, sample.oldValues, sample.returns) = (values, old, returns)
    return sample
  }

  /// The loss, and its derivatives if a scale is given.
  func evaluate(_ objective: any PolicyObjective, scale: Double? = 1) -> PolicyResult {
    var (dPolicy, dValues) = (
      [Float](repeating: .nan, count: policy.count), [Float](repeating: .nan, count: values.count)
    )
    let columns = [policy, old, reference, advantages, values, oldValues, returns]
    let loss = columns.flatMap { $0 }.withUnsafeBufferPointer { all -> PolicyLoss in
      var start = 0
      let views = columns.map { column -> UnsafeBufferPointer<Double> in
        defer { start += column.count }
        return UnsafeBufferPointer(rebasing: all[start..<start + column.count])
      }
      let terms = SampleTerms(
        policy: views[0], old: views[1], reference: views[2], advantages: views[3], values: views[4],
        oldValues: views[5], returns: views[6], samplesPerToken: samplesPerToken, maximumLength: maximumLength)
      guard let scale else { return objective.evaluate(terms, scale: 1, nil) }
      return dPolicy.withUnsafeMutableBufferPointer { policy in
        dValues.withUnsafeMutableBufferPointer { values in
          objective.evaluate(terms, scale: scale, SampleDerivatives(policy: policy, values: values))
        }
      }
    }
    return PolicyResult(loss: loss, policy: dPolicy, values: dValues)
  }

  /// The loss alone.
  func loss(_ objective: any PolicyObjective) -> Double { evaluate(objective, scale: nil).loss.loss }
}

struct PolicyResult: Equatable {
  let loss: PolicyLoss
  /// Derivatives with respect to each token's log-probability and value.
  let policy: [Float]
  let values: [Float]
}

/// What a policy objective of the registry is with some options.
func policyObjective(_ name: String, _ settings: [String: String] = [:]) throws -> any PolicyObjective {
  try PolicyObjectiveRegistry.make(#require(PolicyObjectiveRegistry.type(named: name)), settings: settings)
}

extension Rollout {
  /// Samples with these rewards, given by prompt, and numbers of tokens.
  init(rewards: [[Double]], lengths: [Int]? = nil, old: Double = -1) {
    self.init()
    self.rewards = rewards.flatMap { $0 }
    let lengths = lengths ?? self.rewards.map { _ in 1 }
    var (sample, token) = (0, 0)
    for group in rewards {
      groups.append(sample..<sample + group.count)
      sample += group.count
    }
    for length in lengths {
      tokens.append(token..<token + length)
      token += length
    }
    self.old = Array(repeating: old, count: token)
  }
}

/// A policy objective under one choice of options.
struct PolicyVariant: Sendable, CustomTestStringConvertible {
  let name: String
  let settings: [String: String]
  let objective: any PolicyObjective

  var testDescription: String { "\(name) \(settings)" }

  /// Whether the loss has a term beside advantages and values.
  var penalizesDivergence: Bool { settings["beta"] ?? "0" != "0" && name == "grpo" || settings["kl_in"] == "loss" }

  /// Every objective with its defaults and with each option at the ends of its range; every kind of GRPO at every level,
  /// with a penalty and without.
  static let all = PolicyObjectiveRegistry.all.flatMap { type in
    (([[:]] + type.options.flatMap { option in option.extremes.map { [option.name: $0] } })
      + (type == GRPO.self ? kinds : [])).compactMap { settings in
        (try? PolicyObjectiveRegistry.make(type, settings: settings)).map {
          PolicyVariant(name: type.name, settings: settings, objective: $0)
        }
      }
  }

  private static let kinds = GRPO.Kind.allCases.flatMap { kind in
    GRPO.Level.allCases.flatMap { level in
      ["0", "0.25"].map { beta in
        ["loss_type": kind.rawValue, "importance_level": level.rawValue, "beta": beta, "delta": "1.9"]
      }
    }
  }

  /// Five tokens whose log-ratios are inside, above and below all clips, and of a critic in all positions.
  func sample(advantage: Double) -> PolicySample {
    let ratios = [0.05, -0.07, 0.4, -0.6, 0.9]
    let old = [-1.5, -0.25, -2, -0.75, -3]
    // A sample is one action where ratios are of whole samples; then only one advantage makes sense.
    let isWhole = name == "rloo" || settings["importance_level"] == "sequence"
    let sample = PolicySample(
      policy: zip(old, ratios).map { $0 + $1 }, old: old,
      reference: objective.needsReference ? [-1.1, -0.5, -1.75, -1.25, -2.5] : [],
      advantages: (0..<5).map { advantage * (isWhole ? 1 : 1 + 0.25 * Double($0)) }, samplesPerToken: 0.375)
    guard objective.needsValues else { return sample }
    return sample.valued(
      [0.5, 1.25, -0.5, 0.125, 2], old: [0.45, 0.75, -1, 0.5, 2.1], returns: [1, 0.9, -0.9, 2, -1])
  }
}
