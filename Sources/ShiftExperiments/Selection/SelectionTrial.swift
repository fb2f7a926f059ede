import Adaptation
import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// One draw of source, target and test pairs from real ones, and what methods may use of them. Prompts of the test are in
/// neither domain. Estimates are made once and shared by the methods.
package final class SelectionTrial {
  /// Share of the prompts that are kept for the test.
  package static let testShare = 0.25
  /// Share of the target pairs whose labels the methods with few labels may see.
  private static let labelledShare = 0.2

  private let pairs: SelectionPairs
  private let shift: SelectionShift
  private let seed: UInt64
  private let ridge: Double
  private let logRatios: [Double]
  /// Pairs of each domain, equally many.
  package let source: [Int]
  package let target: [Int]
  /// Pairs of the test, and how much each counts: the probability that the target wants it. Weighting all of them says the
  /// same as drawing some, with less noise.
  package let test: [Int]
  let testWeights: [Double]
  private var estimates: [SelectionRatio: DensityEstimate] = [:]

  package init(_ pairs: SelectionPairs, _ shift: SelectionShift, seed: UInt64, ridge: Double) {
    (self.pairs, self.shift, self.seed, self.ridge) = (pairs, shift, seed, ridge)
    let probabilities = shift.probabilities(pairs)
    let held = RandomStream(seed: seed, purpose: .evaluation)
    let isTest = pairs.prompts.map { held.uniform(at: $0) < Self.testShare }
    test = isTest.indices.filter { isTest[$0] }
    testWeights = test.map { probabilities[$0].target }
    logRatios = probabilities.map { log($0.target / $0.source) }
    let draws = RandomStream(seed: seed, purpose: .sampling)
    let order = RandomStream(seed: seed, purpose: .shuffling)
    let training = isTest.indices.filter { !isTest[$0] }.sorted { order.uniform(at: $0) < order.uniform(at: $1) }
    let source = training.filter { draws.uniform(at: $0) < probabilities[$0].source }
    let target = training.filter {
      let place = draws.uniform(at: $0) - probabilities[$0].source
      return place >= 0 && place < probabilities[$0].target
    }
    let count = min(source.count, target.count)
    self.source = Array(source.prefix(count))
    self.target = Array(target.prefix(count))
  }

  /// Target pairs whose labels few-label methods see.
  package var labelled: [Int] { Array(target.prefix(Int(Self.labelledShare * Double(target.count)))) }

  /// The weights of the source pairs.
  package func weights(_ ratio: SelectionRatio, _ settings: WeightSettings) throws -> WeightFit {
    let evidence = evidence(seesAll: ratio.seesAll)
    return try WeightPipeline(settings).fit(estimate(ratio, evidence), evidence, examples: source.indices.map { [$0] })
  }

  private func estimate(_ ratio: SelectionRatio, _ evidence: DensityEvidence) throws -> DensityEstimate {
    if let known = estimates[ratio] { return known }
    let estimate = try DensityRegistry.make(ratio.estimator, settings: ratio.options).estimate(evidence)
    estimates[ratio] = estimate
    return estimate
  }

  /// What estimators see; their responses are whole pairs here, because selection is of pairs.
  ///
  /// - Parameter seesAll: all covariates rather than the one that selects.
  private func evidence(seesAll: Bool) -> DensityEvidence {
    let columns = SelectionCovariate.allCases.indices.filter {
      seesAll || SelectionCovariate.allCases[$0] == shift.covariate
    }
    func responses(_ chosen: [Int]) -> DomainResponses {
      var responses = DomainResponses()
      responses.prompts = chosen.map { pairs.prompts[$0] }
      responses.features = chosen.flatMap { pair in columns.map { Float(pairs.covariates[pair][$0]) } }
      return responses
    }
    var evidence = DensityEvidence()
    evidence.source = responses(source)
    evidence.target = responses(target)
    evidence.featureNames = columns.map { SelectionCovariate.allCases[$0].rawValue }
    evidence.storedLogRatios = source.map { logRatios[$0] }
    evidence.seed = seed
    return evidence
  }

  /// How good a reward model of some pairs is on the target.
  func outcome(of training: SelectionTraining) -> SelectionOutcome {
    let model = SparseRewardModel(fitting: pairs.gaps[training.pairs], weights: training.weights, ridge: ridge)
    let margins = pairs.gaps[test] * model.coefficients
    return SelectionOutcome(
      quality: LabelledQuality(margins: margins, weights: testWeights),
      effectiveShare: training.fit?.report.effectiveShare,
      losses: margins.map { crossEntropy($0, target: 1) })
  }
}

/// A density estimator and what it sees of pairs.
package struct SelectionRatio: Sendable, Hashable {
  package let estimator: String
  let options: [String: String]
  /// All covariates rather than the one that selects.
  let seesAll: Bool

  package init(_ estimator: String, _ options: [String: String] = [:], seesAll: Bool = true) {
    (self.estimator, self.options, self.seesAll) = (estimator, options, seesAll)
  }

  /// The ratio of the probabilities of selection.
  package static let exact = SelectionRatio("cached")
}

/// What a reward model is trained on, and the weights that made it.
struct SelectionTraining {
  var pairs: [Int]
  var weights: [Double]
  var fit: WeightFit?

  /// - Parameter fit: weights of the first pairs; all others, and all if it is nil, count 1.
  init(_ pairs: [Int], _ fit: WeightFit? = nil) {
    (self.pairs, self.fit) = (pairs, fit)
    let own = fit?.weights ?? []
    weights = own + [Double](repeating: 1, count: pairs.count - own.count)
  }
}

/// What became of one method in one trial.
package struct SelectionOutcome: Sendable, Equatable {
  package var quality: LabelledQuality
  /// ESS/N of the source's weights, where there are any.
  package var effectiveShare: Double?
  /// −log-likelihood of the label of each pair of the test.
  package var losses: [Double]
}
