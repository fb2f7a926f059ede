import Adaptation
import AlignmentCore
import Testing

@Suite struct ExampleMixTests {
  static func label(weight: Double = 1, confidence: Double) -> PseudoLabel {
    let group = CandidateGroup(number: 0, texts: ["a", "b"])
    var session = PairingSession(try! PairingRegistry.make("all_pairs"), seed: 0)
    session.filters.tieBand = nil
    var label = try! session.run(
      on: [group], judge: .function { $0.map { _ in Judgement(q: (1 + confidence) / 2) } }
    ).labels[0]
    label.weight = weight
    return label
  }

  static let labels = [label(confidence: 0.5), label(weight: 0.5, confidence: 1), label(confidence: 0)]

  static func plan(_ change: (inout MixPlan) -> Void) -> MixPlan {
    var plan = MixPlan()
    change(&plan)
    return plan
  }

  @Test func oneTimesEverythingIsTheUnion() throws {
    let mix = try MixPlan().mix(sourceWeights: [0.5, 2, 0, 1], labels: Self.labels)
    #expect(mix.source.places == [0, 1, 3] && mix.source.weights == [0.5, 2, 1])
    #expect(mix.pseudo.places == [0, 1, 2] && mix.pseudo.weights == [1, 0.5, 1])
  }

  @Test(arguments: [(0.0, [1.0, 0.5, 1]), (1.0, [0.5, 0.5, 0]), (2.0, [0.25, 0.5, 0])])
  func confidenceWeighsLabels(_ power: Double, _ expected: [Double]) throws {
    let mix = try Self.plan {
      $0.confidencePower = power
      $0.pseudo = 3
    }.mix(sourceWeights: [1], labels: Self.labels)
    #expect(mix.pseudo.weights == expected.filter { $0 > 0 }.map { 3 * $0 })
    #expect(mix.pseudo.places == expected.indices.filter { expected[$0] > 0 } && mix.source.weights == [1])
  }

  @Test func sharesHoldWhateverTheWeights() throws {
    let plan = Self.plan {
      $0.measure = .shares
      ($0.source, $0.pseudo) = (0.6, 0.2)
    }
    for weights in [[1.0], [0.1, 40, 3, 0], [Double](repeating: 7, count: 100)] {
      let mix = try plan.mix(sourceWeights: weights, labels: Self.labels)
      #expect(abs(mix.pseudoShare - 0.25) < 1e-14)
      let count = mix.source.places.count + mix.pseudo.places.count
      #expect(abs(mix.source.total + mix.pseudo.total - Double(count)) < 1e-12 * Double(count))
      // Within a part the proportions stay.
      #expect(abs(mix.pseudo.weights[1] / mix.pseudo.weights[0] - 0.5) < 1e-14)
    }
    let alone = try plan.mix(sourceWeights: [], labels: Self.labels)
    #expect(abs(alone.pseudo.total - 3) < 1e-14 && alone.pseudoShare == 1)
    #expect(try plan.mix(sourceWeights: [2, 2], labels: []).source.weights == [1, 1])
  }

  @Test func aPartCountsForItsEffectiveNumberOfExamples() throws {
    // (1 + 3)²/(1 + 9) = 1.6 of two source examples, whatever their scale; two labels that are worth two.
    for scale in [0.25, 1, 8] {
      let mix = try Self.plan {
        $0.measure = .effective
        $0.pseudo = 3
      }.mix(sourceWeights: [scale, 3 * scale], labels: [Self.labels[0], Self.labels[2]])
      #expect(zip(mix.source.weights, [0.4, 1.2]).allSatisfy { abs($0 - $1) < 1e-15 })
      #expect(mix.pseudo.weights == [3, 3])
    }
  }

  @Test func aFactorOfZeroLeavesAPartOut() throws {
    for measure in MixPlan.Measure.allCases {
      let onlyPseudo = try Self.plan {
        $0.measure = measure
        $0.source = 0
      }.mix(sourceWeights: [1, 2], labels: Self.labels)
      #expect(onlyPseudo.source.places.isEmpty && onlyPseudo.pseudo.places.count == 3)
      let onlySource = try Self.plan {
        $0.measure = measure
        $0.pseudo = 0
      }.mix(sourceWeights: [1, 2], labels: Self.labels)
      #expect(onlySource.pseudo.places.isEmpty && onlySource.source.places == [0, 1])
    }
  }

  @Test func effectiveCountsTellWhichSideRules() throws {
    let mix = try MixPlan().mix(sourceWeights: [1, 1, 1, 1, 0], labels: [Self.labels[0], Self.labels[2]])
    #expect(mix.source.effectiveCount == 4 && mix.pseudo.effectiveCount == 2)
    #expect(mix.effectivePseudoShare == 1.0 / 3 && mix.pseudoShare == 1.0 / 3)
    // (1 + 3)²/(1 + 9), also far from 1.
    for scale in [1e-200, 1, 1e200] {
      let uneven = try MixPlan().mix(sourceWeights: [scale, 3 * scale], labels: [])
      #expect(abs(uneven.source.effectiveCount - 1.6) < 1e-14 && uneven.pseudo.effectiveCount == 0)
    }
  }

  @Test func whatCannotBeAWeightIsAFault() {
    for weight in [-1, Double.nan, .infinity] {
      #expect(throws: Fault.self) { try MixPlan().mix(sourceWeights: [1, weight], labels: []) }
      #expect(throws: Fault.self) { try Self.plan { $0.pseudo = weight }.mix(sourceWeights: [1], labels: []) }
    }
    #expect(throws: Fault.self) { try MixPlan().mix(sourceWeights: [0, 0], labels: []) }
    #expect(throws: Fault.self) { try Self.plan { $0.source = 0 }.mix(sourceWeights: [1], labels: []) }
  }
}
