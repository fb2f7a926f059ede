import Adaptation
import AlignmentCore
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct WeightPipelineTests {
  // MARK: Uniform weights

  @Test(arguments: WeightSettings.Flattening.allCases)
  func uniformWeightsAreOneBitForBit(_ flattening: WeightSettings.Flattening) throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = (0..<300).map { $0 / 3 }
    evidence.source.lengths = (0..<300).map { $0 % 17 }
    let estimate = try estimator("uniform").estimate(evidence)
    for composition in WeightSettings.Composition.allCases {
      let settings = settings {
        ($0.flattening, $0.composition, $0.centresPrompts, $0.fallback) = (flattening, composition, true, .error)
      }
      for examples in [(0..<300).map { [$0] }, (0..<100).map { [3 * $0, 3 * $0 + 1, 3 * $0 + 2] }] {
        let fit = try WeightPipeline(settings).fit(estimate, evidence, examples: examples)
        #expect(fit.weights == [Double](repeating: 1, count: examples.count))
        #expect(fit.report.effectiveShare == 1)
        #expect(fit.report.verdict == .passed)
      }
    }
  }

  // Features tell the domains apart, and no weight of 1 can change that: there is nothing to refuse.
  @Test func uniformWeightsAreNotRefusedForWhatTheDomainsAre() throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = (0..<100).map { $0 }
    evidence.target.prompts = (0..<100).map { $0 }
    evidence.featureNames = ["a"]
    evidence.source.features = normals(100).map(Float.init)
    evidence.target.features = normals(100, seed: 2).map { Float($0 + 2) }
    for composition in WeightSettings.Composition.allCases {
      let pipeline = WeightPipeline(settings { ($0.fallback, $0.composition) = (.error, composition) })
      let fit = try pipeline.fit(
        estimator("uniform").estimate(evidence), evidence, examples: (0..<50).map { [2 * $0, 2 * $0 + 1] })
      #expect(fit.report.balance[0].before > 1)
      #expect(fit.report.balance[0].after == fit.report.balance[0].before)
      #expect(fit.report.verdict == .warned)
      #expect(fit.weights == [Double](repeating: 1, count: 50))
    }
  }

  // MARK: Composition

  @Test(arguments: [
    (WeightSettings.Composition.product, 0.5 + 1 - 2), (.mean, log((exp(0.5) + exp(1) + exp(-2)) / 3)),
    (.minimum, -2), (.first, 0.5),
  ])
  func listsAreComposed(_ composition: WeightSettings.Composition, expected: Double) throws {
    let settings = settings { ($0.composition, $0.flattening) = (composition, .none) }
    let fit = try weigh([0.5, 1, -2, 0], settings, examples: [[0, 1, 2], [3, 3, 3]])
    #expect(abs(fit.logWeights[0] - expected) < 1e-15)
    #expect(fit.logWeights[1] == 0)
    let weight = exp(expected)
    #expect(distance(fit.weights, [2 * weight / (1 + weight), 2 / (1 + weight)]) < 1e-15)
  }

  @Test func constantsOfPromptsAreCentredAway() throws {
    let ratios = normals(60)
    let prompts = (0..<60).map { $0 / 4 }
    let offsets = normals(15, seed: 2).map { 100 * $0 }
    let centred = settings { ($0.centresPrompts, $0.flattening) = (true, .none) }
    let a = try weigh(ratios, centred, prompts: prompts)
    let b = try weigh(zip(ratios, prompts).map { $0 + offsets[$1] }, centred, prompts: prompts)
    #expect(distance(a.weights, b.weights) < 1e-11)
    // Each prompt's mean weight is the data set's.
    for prompt in 0..<15 { #expect(abs(mean(Array(a.weights[4 * prompt..<4 * prompt + 4])) - 1) < 1e-12) }
    #expect(throws: Fault.self) { try weigh(ratios, centred, prompts: Array(0..<60)) }
  }

  // MARK: Laws of weights

  @Test(arguments: WeightSettings.Flattening.allCases)
  func theMeanWeightIsOneAndAConstantChangesNothing(_ flattening: WeightSettings.Flattening) throws {
    let ratios = normals(2000)
    let settings = settings { $0.flattening = flattening }
    let plain = try weigh(ratios, settings)
    #expect(abs(mean(plain.weights) - 1) < 1e-13)
    #expect(plain.report.fallback == nil)
    for constant in [-700, 0.1, 5000] as [Double] {
      let shifted = try weigh(ratios.map { $0 + constant }, settings)
      // Adding 5000 costs 13 bits of the log-ratios.
      #expect(zip(shifted.weights, plain.weights).allSatisfy { abs($0 - $1) < 1e-11 * $1 })
      #expect(abs(shifted.report.exponent - plain.report.exponent) < 1e-11)
    }
  }

  // A response that occurs twice is one whose weight counts twice.
  @Test(arguments: [WeightSettings.Flattening.none, .temper])
  func duplicatesAreWeightsOfTwo(_ flattening: WeightSettings.Flattening) throws {
    let (ratios, losses) = (normals(50), normals(50, seed: 2))
    let settings = settings { $0.flattening = flattening }
    let once = try weigh(ratios, settings).weights
    let twice = try weigh(ratios + ratios.prefix(10), settings).weights
    let risk = mean(zip(twice, losses + losses.prefix(10)).map { $0 * $1 })
    let counts = ratios.indices.map { $0 < 10 ? 2.0 : 1 }
    let total = zip(counts, once).reduce(0) { $0 + $1.0 * $1.1 }
    let expected = zip(counts, zip(once, losses)).reduce(0) { $0 + $1.0 * $1.1.0 * $1.1.1 } / total
    #expect(abs(risk - expected) < 1e-14)
  }

  // Sums of log-probabilities of which exp is 0 in Float32, and in Float64 at last.
  @Test func logProbabilitiesOfMinus500AreExact() throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = [0, 0, 0]
    evidence.source.targetLogProbabilities = [-500, -503.25, -5000]
    evidence.source.sourceLogProbabilities = [[-500.5, -503, -4999]]
    let estimate = try estimator("importance").estimate(evidence)
    #expect(estimate.logRatios == [0.5, -0.25, -1])
    let raw = try WeightPipeline(settings { $0.flattening = .none }).fit(
      estimate, evidence, examples: [[0], [1], [2]])
    #expect(raw.logWeights == [0.5, -0.25, -1])
    let ratios = [exp(0.5), exp(-0.25), exp(-1)].map { $0 / mean([exp(0.5), exp(-0.25), exp(-1)]) }
    #expect(distance(raw.weights, ratios) < 1e-15)
    let relative = try WeightPipeline(settings { ($0.flattening, $0.alpha) = (.relative, 0.1) }).fit(
      estimate, evidence, examples: [[0], [1], [2]])
    let bounded = ratios.map { $0 / (0.1 * $0 + 0.9) }
    #expect(distance(relative.weights, bounded.map { $0 / mean(bounded) }) < 1e-15)
  }

  // MARK: Flattening

  @Test func theEffectiveSampleSizeNeverRisesWithTheExponent() throws {
    for seed in 1...20 as ClosedRange<UInt64> {
      let curve = try weigh(normals(500, seed: seed).map { 3 * $0 }).report.effectiveCurve
      #expect(curve.first?.exponent == 0 && curve.first?.share == 1)
      #expect(curve.last?.exponent == 1)
      #expect(zip(curve, curve.dropFirst()).allSatisfy { $0.share > $1.share })
    }
  }

  @Test(arguments: [0.1, 0.3, 0.5, 0.9])
  func theExponentIsTheLargestThatKeepsTheShare(_ share: Double) throws {
    let ratios = normals(5000).map { 4 * $0 }
    let settings = settings { $0.effectiveShare = share }
    let fit = try weigh(ratios, settings)
    #expect(abs(fit.report.effectiveShare - share) < 1e-9)
    #expect(fit.report.effectiveShare >= share)
    // Where the weights keep the share themselves, they stay as they are.
    #expect(try weigh(normals(5000).map { 0.1 * $0 }, settings).report.exponent == 1)
  }

  // Log-normal weights of σ = 4: the share is exp(−τ²σ²). At 0.3 the exponent has a standard deviation of 1 %.
  @Test(arguments: [0.3, 0.5, 0.9])
  func theExponentOfLogNormalWeightsIsThatOfTheory(_ share: Double) throws {
    let fit = try weigh(normals(200_000).map { 4 * $0 }, settings { $0.effectiveShare = share })
    #expect(abs(fit.report.exponent / ((-log(share)).squareRoot() / 4) - 1) < 0.03)
  }

  @Test func theExponentFallsWithTheRootOfTheLength() throws {
    // Sums of independent log-ratios of tokens, uniform on ±0.5.
    let stream = RandomStream(seed: 7, purpose: .syntheticWorld)
    let count = 20_000
    let products = [16, 64, 256].map { length in
      let ratios = (0..<count).map { i in
        (0..<length).reduce(0) { $0 + stream.uniform(at: length * count + i * length + $1) - 0.5 }
      }
      let exponent = (try? weigh(ratios).report.exponent) ?? .nan
      return exponent * Double(length).squareRoot()
    }
    // √(ln 2 · 12), but where no tempering is needed: Var = T/12.
    for product in products { #expect(abs(product / (log(2) * 12).squareRoot() - 1) < 0.03) }
  }

  @Test func clippedWeightsAreBoundedWhereTheMeanIsOne() throws {
    let ratios = normals(1000).map { 2 * $0 }
    let raw = try weigh(ratios, settings { ($0.flattening, $0.gates) = (.none, Self.open) }).weights
    let clipped = try weigh(ratios, settings { ($0.flattening, $0.clip) = (.clip, 3) }).weights
    let expected = raw.map { min($0, 3) }
    #expect(raw.max()! > 3)
    #expect(distance(clipped, expected.map { $0 / mean(expected) }) < 1e-12)
  }

  @Test func relativeWeightsAreBoundedByOneOverAlpha() throws {
    let ratios = normals(1000).map { 4 * $0 }
    let fit = try weigh(ratios, settings { ($0.flattening, $0.alpha) = (.relative, 0.25) })
    let raw = try weigh(ratios, settings { ($0.flattening, $0.gates) = (.none, Self.open) }).weights
    let expected = raw.map { $0 / (0.25 * $0 + 0.75) }
    #expect(distance(fit.weights, expected.map { $0 / mean(expected) }) < 1e-12)
    #expect(
      try weigh(ratios, settings { ($0.flattening, $0.alpha) = (.relative, 1) }).weights.allSatisfy {
        $0 == 1
      })
  }

  @Test func temperedWeightsArePowers() throws {
    let ratios = normals(100)
    let expected = ratios.map { exp(0.3 * $0) }
    let fit = try weigh(ratios, settings { ($0.flattening, $0.temper) = (.temper, 0.3) })
    #expect(distance(fit.weights, expected.map { $0 / mean(expected) }) < 1e-13)
    #expect(fit.report.exponent == 0.3)
  }

  @Test func smoothedWeightsAreThoseOfTheSmoothing() throws {
    let ratios = normals(1000)
    let smoothed = ParetoSmoothing(ratios).smoothed(ratios).map { exp($0) }
    let fit = try weigh(ratios, settings { $0.flattening = .psis })
    #expect(distance(fit.weights, smoothed.map { $0 / mean(smoothed) }) < 1e-12)
  }

  // MARK: Dropped responses and faults

  @Test(arguments: WeightSettings.Flattening.allCases)
  func droppedResponsesHaveWeightZeroAndAreInTheMean(_ flattening: WeightSettings.Flattening) throws {
    var ratios = normals(200)
    for i in stride(from: 0, to: 200, by: 5) { ratios[i] = -.infinity }
    let settings = settings { ($0.flattening, $0.temper, $0.gates) = (flattening, 0, Self.open) }
    let fit = try weigh(ratios, settings)
    #expect(fit.report.dropped == 40)
    #expect(fit.weights.indices.allSatisfy { (fit.weights[$0] == 0) == ($0 % 5 == 0) })
    #expect(abs(mean(fit.weights) - 1) < 1e-13)
    #expect(fit.report.raw.histogram.counts.reduce(0, +) == 160)
  }

  @Test func aDroppedResponseDropsItsPair() throws {
    let ratios: [Double] = [-.infinity, 1, 0.5, 0]
    let examples = [[0, 1], [2, 3]]
    #expect(try weigh(ratios, examples: examples).weights == [0, 2])
    // The mean of a pair has one response left.
    let mean = settings { ($0.composition, $0.flattening) = (.mean, .none) }
    #expect(try weigh(ratios, mean, examples: examples).logWeights[0] == 1 - log(2))
  }

  @Test func nothingLeftIsAFault() throws {
    let fault = #expect(throws: Fault.self) { try weigh([-.infinity, -.infinity]) }
    #expect(fault?.kind == .data)
    let centred = settings { $0.centresPrompts = true }
    #expect(throws: Fault.self) { try weigh([-.infinity, -.infinity], centred) }
  }

  @Test(arguments: [Double.nan, .infinity])
  func whatIsNotANumberIsNamed(_ value: Double) throws {
    let fault = #expect(throws: Fault.self) { try weigh([0, 1, value, 2], prompts: [0, 0, 9, 9]) }
    #expect(fault?.kind == .nonFinite)
    #expect(fault?.location == "source response 2 (prompt 9)")
  }

  @Test func featuresThatAreNotNumbersAreNamed() throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = [0, 1]
    evidence.target.prompts = [0, 7]
    evidence.featureNames = ["a", "b"]
    evidence.source.features = [0, 0, 0, 0]
    evidence.target.features = [0, 0, 0, .nan]
    let fault = #expect(throws: Fault.self) {
      try WeightPipeline(WeightSettings()).fit(
        DensityEstimate(logRatios: [0, 0]), evidence, examples: [[0], [1]])
    }
    #expect(fault?.what == "feature b is nan")
    #expect(fault?.location == "sample 1 (prompt 7)")
  }

  @Test func settingsOutOfRangeAreFaults() throws {
    for change: (inout WeightSettings) -> Void in [
      { $0.effectiveShare = 0 }, { $0.effectiveShare = 1.1 }, { $0.temper = -1 }, { $0.temper = .nan },
      { $0.alpha = 2 },
      { $0.clip = 0 }, { $0.clip = .infinity },
    ] {
      let fault = #expect(throws: Fault.self) { try weigh([0, 1], settings(change)) }
      #expect(fault?.kind == .configuration)
    }
  }

  // MARK: Report

  @Test func quantilesAndHistogramsAreOfLogWeights() throws {
    // Of 101 values from −1 to 1 the p-quantile is −1 + 2p, whatever the shift that brings the mean weight to 1.
    let ratios = (0...100).map { Double($0) / 50 - 1 }
    let shift = log(mean(ratios.map { exp($0) }))
    let report = try weigh(ratios.reversed(), settings { $0.flattening = .none }).report
    let expected = WeightSpread.probabilities.map { 2 * $0 - 1 - shift }
    #expect(distance(report.raw.quantiles, expected) < 1e-13)
    #expect(report.raw == report.flattened)
    #expect(abs(report.raw.histogram.low - (-1 - shift)) < 1e-13)
    #expect(abs(report.raw.histogram.high - (1 - shift)) < 1e-13)
    #expect(report.raw.histogram.counts.count == Histogram.bins)
    #expect(report.raw.histogram.counts.allSatisfy { (2...3).contains($0) })
    #expect(report.raw.histogram.counts.reduce(0, +) == 101)
    let weights = ratios.map { exp($0) }
    let share = pow(weights.reduce(0, +), 2) / weights.reduce(0) { $0 + $1 * $1 } / 101
    #expect(abs(report.effectiveShare - share) < 1e-14)
    #expect(abs(report.maxShare - exp(1) / weights.reduce(0, +)) < 1e-14)
  }

  @Test func theTailIsComparedWithItsFit() throws {
    let ratios = normals(10_000)
    let tail = try #require(try weigh(ratios).report.tail)
    #expect(tail.observed.count == ParetoTail.points)
    #expect(tail.fitted.count == ParetoTail.points)
    #expect(abs(tail.shape - ParetoSmoothing(ratios).shape!) < 1e-12)
    let weights = try weigh(ratios, settings { $0.flattening = .none }).weights
    #expect(abs(tail.observed.last! - log(weights.max()!)) < 1e-12)
    // A tail that fits lies near the diagonal.
    #expect(zip(tail.observed, tail.fitted).dropLast(5).allSatisfy { abs($0 - $1) < 0.1 })
    #expect(abs(tail.reliableShape - 0.7) < 1e-15)
  }

  @Test func differencesOfFeaturesAreStandardised() throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = [0, 0, 0, 0]
    evidence.target.prompts = [0, 0]
    evidence.featureNames = ["a", "constant", "apart"]
    evidence.source.features = [0, 1, 2, 1, 1, 2, 2, 1, 2, 3, 1, 2]
    evidence.target.features = [2, 1, 5, 4, 1, 5]
    let estimate = DensityEstimate(logRatios: [0, 0, 0, log(3)])
    let balance = try WeightPipeline(settings { ($0.flattening, $0.gates) = (.none, Self.open) }).fit(
      estimate, evidence, examples: [[0], [1], [2], [3]]
    ).report.balance
    // Means 1.5 and 3, variances 1.25 and 1; the weighted mean is (0 + 1 + 2 + 3·3)/6 = 2.
    #expect(abs(balance[0].before - 1.5 / (1.125 as Double).squareRoot()) < 1e-14)
    #expect(abs(balance[0].after - 1 / (1.125 as Double).squareRoot()) < 1e-14)
    #expect(balance[1].before == 0 && balance[1].after == 0)
    #expect(balance[2].before == .infinity && balance[2].after == .infinity)
  }

  @Test func whatTheEstimatorFoundIsReported() throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = [0, 0]
    var estimate = DensityEstimate(logRatios: [0, 1])
    estimate.findings = [("divergence", 0.25)]
    estimate.classifier = ClassifierQuality(auc: 0.6, ece: 0.02, brier: 0.2, reliability: [(0.5, 0.48, 2)])
    let report = try WeightPipeline(WeightSettings()).fit(estimate, evidence, examples: [[0], [1]]).report
    #expect(report.findings.map(\.name) == ["divergence"] && report.findings.map(\.value) == [0.25])
    #expect(report.classifier == estimate.classifier)
  }

  /// Gates that let everything pass.
  static var open: WeightGates {
    var gates = WeightGates()
    let none = WeightGates.Pair()
    (gates.effectiveShare, gates.maxShare, gates.paretoShape, gates.balance) = (none, none, none, none)
    (gates.auc, gates.lengthCorrelation, gates.meanRatio) = (none, none, none)
    return gates
  }
}
