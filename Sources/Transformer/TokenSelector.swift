import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Draws a token from a row of logits as ``SamplingSettings`` say.
///
/// Nothing is sorted: top-k and top-p look for the logit below which tokens are left out, and a draw adds up the weights
/// that are kept in the order of token ids, in Float64, until they pass the uniform number's share of their sum.
package final class TokenSelector {
  /// A token and how likely it was, in nats.
  package struct Choice: Equatable {
    package let token: Int32
    /// Under the model itself.
    package let logProbability: Double
    /// Under the distribution that was drawn from; 0 at temperature 0.
    package let samplingLogProbability: Double
  }

  /// Logits that stand to be chosen from: all, or those that top-k keeps.
  private struct Candidates {
    var keys: UnsafeMutablePointer<Float>
    var count: Int
    /// Token of each; nil where it is the index.
    var tokens: UnsafeMutablePointer<Int32>?
    var bounds: (lowest: Float, highest: Float)
  }

  /// How far below the largest logit top-k and top-p are likely to end, in nats.
  private static let span: Float = 24

  private let vocabularySize: Int
  /// (V) exponentials of the candidates
  private let weights: FloatBuffer
  /// (V) logits that top-k keeps
  private let kept: FloatBuffer
  private let keptTokens: UnsafeMutablePointer<Int32>
  private let scratch: FloatBuffer
  /// Sums of the weights by blocks.
  private let sums: UnsafeMutablePointer<Double>
  /// Logits before the repetition penalty, in the order of the tokens seen.
  private var originals: [Float] = []

  package init(vocabularySize: Int) throws {
    self.vocabularySize = vocabularySize
    weights = try FloatBuffer(count: vocabularySize, purpose: "sampling weights")
    kept = try FloatBuffer(count: vocabularySize, purpose: "sampling candidates")
    scratch = try FloatBuffer(count: ThresholdSearch.scratchCount(vocabularySize), purpose: "sampling scratch")
    keptTokens = .allocate(capacity: vocabularySize)
    sums = .allocate(capacity: LogitRow.blocks(of: vocabularySize))
  }

  deinit {
    keptTokens.deallocate()
    sums.deallocate()
  }

  /// - Parameters:
  ///   - logits: (V), changed by a repetition penalty.
  ///   - seen: the distinct tokens of prompt and sample; not looked at without a repetition penalty.
  ///   - uniform: a number in [0, 1).
  /// - Returns: nil if a logit is NaN or the largest is not finite.
  package func choose(
    from logits: FloatView, seen: [Int32], _ settings: SamplingSettings, uniform: Double
  ) -> Choice? {
    precondition(logits.count == vocabularySize, "\(logits.count) logits for \(vocabularySize) tokens")
    let bounds = LogitRow.bounds(logits.base, count: vocabularySize)
    guard bounds.highest.isFinite else { return nil }
    var candidates = Candidates(keys: logits.base, count: vocabularySize, tokens: nil, bounds: bounds)
    let total =
      settings.drawsFromModelWeights
      ? weigh(candidates, scale: 1)
      : LogitRow.sumOfExponentials(logits.base, count: vocabularySize, largest: bounds.highest)
    guard total.isFinite else { return nil }
    if settings.repetitionPenalty != 1 { penalize(&candidates, seen, Float(settings.repetitionPenalty)) }
    let (token, samplingLogProbability) =
      settings.isGreedy ? (likeliest(candidates), 0) : draw(&candidates, settings, total, uniform)
    var logit = logits.base[token]
    if settings.repetitionPenalty != 1, let index = seen.firstIndex(of: Int32(token)) { logit = originals[index] }
    return Choice(
      token: Int32(token), logProbability: Double(logit - bounds.highest) - log(total),
      samplingLogProbability: samplingLogProbability)
  }

  private func weigh(_ candidates: Candidates, scale: Float) -> Double {
    LogitRow.exponentiate(
      candidates.keys, count: candidates.count, largest: candidates.bounds.highest, scale: scale,
      into: weights.view.base, sums: sums)
  }

  private func likeliest(_ candidates: Candidates) -> Int {
    LogitRow.firstIndex(of: candidates.bounds.highest, in: candidates.keys, count: candidates.count)
  }

  private func penalize(_ candidates: inout Candidates, _ seen: [Int32], _ penalty: Float) {
    originals.removeAll(keepingCapacity: true)
    for token in seen {
      let logit = candidates.keys[Int(token)]
      originals.append(logit)
      candidates.keys[Int(token)] = logit < 0 ? logit * penalty : logit / penalty
    }
    candidates.bounds = LogitRow.bounds(candidates.keys, count: candidates.count)
  }
}

// MARK: - Drawing

