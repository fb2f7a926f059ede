import Adaptation
import AlignmentCore
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct ClosedFormEstimatorTests {
  private func known() -> DensityEvidence {
    var evidence = DensityEvidence()
    evidence.source.prompts = [0, 0, 1]
    evidence.source.lengths = [4, 9, 0]
    evidence.source.targetLogProbabilities = [-8, -30, -2]
    evidence.source.sourceLogProbabilities = [[-10, -27, -2.5]]
    return evidence
  }

  @Test func formsOfImportanceDependOnTheLength() throws {
    #expect(try estimator("importance").estimate(known()).logRatios == [2, -3, 0.5])
    let mean = try estimator("importance", ["form": "length"]).estimate(known()).logRatios
    #expect(distance(mean, [0.5, -1.0 / 3, 0.5]) < 1e-15)
    let root = try estimator("importance", ["form": "sqrt_length", "scale": "1.5"]).estimate(known()).logRatios
    #expect(distance(root, [1.5, -1.5, 0.75]) < 1e-15)
  }

  @Test func onlyWholeSequencesHaveNoUnknownConstant() throws {
    #expect(try estimator("importance").estimate(known()).isNormalized)
    #expect(try !estimator("importance", ["form": "length"]).estimate(known()).isNormalized)
  }

  @Test func aMixtureOfGeneratorsIsTheirWeightedMean() throws {
    var evidence = known()
    evidence.source.sourceLogProbabilities.append([-12, -.infinity, -900])
    evidence.generatorShares = [0.75, 0.25]
    let ratios = try estimator("importance").estimate(evidence).logRatios
    let first = -8 - log(0.75 * exp(-10) + 0.25 * exp(-12))
    #expect(distance(ratios, [first, -30 - (-27 + log(0.75)), -2 - (-2.5 + log(0.75))]) < 1e-14)
    evidence.generatorShares = [1]
    #expect(throws: Fault.self) { try estimator("importance").estimate(evidence) }
  }

  @Test func whatTheTargetNeverSaysIsDroppedAndWhatTheSourceNeverSaysIsAFault() throws {
    var evidence = known()
    evidence.source.targetLogProbabilities[1] = -.infinity
    #expect(try estimator("importance").estimate(evidence).logRatios == [2, -.infinity, 0.5])
    evidence.source.sourceLogProbabilities[0][2] = -.infinity
    let fault = #expect(throws: Fault.self) { try estimator("importance").estimate(evidence) }
    #expect(fault?.location == "source response 2 (prompt 1)")
  }

  @Test func logProbabilitiesThatAreNotNumbersAreNamed() throws {
    for spoil: (inout DensityEvidence) -> Void in [
      { $0.source.targetLogProbabilities[1] = .nan }, { $0.source.sourceLogProbabilities[0][1] = .nan },
    ] {
      var evidence = known()
      spoil(&evidence)
      let fault = #expect(throws: Fault.self) { try estimator("importance").estimate(evidence) }
      #expect(fault?.kind == .nonFinite)
      #expect(fault?.location == "source response 1 (prompt 0)")
    }
  }

  @Test(arguments: ["importance", "rso", "cached"])
  func missingEvidenceIsAFault(_ name: String) throws {
    var evidence = DensityEvidence()
    evidence.source.prompts = [0, 0, 1]
    let fault = #expect(throws: Fault.self) { try estimator(name).estimate(evidence) }
    #expect(fault?.kind == .data)
    #expect(fault?.what.contains("all 3 source responses; there are 0") == true)
  }

  @Test func storedLogRatiosAreTaken() throws {
    var evidence = known()
    evidence.storedLogRatios = [0.5, -.infinity, 3]
    #expect(try estimator("cached").estimate(evidence).logRatios == [0.5, -.infinity, 3])
  }

  // MARK: RSO

  private func rewarded() -> DensityEvidence {
    var evidence = known()
    evidence.source.rewards = [1, 0.5, -1]
    evidence.target.prompts = [0, 0]
    evidence.target.rewards = [0.25, 0.75]
    return evidence
  }

  @Test func rsoDividesByTheMeanOverSamplesOfThePrompt() throws {
    let estimate = try estimator("rso").estimate(rewarded())
    let partition = log((exp(0.5) + exp(1.5)) / 2)
    // Prompt 1 has no samples: its only response has weight 1.
    #expect(distance(estimate.logRatios, [2 - partition, 1 - partition, 0]) < 1e-14)
    let findings = Dictionary(uniqueKeysWithValues: estimate.findings.map { ($0.name, $0.value) })
    #expect(findings["prompts_without_samples"] == 0.5)
    // Theorem 1: the best of a prompt is accepted at once, the other with exp((0.5 − 1)/0.5).
    #expect(abs(try #require(findings["acceptance_rate"]) - (2 + exp(-1)) / 3) < 1e-15)
  }

  @Test func rsoCentresWhereItDoesNotSample() throws {
    let rso = try estimator("rso", ["partition": "responses", "beta": "1"])
    let partition = log((exp(1) + exp(0.5)) / 2)
    let ratios = try rso.estimate(rewarded()).logRatios
    #expect(distance(ratios, [1 - partition, 0.5 - partition, 0]) < 1e-15)
  }

  @Test func rsoMultipliesByThePolicysRatioWhereAsked() throws {
    let rso = try estimator("rso", ["partition": "responses", "beta": "1", "policy_ratio": "yes"])
    let partition = log((exp(1 + 2) + exp(0.5 - 3)) / 2)
    let ratios = try rso.estimate(rewarded()).logRatios
    #expect(distance(ratios, [3 - partition, -2.5 - partition, 0]) < 1e-14)
  }

  @Test func estimatorsAskForWhatTheyUse() throws {
    #expect(try estimator("uniform").needs == [])
    #expect(try estimator("cached").needs == .storedLogRatios)
    #expect(try estimator("importance").needs == [.targetLogProbabilities, .sourceLogProbabilities])
    #expect(try estimator("rso").needs == [.rewards, .targetSamples])
    #expect(
      try estimator("rso", ["partition": "responses", "policy_ratio": "yes"]).needs
        == [.rewards, .targetLogProbabilities, .sourceLogProbabilities])
  }

  // A reward so large in units of β that its exp is not a Float64.
  @Test func rsoIsExactForASmallBeta() throws {
    let rso = try estimator("rso", ["partition": "responses", "beta": "1e-4"])
    let ratios = try rso.estimate(rewarded()).logRatios
    #expect(distance(ratios, [log(2), -5000 + log(2), 0]) < 1e-11)
  }

  @Test func rewardsThatAreNotNumbersAreNamed() throws {
    var evidence = rewarded()
    evidence.target.rewards[1] = .nan
    #expect(throws: Fault.self) { try estimator("rso").estimate(evidence) }
    evidence.source.rewards[2] = .infinity
    let fault = #expect(throws: Fault.self) { try estimator("rso", ["partition": "responses"]).estimate(evidence) }
    #expect(fault?.location == "source response 2 (prompt 1)")
  }
}
