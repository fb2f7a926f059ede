import AlignmentCore

/// Identity preference optimisation (Azar et al. 2023, arXiv 2310.12036, eq. 17): (h − 1/(2τ))², h the difference of the
/// log-ratios.
///
/// The log-ratios are averages over tokens, as the authors recommended to implementers, or sums, as in the paper.
package struct IPO: PairObjective {
  package enum Average: String, CaseIterable, Sendable {
    case tokens
    case sum
  }

  package static let name = "ipo"
  package static let summary = "identity preference optimisation, arXiv 2310.12036"
  package static let options = [
    OptionDescription("tau", default: 0.1, in: 1e-6...1e3, "regularisation: the margin aimed at is 1/(2 tau)"),
    OptionDescription("ipo_average", default: Average.tokens, "log-ratios as means over tokens, or sums"),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  let tau: Double
  let average: Average

  package init(options: OptionValues) {
    tau = options["tau"]
    average = options.choice("ipo_average")
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    (mean(chosen) - mean(rejected) - Dual(1 / (2 * tau))).squared
  }

  private func mean(_ completion: DualCompletion) -> Dual {
    average == .tokens ? completion.logRatio / completion.tokens : completion.logRatio
  }

  /// Margins are pulled towards 1/(2τ).
  package var magnitude: Double { max(1, 1 / tau) }

  package func reward(_ completion: ScoredCompletion) -> Double {
    tau * completion.logRatio / (average == .tokens ? Double(completion.tokens) : 1)
  }
}
