#if canImport(Glibc)
  import Glibc
#endif

/// A number with its derivatives with respect to the two completions of a group (forward-mode differentiation; Griewank
/// and Walther 2008, "Evaluating derivatives", §3.1).
///
/// An objective writes its loss once, in duals, and its derivative cannot disagree with it.
package struct Dual: Sendable, Equatable {
  package var value: Double
  /// ∂value / ∂(first completion), ∂value / ∂(second completion).
  package var derivatives: SIMD2<Double>

  package init(_ value: Double, derivatives: SIMD2<Double> = .zero) {
    self.value = value
    self.derivatives = derivatives
  }

  /// f(self), given f and f′ at the value.
  func mapped(_ value: Double, slope: Double) -> Dual {
    // A slope of zero ends the chain even where an inner derivative overflowed.
    Dual(value, derivatives: slope == 0 ? .zero : derivatives * slope)
  }
}

extension Dual: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
  package init(floatLiteral value: Double) { self.init(value) }
  package init(integerLiteral value: Int) { self.init(Double(value)) }
}

extension Dual {
  package static func + (a: Dual, b: Dual) -> Dual {
    Dual(a.value + b.value, derivatives: a.derivatives + b.derivatives)
  }
  package static func - (a: Dual, b: Dual) -> Dual {
    Dual(a.value - b.value, derivatives: a.derivatives - b.derivatives)
  }
  package static prefix func - (a: Dual) -> Dual { Dual(-a.value, derivatives: -a.derivatives) }

  package static func * (a: Dual, b: Dual) -> Dual {
    Dual(a.value * b.value, derivatives: a.derivatives * b.value + b.derivatives * a.value)
  }

  package static func * (a: Double, b: Dual) -> Dual { Dual(a * b.value, derivatives: a * b.derivatives) }
  package static func / (a: Dual, b: Double) -> Dual { Dual(a.value / b, derivatives: a.derivatives / b) }

  package var squared: Dual { mapped(value * value, slope: 2 * value) }

  /// max(0, x), with slope 0 at 0.
  package var positivePart: Dual { value <= 0 ? 0 : self }
}

/// eˣ; beyond e⁸⁰ it goes on along its tangent, so that neither value nor derivative overflows Float32.
package func exp(_ x: Dual) -> Dual {
  let largest = 80.0
  let e = exp(min(x.value, largest))
  return x.mapped(x.value > largest ? e * (1 + x.value - largest) : e, slope: e)
}

/// σ(x) = 1 / (1 + e⁻ˣ)
package func logistic(_ x: Dual) -> Dual {
  let s = logistic(x.value)
  return x.mapped(s, slope: s * logistic(-x.value))
}

/// log σ(x) = −log(1 + e⁻ˣ)
package func logSigmoid(_ x: Dual) -> Dual { x.mapped(-softplus(-x.value), slope: logistic(-x.value)) }

/// log(1 − eˣ) for x < 0 (Mächler 2012, "Accurately computing log(1 − exp(−|a|))", eq. 7); constant where e^x is a
/// probability of one in Float32.
package func logOneMinusExp(_ x: Dual) -> Dual {
  let largest = -0x1p-24
  let v = min(x.value, largest)
  let value = v > -0.6931471805599453 ? log(-expm1(v)) : log1p(-exp(v))
  return x.mapped(value, slope: x.value > largest ? 0 : exp(v) / expm1(v))
}

/// σ(x) without overflow.
package func logistic(_ x: Double) -> Double {
  if x >= 0 { return 1 / (1 + exp(-x)) }
  let e = exp(x)
  return e / (1 + e)
}

/// log(1 + eˣ) = −log σ(−x) without overflow.
package func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