extension TokenSelector {
  /// - Parameters:
  ///   - total: the sum of the weights where they are the model's own.
  private func draw(
    _ candidates: inout Candidates, _ settings: SamplingSettings, _ total: Double, _ uniform: Double
  ) -> (token: Int, logProbability: Double) {
    var total = total
    if !settings.drawsFromModelWeights {
      if settings.topK > 0, settings.topK < vocabularySize { keepLikeliest(settings.topK, &candidates) }
      total = weigh(candidates, scale: settings.logitScale)
    }
    var threshold = -Float.infinity
    if settings.topP < 1 { threshold = nucleus(candidates, settings, total) }
    if settings.minP > 0 {
      threshold = max(threshold, candidates.bounds.highest + Float(log(settings.minP) * settings.temperature))
    }
    if threshold > -.infinity {
      total = LogitRow.sum(
        weights.view.base, keys: candidates.keys, atLeast: threshold, count: candidates.count, into: sums)
    }
    let index = index(at: uniform * total, candidates, threshold)
    let distance = Double(candidates.keys[index] - candidates.bounds.highest)
    return (
      candidates.tokens.map { Int($0[index]) } ?? index, distance * Double(settings.logitScale) - log(total)
    )
  }

  /// Leaves the k largest logits, and those that equal the smallest of them.
  private func keepLikeliest(_ k: Int, _ candidates: inout Candidates) {
    let smallest = ThresholdSearch.boundary(
      candidates.keys, weights: nil, count: candidates.count, bounds: candidates.bounds,
      budget: Double(candidates.count - k), span: Self.span, scratch: scratch.view
    ).key
    candidates.count = LogitRow.collect(
      candidates.keys, atLeast: smallest, count: candidates.count, into: kept.view.base, indices: keptTokens)
    candidates.keys = kept.view.base
    candidates.tokens = keptTokens
    candidates.bounds.lowest = smallest
  }

  /// The logit below which tokens fall out of the likeliest ones with a share of at least top-p.
  ///
  /// From the least likely token upwards, tokens are left out while together they have at most 1 − p.
  private func nucleus(_ candidates: Candidates, _ settings: SamplingSettings, _ total: Double) -> Float {
    let budget = (1 - settings.topP) * total
    let boundary = ThresholdSearch.boundary(
      candidates.keys, weights: weights.view.base, count: candidates.count, bounds: candidates.bounds, budget: budget,
      span: Self.span * Float(settings.temperature), scratch: scratch.view)
    let rest = budget - boundary.below
    // Almost always the boundary's token does not fit into the rest; otherwise it has equals that do.
    if exp(Double((boundary.key - candidates.bounds.highest) * settings.logitScale)) * 0.99 <= rest {
      leaveOut(equalTo: boundary.key, candidates, within: rest)
    }
    return boundary.key
  }

  /// Takes the weight from the first of several equal tokens, as many as fit, but never from the last of them.
  private func leaveOut(equalTo key: Float, _ candidates: Candidates, within budget: Double) {
    var rest = budget
    var index = LogitRow.firstIndex(of: key, in: candidates.keys, count: candidates.count)
    while index < candidates.count {
      let weight = weights.view.base[index]
      let start = index + 1
      let next = start + LogitRow.firstIndex(of: key, in: candidates.keys + start, count: candidates.count - start)
      rest -= Double(weight)
      guard rest >= 0, next < candidates.count else { return }
      weights.view.base[index] = 0
      index = next
    }
  }

  /// The candidate in whose share of the sum a number lies; candidates are passed in their order.
  private func index(at position: Double, _ candidates: Candidates, _ threshold: Float) -> Int {
    var rest = position
    for block in 0..<LogitRow.blocks(of: candidates.count) {
      if rest >= sums[block] {
        rest -= sums[block]
        continue
      }
      var last: Int?
      let start = block * LogitRow.blockSize
      for index in start..<min(start + LogitRow.blockSize, candidates.count)
      where candidates.keys[index] >= threshold && weights.view.base[index] > 0 {
        rest -= Double(weights.view.base[index])
        if rest < 0 { return index }
        last = index
      }
      // The block's sum was rounded upwards.
      return last ?? likeliest(candidates)
    }
    // The sum of the blocks was rounded upwards, which a uniform number next to 1 notices.
    return likeliest(candidates)
  }
}

extension SamplingSettings {
  /// What logits are multiplied with.
  fileprivate var logitScale: Float { Float(min(1 / temperature, Double(Float.greatestFiniteMagnitude))) }

  /// Whether tokens are drawn with the model's own weights or some of them, so that these are computed once.
  fileprivate var drawsFromModelWeights: Bool { temperature == 1 && repetitionPenalty == 1 && topK == 0 }
}
