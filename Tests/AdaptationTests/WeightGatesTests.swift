import Adaptation
import AlignmentCore
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct WeightGatesTests {
  /// Evidence that every gate lets pass.
  static let good = GateEvidence(
    examples: 1000, effectiveShare: 0.8, maxShare: 0.004, paretoShape: 0.4, auc: 0.7,
    balance: [FeatureBalance(feature: "a", before: 0.2, after: 0.05)], lengthCorrelation: 0.3, meanRatio: 1)

  struct Bound: Sendable, CustomTestStringConvertible {
    var name: WeightGate.Name
    /// The last value that the better verdict has.
    var value: Double
    /// The next one beyond it.
    var beyond: Double
    var within: GateVerdict
    var verdict: GateVerdict
    var change: @Sendable (inout GateEvidence, Double) -> Void

    init(
      _ name: WeightGate.Name, above value: Double, _ within: GateVerdict, _ verdict: GateVerdict,
      _ change: @escaping @Sendable (inout GateEvidence, Double) -> Void
    ) {
      (self.name, self.value, beyond, self.within, self.verdict) = (name, value, value.nextUp, within, verdict)
      self.change = change
    }

    init(
      _ name: WeightGate.Name, below value: Double, _ within: GateVerdict, _ verdict: GateVerdict,
      _ change: @escaping @Sendable (inout GateEvidence, Double) -> Void
    ) {
      (self.name, self.value, beyond, self.within, self.verdict) = (name, value, value.nextDown, within, verdict)
      self.change = change
    }

    var testDescription: String { "\(name.rawValue) \(value) \(verdict)" }
  }

  static let bounds: [Bound] = [
    Bound(.effectiveShare, below: 0.3, .passed, .warned) { $0.effectiveShare = $1 },
    Bound(.effectiveShare, below: 0.05, .warned, .refused) { $0.effectiveShare = $1 },
    Bound(.maxShare, above: 0.01, .passed, .warned) { $0.maxShare = $1 },
    Bound(.maxShare, above: 0.1, .warned, .refused) { $0.maxShare = $1 },
    Bound(.paretoShape, above: 0.7, .passed, .warned) { $0.paretoShape = $1 },
    Bound(.paretoShape, above: 1, .warned, .refused) { $0.paretoShape = $1 },
    Bound(.auc, above: 0.9, .passed, .warned) { $0.auc = $1 },
    Bound(.auc, above: 0.98, .warned, .refused) { $0.auc = $1 },
    Bound(.balance, above: 0.1, .passed, .warned) { $0.balance[0].after = -$1 },
    Bound(.balance, above: 0.25, .warned, .refused) { $0.balance[0].after = $1 },
    Bound(.lengthCorrelation, above: 0.8, .passed, .warned) { $0.lengthCorrelation = -$1 },
    Bound(.meanRatio, above: 2, .passed, .warned) { $0.meanRatio = $1 },
    Bound(.meanRatio, above: 10, .warned, .refused) { $0.meanRatio = $1 },
    Bound(.meanRatio, below: 0.5, .passed, .warned) { $0.meanRatio = $1 },
    Bound(.meanRatio, below: 0.1, .warned, .refused) { $0.meanRatio = $1 },
  ]

  @Test(arguments: bounds)
  func everyGateActsBeyondItsBoundOnly(_ bound: Bound) {
    for (value, verdict) in [(bound.value, bound.within), (bound.beyond, bound.verdict)] {
      var evidence = Self.good
      bound.change(&evidence, value)
      for gate in WeightGates().judge(evidence) {
        #expect(gate.verdict == (gate.name == bound.name ? verdict : .passed))
      }
    }
  }

  @Test func whatIsNotKnownIsSkipped() {
    let gates = WeightGates().judge(GateEvidence(examples: 10, effectiveShare: 1, maxShare: 0.1))
    #expect(gates.map(\.name) == WeightGate.Name.allCases)
    #expect(gates.filter { $0.verdict == .passed }.map(\.name) == [.effectiveShare, .maxShare])
    #expect(gates.dropFirst(2).allSatisfy { $0.verdict == .skipped && $0.value == nil })
  }

  // Ten equal weights have a share of 0.1 each, three have more.
  @Test(arguments: [1, 2, 3, 10, 50, 99, 1000])
  func equalWeightsPassHoweverFew(_ count: Int) throws {
    #expect(try weigh([Double](repeating: 0, count: count)).report.verdict == .passed)
  }

  @Test func theShapeIsJudgedAsFlattened() {
    var evidence = Self.good
    evidence.paretoShape = 1.8
    for (exponent, verdict) in [(1, .refused), (0.6, .refused), (0.5, .warned), (0, .warned)] as [(Double, GateVerdict)]
    {
      evidence.exponent = exponent
      #expect(WeightGates().judge(evidence).first { $0.name == .paretoShape }?.verdict == verdict)
    }
    (evidence.paretoShape, evidence.exponent) = (.infinity, 0.5)
    #expect(WeightGates().judge(evidence).first { $0.name == .paretoShape }?.verdict == .refused)
  }

  @Test func balanceIsRefusedOnlyWhereWeightsMadeItWorse() {
    var evidence = Self.good
    for (before, after, verdict) in [
      (0.6, 0.5, .warned), (0.6, 0.6, .warned), (0.6, 0.7, .refused), (0.1, 0.2, .warned), (0.1, 0.3, .refused),
    ] as [(Double, Double, GateVerdict)] {
      evidence.balance = [FeatureBalance(feature: "a", before: -before, after: after)]
      #expect(WeightGates().judge(evidence).first { $0.name == .balance }?.verdict == verdict)
    }
  }

  @Test func whatIsNotANumberIsRefused() {
    for bound in Self.bounds where bound.verdict == .refused && bound.name != .balance {
      var evidence = Self.good
      bound.change(&evidence, .nan)
      #expect(WeightGates().judge(evidence).first { $0.name == bound.name }?.verdict == .refused)
    }
  }

  @Test func verdictsAreOrdered() {
    #expect(GateVerdict.allCases.shuffled().sorted() == [.skipped, .passed, .warned, .refused])
  }

  // MARK: Whole fits

  @Test func disjointDomainsAreRefused() throws {
    // Responses of the source that the target all but never says; nothing but one stray is left.
    let ratios = (0..<500).map { $0 == 123 ? 0 : -300 - Double($0 % 7) }
    let fit = try weigh(ratios, settings { $0.flattening = .none })
    #expect(fit.report.verdict == .refused)
    #expect(fit.weights == [Double](repeating: 1, count: 500))
    let refused = Set(fit.report.gates.filter { $0.verdict == .refused }.map(\.name))
    #expect(refused.isSuperset(of: [.effectiveShare, .maxShare]))
    let fallback = try #require(fit.report.fallback)
    #expect(fallback.kind == .uniform && fallback.factor == 0)
    #expect(fallback.reason.contains("effective_share is 0.002, refused below 0.05"))
    #expect(fit.report.exponent == 0 && fit.report.effectiveShare == 1 && fit.report.maxShare == 0.002)
    // What was refused can still be looked at.
    #expect(fit.report.flattened.effectiveShare < 0.05)
  }

  @Test func aClassifierThatAlwaysTellsIsRefused() throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = (0..<100).map { $0 }
    var estimate = DensityEstimate(logRatios: normals(100))
    estimate.classifier = ClassifierQuality(auc: 0.995, ece: 0, brier: 0, reliability: [])
    for fallback in [WeightSettings.Fallback.uniform, .shrink] {
      let pipeline = WeightPipeline(settings { $0.fallback = fallback })
      let fit = try pipeline.fit(estimate, evidence, examples: (0..<100).map { [$0] })
      // No exponent makes such a ratio true.
      #expect(fit.weights == [Double](repeating: 1, count: 100))
      #expect(fit.report.fallback?.kind == fallback && fit.report.fallback?.factor == 0)
    }
    let fault = #expect(throws: Fault.self) {
      try WeightPipeline(settings { $0.fallback = .error }).fit(
        estimate, evidence, examples: (0..<100).map { [$0] })
    }
    #expect(fault?.what.contains("auc is 0.995, refused above 0.98") == true)
  }

  @Test func weightsThatAreALengthProxyAreWarnedOf() throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = (0..<100).map { $0 }
    evidence.source.lengths = (0..<100).map { 10 + $0 }
    let estimate = DensityEstimate(logRatios: (0..<100).map { -0.01 * Double($0) })
    let report = try WeightPipeline(WeightSettings()).fit(
      estimate, evidence, examples: (0..<50).map { [2 * $0, 2 * $0 + 1] }
    ).report
    #expect(abs(try #require(report.lengthCorrelation) + 1) < 1e-12)
    #expect(report.verdict == .warned)
    #expect(report.fallback == nil)
  }

  @Test func shrinkingEndsSatisfiedOrUniform() throws {
    var ends: Set<Bool> = []
    for seed in 1...40 as ClosedRange<UInt64> {
      var ratios = normals(300, seed: seed).map { Double(seed) * $0 }
      // At last so many are dropped that no exponent leaves enough.
      if seed > 30 { for i in 0..<290 { ratios[i] = -.infinity } }
      let fit = try weigh(ratios, settings { ($0.flattening, $0.fallback) = (.none, .shrink) })
      guard fit.report.verdict == .refused else {
        #expect(fit.report.fallback == nil && fit.report.exponent == 1)
        continue
      }
      let factor = try #require(fit.report.fallback).factor
      #expect(fit.report.exponent == factor)
      ends.insert(factor > 0)
      guard factor > 0 else {
        #expect(fit.weights == [Double](repeating: 1, count: 300))
        continue
      }
      #expect(fit.report.effectiveShare >= 0.05 && fit.report.maxShare <= 0.1)
      #expect((fit.report.tail?.shape ?? 0) * factor <= 1)
      // Twice the exponent would not do.
      let before = settings { ($0.flattening, $0.temper, $0.fallback) = (.temper, 2 * factor, .uniform) }
      #expect(try weigh(ratios, before).report.verdict == .refused)
      #expect(abs(mean(fit.weights) - 1) < 1e-13)
    }
    #expect(ends == [true, false])
  }
}
