import Glibc
import Objectives
import Testing

@Suite struct DualTests {
  /// A function of one variable, its plain formula, and points on both sides of every branch.
  struct Function: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let dual: @Sendable (Dual) -> Dual
    let plain: @Sendable (Double) -> Double
    /// Where the plain formula is good.
    let moderate: [Double]
    /// Where only the slope is compared with differences.
    let extreme: [Double]
  }

  static let functions = [
    Function(
      testDescription: "exp", dual: { exp($0) }, plain: { exp($0) }, moderate: [-3, 0, 0.5, 40, 79.99],
      extreme: [-800, 79.9999, 80, 80.0001, 500]),
    Function(
      testDescription: "logistic", dual: { logistic($0) }, plain: { 1 / (1 + exp(-$0)) },
      moderate: [-30, -1e-7, 0, 1e-7, 2, 30], extreme: [-800, -50, 50, 800, 1e6]),
    Function(
      testDescription: "logSigmoid", dual: { logSigmoid($0) }, plain: { -log(1 + exp(-$0)) },
      moderate: [-30, -1e-7, 0, 1e-7, 2], extreme: [-1e6, -800, -50, 50, 800, 1e6]),
    Function(
      testDescription: "logOneMinusExp", dual: { logOneMinusExp($0) }, plain: { log(1 - exp($0)) },
      moderate: [-30, -2, -0.6931472, -0.6931471, -0.3], extreme: [-1e6, -800, -50, -1e-3, 1e-3, 500]),
    Function(
      testDescription: "squared", dual: { $0.squared }, plain: { $0 * $0 }, moderate: [-3, 0, 2], extreme: [-1e6, 1e6]),
    Function(
      testDescription: "positivePart", dual: { $0.positivePart }, plain: { $0 > 0 ? $0 : 0 },
      moderate: [-3, -1e-3, 0, 1e-3, 2], extreme: [-1e6, 1e6]),
    Function(
      testDescription: "negation, sum and difference", dual: { -($0 + 3) - (1 - $0) - (2 * $0 - 5) / 4 },
      plain: { -4 - (2 * $0 - 5) / 4 }, moderate: [-3, 0, 2], extreme: [-1e6, 1e6]),
    Function(
      testDescription: "product", dual: { ($0 + 1) * (2 - $0) * $0 }, plain: { ($0 + 1) * (2 - $0) * $0 },
      moderate: [-3, 0, 0.5, 2], extreme: [-1e3, 1e3]),
    Function(
      testDescription: "chain", dual: { logSigmoid(exp(0.5 * $0) - $0.squared) },
      plain: { -log(1 + exp($0 * $0 - exp(0.5 * $0))) }, moderate: [-3, 0, 0.5, 2], extreme: []),
  ]

  @Test(arguments: functions)
  func valuesAreThoseOfThePlainFormula(_ function: Function) {
    for x in function.moderate {
      // log(1 − eˣ) loses up to the digits of 1/x in the plain formula; nothing here is nearer to 0 than 0.3.
      #expect(isClose(function.dual(Dual(x)).value, function.plain(x)), "\(x)")
    }
  }

  // Near the branch of exp at 80 its second derivative jumps: step · e⁸⁰ / 8. Differences lose 10⁻¹⁶ / step.
  static let step = 1e-5
  static let tolerance = 1e-5

  @Test(arguments: functions)
  func slopesAreThoseOfTheValues(_ function: Function) {
    for x in function.moderate + function.extreme where x != 0 || function.testDescription != "positivePart" {
      let value = function.dual(Dual(x, derivatives: [1, -2]))
      let expected = slope(at: x, step: Self.step) { function.dual(Dual($0)).value }
      let bound = Self.tolerance * abs(expected) + 10 * max(1, abs(value.value)).ulp / Self.step
      #expect(abs(value.derivatives[0] - expected) <= bound, "\(x)")
      #expect(value.derivatives[1] == -2 * value.derivatives[0])
    }
  }

  @Test func bothVariablesAreFollowed() {
    // f(a, b) = a·b² / 4 − e^(a−b) at (2, 3): ∂a = b²/4 − e^(−1), ∂b = a·b/2 + e^(−1).
    let (a, b) = (Dual(2, derivatives: [1, 0]), Dual(3, derivatives: [0, 1]))
    let f = a * b.squared / 4 - exp(a - b)
    #expect(isClose(f.value, 4.5 - exp(-1)))
    #expect(isClose(f.derivatives[0], 2.25 - exp(-1)) && isClose(f.derivatives[1], 3 + exp(-1)))
  }

  @Test func exponentialsStayInFloat32() {
    for x in [80.0, 100, 500, 3000] {
      let e = exp(Dual(x, derivatives: [1, 0]))
      #expect(Float(e.value).isFinite && Float(e.derivatives[0]).isFinite && e.value >= exp(80))
    }
  }

  @Test func tailsKeepTheirDigits() {
    // log σ(−x) → −x and σ(−x) → e⁻ˣ; log σ(x) → −e⁻ˣ.
    #expect(logSigmoid(-1e4 as Dual).value == -1e4)
    #expect(isClose(logSigmoid(40 as Dual).value / -exp(-40), 1))
    #expect(isClose(logistic(-40 as Dual).value / exp(-40), 1))
    // log(1 − e^(−h)) = log h − h/2 + h²/24 …
    #expect(isClose(logOneMinusExp(-1e-5 as Dual).value, log(1e-5) - 5e-6 + 1e-10 / 24))
    #expect(isClose(logOneMinusExp(-40 as Dual).value / -exp(-40), 1))
  }

  // 1 − e⁻ˣ of a probability that is one in Float32 is held at 2⁻²⁴.
  @Test func oddsOfCertaintyAreHeld() {
    for x in [-0x1p-25, 0, 3, 500] {
      let value = logOneMinusExp(Dual(x, derivatives: [1, 0]))
      #expect(isClose(value.value, -24 * log(2), within: 1e-7) && value.derivatives == .zero)
    }
    #expect(isClose(logOneMinusExp(Dual(-0x1p-23, derivatives: [1, 0])).derivatives[0] * -0x1p-23, 1, within: 1e-6))
  }

  @Test func whatIsNotANumberStaysSo() {
    for function in Self.functions { #expect(function.dual(Dual(.nan)).value.isNaN, "\(function.testDescription)") }
  }

  @Test func aSlopeOfZeroEndsTheChain() {
    let overflowed = Dual(-1e9, derivatives: [.infinity, 1])
    #expect(exp(overflowed).derivatives == .zero && logistic(overflowed).derivatives == .zero)
    #expect(overflowed.positivePart.derivatives == .zero)
  }
}
