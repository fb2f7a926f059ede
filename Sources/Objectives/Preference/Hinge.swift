import AlignmentCore

/// The hinge loss on β-scaled log-ratios (Liu et al. 2023, arXiv 2309.06657, eq. 11, "hinge-norm"): max(0, 1 − β·Δ); without
/// a reference, on log-probabilities.
package struct Hinge: PairObjective {
  package static let name = "hinge"
  package static let summary = "hinge loss of RSO, arXiv 2309.06657; without reference that of SLiC's calibration"
  package static let options = [OptionDescription.beta, .referenceFree]
  package var traits: ObjectiveTraits { ObjectiveTraits(.pair, needsReference: !isReferenceFree) }

  let beta: Double
  private let isReferenceFree: Bool

  package init(options: OptionValues) {
    beta = options["beta"]
    isReferenceFree = options.choice("reference_free") == YesOrNo.yes
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    (1 - beta * (chosen.logRatio - rejected.logRatio)).positivePart
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}

/// An option that is on or off.
enum YesOrNo: String, CaseIterable {
  case no
  case yes
}

extension OptionDescription {
  static let referenceFree = OptionDescription(
    "reference_free", default: YesOrNo.no, "take log-probabilities instead of log-ratios")
}
