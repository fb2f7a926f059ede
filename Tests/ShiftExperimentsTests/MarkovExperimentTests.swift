import Adaptation
import JSON
import ShiftExperiments
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Experiment E1")
struct MarkovExperimentTests {
  /// Of regimes B and C, with the methods that most claims are about; a tenth of the usual test pairs.
  private static let report: Result<MarkovReport, any Error> = Result {
    var experiment = MarkovExperiment(seeds: (0..<8).map { 40 + $0 })
    experiment.regimes = [MarkovRegime.all[1], MarkovRegime.all[2]]
    experiment.scale.testPairs = 2000
    let names: Set = [
      "uniform", "oracle", "raw", "PSIS", "ESS 0.5", "raw, gates on", "self-training, soft", "bigram teacher",
      "judge 100 %", "uniform + judge 20 %", "ESS 0.5 + judge 20 %", "complete, uniform", "complete, oracle",
      "complete, raw",
    ]
    experiment.methods = MarkovMethod.all.filter { names.contains($0.name) }
    return MarkovReport(try experiment.run(), law: try TemperLaw(seeds: Array(experiment.seeds.prefix(3))))
  }

  @Test func weightsAreThoseOfTheClosedFormRatio() throws {
    let trial = MarkovTrial(MarkovRegime.all[0], seed: 1)
    var settings = WeightSettings()
    settings.flattening = .none
    settings.gates = .open
    let fit = try trial.weights(.exact, settings)
    let source = trial.evidence.source
    let ratios = zip(source.targetLogProbabilities, source.sourceLogProbabilities[0]).map(-)
    for pair in 0..<fit.weights.count {
      #expect(abs(fit.logWeights[pair] - ratios[2 * pair] - ratios[2 * pair + 1]) < 1e-12)
    }
    #expect(abs(fit.weights.reduce(0, +) / Double(fit.weights.count) - 1) < 1e-12)
    #expect(fit.report.fallback == nil)
  }

  @Test func openGatesLetEverythingPass() throws {
    let trial = MarkovTrial(MarkovRegime.all[3], seed: 1)
    var settings = WeightSettings()
    settings.flattening = .none
    #expect(try trial.weights(.exact, settings).report.fallback != nil)
    settings.gates = .open
    #expect(try trial.weights(.exact, settings).report.fallback == nil)
  }

  @Test func sameSeedSameFigures() throws {
    var experiment = MarkovExperiment(seeds: [3])
    experiment.regimes = [MarkovRegime.all[0]]
    experiment.scale.pairs = 300
    experiment.scale.testPairs = 500
    experiment.methods = MarkovMethod.all.filter { ["uniform", "oracle", "ESS 0.5 + judge 20 %"].contains($0.name) }
    let (first, second) = (try experiment.run(), try experiment.run())
    #expect(first[0].outcomes == second[0].outcomes)
    #expect(first[0].outcomes.count == 3)
  }

  @Test func baselinesRecoverNothingAndOraclesAll() throws {
    for summary in try Self.report.get().regimes {
      for (name, share) in [("uniform", 0.0), ("oracle", 1), ("complete, uniform", 0), ("complete, oracle", 1)] {
        #expect(summary[name].recovered == Interval(share, share, share))
      }
    }
  }

  @Test func everyRequiredClaimHolds() throws {
    let report = try Self.report.get()
    #expect(report.checks.count(where: \.isRequired) >= 2 * 4)
    for check in report.checks where check.isRequired {
      #expect(check.verdict != .fails, "\(check.claim) in \(check.regime): \(check.evidence)")
    }
    let isAcceptable = report.isAcceptable
    #expect(isAcceptable)
  }

  @Test func rawWeightsAreCatastrophicAndGatesStopThem() throws {
    for summary in try Self.report.get().regimes {
      #expect(summary["raw"].recovered.estimate < -1)
      #expect(abs(summary["raw, gates on"].recovered.estimate) < 0.05)
      #expect(summary["complete, raw"].gain.upper < 0)
    }
  }

  @Test func labelsHelpOnlyWhereTheyAreNews() throws {
    for summary in try Self.report.get().regimes {
      #expect(abs(summary["self-training, soft"].recovered.estimate) < 0.05)
      #expect(summary["bigram teacher"].recovered.estimate > 0.1)
      #expect(summary["judge 100 %"].recovered.estimate > 0.7)
    }
  }

  @Test func exponentFallsWithTheRootOfLength() throws {
    let law = try Self.report.get().law
    // −0.5 by the law for sums of many tokens; constant weights would give 0, a correction by length −1.
    #expect(abs(law.slope.estimate + 0.5) < 0.1)
    #expect(law.points[0].rawShare > 10 * law.points[4].rawShare)
  }

  @Test func tablesNameEveryMethodAndEveryClaim() throws {
    let report = try Self.report.get()
    let lines = report.markdown.split(separator: "\n")
    for method in report.regimes[0].methods {
      #expect(lines.count { $0.hasPrefix("| \(method.name) | ") } == 4)
    }
    for check in report.checks { #expect(lines.contains { $0.hasPrefix("| \(check.claim)") }) }
  }

  @Test func jsonHoldsTheGainsOfEachSeed() throws {
    let json = try Self.report.get().json
    guard case .object(let object) = json, case .array(let regimes)? = object["regimes"],
      case .object(let regime) = regimes[0], case .array(let methods)? = regime["methods"],
      case .object(let method) = methods[2], case .array(let gains)? = method["gains"]
    else {
      Issue.record("unexpected layout")
      return
    }
    #expect(gains.count == 8)
    #expect(object["passed"] == .bool(true))
  }

  @Test func verdictsFollowTheInterval() {
    #expect(MarkovCheck.Verdict(Interval(0.2, 0.1, 0.3)) == .holds)
    #expect(MarkovCheck.Verdict(Interval(0.2, -0.1, 0.3)) == .holdsOnAverage)
    #expect(MarkovCheck.Verdict(Interval(-0.2, -0.5, 0.3)) == .fails)
  }

  @Test func numbersAreRoundedForPeople() {
    #expect(0.0047.fixed(2) == "0.00" && (-0.0047).fixed(2) == "0.00" && (-0.005001).fixed(2) == "−0.01")
    #expect(12.345.fixed(1) == "12.3" && 2.5.fixed(0) == "3" && 0.05.fixed(3) == "0.050")
    #expect((-Double.infinity).fixed(2) == "−∞" && Double.nan.fixed(2) == "–")
    #expect(0.0004.asProbability == "<0.001" && 0.0416.asProbability == "0.042")
  }
}
