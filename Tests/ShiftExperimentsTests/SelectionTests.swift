import Adaptation
import AlignmentCore
import Kernels
import ShiftExperiments
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Selection of real pairs")
struct SelectionTests {
  /// A third of 30 × 12 elements, by a fixed rule.
  private var sparse: SparseRows {
    var rows = SparseRows(columns: 12)
    for row in 0..<30 {
      let elements = (0..<12).filter { (row * 7 + $0 * 5) % 3 == 0 }.map { ($0, sin(Double(row * 12 + $0))) }
      rows.append(Dictionary(uniqueKeysWithValues: elements))
    }
    return rows
  }

  @Test func sparseFitIsTheDenseFit() {
    var dense = DoubleMatrix(rows: 30, columns: 12)
    for column in 0..<12 {
      let image = sparse * (0..<12).map { $0 == column ? 1 : 0 }
      for row in 0..<30 { dense.elements[row * 12 + column] = image[row] }
    }
    let weights = (0..<30).map { 1 + 0.9 * cos(Double($0)) }
    let expected = LinearRewardModel(
      fitting: ComparisonRows(dense, targets: [Double](repeating: 1, count: 30), weights: weights), ridge: 0.3)
    let model = SparseRewardModel(fitting: sparse, weights: weights, ridge: 0.3)
    #expect(expected.coefficients.contains { abs($0) > 0.1 })
    // The gradient ends below 1e−7 of its first norm, which is about 5; the ridge turns it into an error of θ.
    for (a, b) in zip(model.coefficients, expected.coefficients) { #expect(abs(a - b) < 1e-6) }
  }

  @Test func rowsAreTakenInTheOrderGiven() {
    let x = (0..<12).map { Double($0) }
    let all = sparse * x
    #expect(sparse[[4, 1, 4]] * x == [all[4], all[1], all[4]])
  }

  @Test func wordsAreRunsOfLetters() {
    let words = TextFeatures.words(Array("I’m NOT sure, don't 42?\n".utf8)).map { String(decoding: $0, as: UTF8.self) }
    #expect(words == ["i’m", "not", "sure", ",", "don't", "42", "?"])
  }

  @Test func featuresOfAnExchangedPairAreNegated() {
    let (a, b) = (Array("the cat sat on the mat".utf8), Array("no.\nwhy?".utf8))
    let gap = TextFeatures.gap(a, b)
    #expect(gap.count > 15)
    #expect(TextFeatures.gap(b, a) == gap.mapValues { -$0 })
    #expect(TextFeatures.gap(a, a).values.allSatisfy { $0 == 0 })
  }

  @Test func qualityIsThatOfAllPairsOfOrders() {
    let margins = [0.5, -0.2, 0.2, 0, 1.5, -0.5, 0.5, -3]
    let weights = [1, 2, 0.5, 1, 0.25, 1, 3, 0.125]
    let quality = LabelledQuality(margins: margins, weights: weights)
    let total = weights.reduce(0, +)
    var auc = 0.0
    for (m, w) in zip(margins, weights) {
      for (other, v) in zip(margins, weights) { auc += w * v * (m > -other ? 1 : m == -other ? 0.5 : 0) }
    }
    #expect(abs(quality.auc - auc / (total * total)) < 1e-14)
    #expect(abs(quality.accuracy - (1 + 0.5 + 0.5 + 0.25 + 3) / total) < 1e-14)
    let loss = zip(margins, weights).reduce(0) { $0 + $1.1 * log(1 + exp(-$1.0)) }
    #expect(abs(quality.negativeLogLikelihood - loss / total) < 1e-14)
  }

  /// In scipy: v = var([.3, .1, −.2, .4, .25], ddof=1); t.ppf(.975, 4)·√(v·(1/5 + 1/3)); 2·t.sf(.17/√(v·(1/5 + 1/3)), 4).
  @Test func splitsOfOneDataSetWidenTheInterval() {
    let sample = UnitSample([0.3, 0.1, -0.2, 0.4, 0.25])
    let (interval, p) = sample.overSplits(testRatio: 1.0 / 3)
    #expect(abs(interval.upper - interval.estimate - 0.47335471379428756) < 1e-9)
    #expect(abs(p - 0.3751353690864522) < 1e-9)
    let independent = sample.overSplits(testRatio: 0)
    #expect(abs(independent.p - sample.studentP) < 1e-15)
  }

  /// Pairs of which the long ratio prefers "red", the short one "blue": what a reward model learns depends on the domain.
  private func pairs(_ count: Int) -> SelectionPairs {
    let stream = RandomStream(seed: 5, purpose: .syntheticWorld)
    return SelectionPairs(
      (0..<count).map { i in
        let ratio = stream.uniform(at: i)
        let prefersRed = ratio > 0.5
        let (a, b) = prefersRed ? ("red", "blue") : ("blue", "red")
        let filler = String(repeating: ".", count: 40)
        let longer = filler + String(repeating: ".", count: Int(80 * ratio))
        let chosenIsLonger = i % 2 == 0
        return LabelledPair(
          prompt: Array("p\(i)".utf8), chosen: Array("\(a) \(chosenIsLonger ? longer : filler)".utf8),
          rejected: Array("\(b) \(chosenIsLonger ? filler : longer)".utf8))
      })
  }

  private let shift = SelectionShift(.lengthRatio, sourceIsHigh: true)

  @Test func covariatesDoNotSeeTheLabel() {
    let pair = LabelledPair(
      prompt: Array("\n\nHuman: a\n\nAssistant: b\n\nHuman: c".utf8), chosen: Array("one two?".utf8),
      rejected: Array("two three four".utf8))
    let exchanged = LabelledPair(prompt: pair.prompt, chosen: pair.rejected, rejected: pair.chosen)
    for covariate in SelectionCovariate.allCases {
      #expect(covariate.value(of: pair) == covariate.value(of: exchanged))
    }
    #expect(abs(SelectionCovariate.turns.value(of: pair) - log(3)) < 1e-15)
    #expect(SelectionCovariate.overlap.value(of: pair) == 2.0 / 6)
  }

  @Test func domainsAndTestAreApart() {
    let pairs = pairs(1200)
    let trial = SelectionTrial(pairs, shift, seed: 3, ridge: 1)
    #expect(trial.source.count == trial.target.count && trial.source.count > 100)
    #expect(Set(trial.source + trial.target).count == 2 * trial.source.count)
    #expect(Set(trial.test).isDisjoint(with: trial.source + trial.target))
    #expect(abs(Double(trial.test.count) / 1200 - 0.25) < 0.05)
    #expect(!trial.labelled.isEmpty && trial.labelled.count == trial.target.count / 5)
  }

  @Test func probabilitiesAreThoseOfTheDraw() {
    let pairs = pairs(1200)
    let probabilities = shift.probabilities(pairs)
    let seeds = (0..<60).map { UInt64($0) }
    var (source, target, held) = (0, 0, 0)
    for seed in seeds {
      let trial = SelectionTrial(pairs, shift, seed: seed, ridge: 1)
      held += trial.test.count
      source += trial.source.count
      target += trial.target.count
    }
    // The target is the smaller domain here, so none of its pairs is cut off.
    let expected = probabilities.reduce(0) { $0 + $1.target } / 1200
    #expect(abs(Double(target) / Double(60 * 1200 - held) - expected) < 0.01)
    #expect(source == target)
    #expect(probabilities.allSatisfy { $0.source + $0.target <= 1 && $0.source > 0.05 })
  }

  @Test func exactWeightsBringTheSourceToTheTarget() throws {
    let pairs = pairs(1200)
    var (source, weighted, target) = (0.0, 0.0, 0.0)
    for seed in 0..<20 {
      let trial = SelectionTrial(pairs, shift, seed: UInt64(seed), ridge: 1)
      let weights = try trial.weights(.exact, .raw).weights
      func u(_ pair: Int) -> Double { pairs.covariates[pair][0] }
      source += trial.source.map(u).mean
      weighted += zip(trial.source.map(u), weights).map(*).mean
      target += trial.target.map(u).mean
    }
    #expect(source - target > 20 * 0.15)
    #expect(abs(weighted - target) < 20 * 0.02)
  }

  @Test func weightsCloseTheGapThatSelectionLeaves() throws {
    let pairs = pairs(1200)
    let experiment = SelectionExperiment(pairs, seeds: [1, 2, 3, 4], ridge: 1)
    let screening = try experiment.screen()
    let shifts = SelectionReport.selected(screening, prompts: pairs.promptCount)
    #expect(shifts.contains(shift))
    let report = SelectionReport(
      screening: screening, measurement: try experiment.run([shift]), prompts: pairs.promptCount)
    let summary = report.measured[0]
    #expect(summary.gap.interval().lower > 0.05)
    #expect(summary["true ratio, ESS 0.5"].recovered.estimate > 0.2)
    #expect(summary["oracle"].recovered == Interval(1, 1, 1))
    #expect(summary["uniform"].recovered.estimate == 0)
    let lines = report.markdown.split(separator: "\n")
    for method in SelectionMethod.all { #expect(lines.count { $0.hasPrefix("| \(method.name) | ") } == 1) }
    for shift in SelectionShift.all { #expect(lines.count { $0.hasPrefix("| \(shift.name) | ") } == 1) }
    #expect(report.json["measurement"]?.arrayValue?[0]["methods"]?.arrayValue?.count == SelectionMethod.all.count)
  }
}
