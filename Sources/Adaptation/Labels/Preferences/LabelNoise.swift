/// How often a labeller errs, seen from how often it contradicts itself.
package enum LabelNoise {
  /// The flip rate ε ≤ ½ of a labeller that agrees with itself in the share `agreement` of two passes, where flips are
  /// independent and as likely for either label: agreement = ε² + (1 − ε)², hence ε = ½(1 − √(2·agreement − 1)). No
  /// more than half agreement is a coin toss.
  package static func flipRate(agreement: Double) -> Double {
    (1 - max(0, 2 * agreement - 1).squareRoot()) / 2
  }
}
