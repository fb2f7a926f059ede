/// The order of a Rényi entropy (Rényi 1961, "On measures of entropy and information", §3): how much doubt there is about
/// the next token.
package enum RenyiOrder: Sendable {
  /// H₁ = −Σ p log p, Shannon's entropy.
  case one
  /// H₂ = −log Σ p², of the probability that two draws agree.
  case two
  /// H∞ = −log max p, of the likeliest draw.
  case infinity
}
