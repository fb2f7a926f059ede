import Reports
import Testing

@Suite("Numbers as text")
struct NumberTextTests {
  @Test(
    arguments: [
      (0, 0, "0"), (0, 2, "0.00"), (-0.001, 2, "0.00"), (0.5, 0, "1"), (-0.5, 0, "−1"), (0.005, 3, "0.005"),
      (12.3456, 1, "12.3"), (-9.996, 2, "−10.00"), (1e6, 0, "1000000"), (3e20, 2, "3×10²⁰"), (.nan, 1, "NaN"),
      (.infinity, 1, "∞"), (-.infinity, 3, "−∞"),
    ] as [(Double, Int, String)])
  func fixedNumbersHaveTheirDecimals(value: Double, places: Int, text: String) {
    #expect(NumberText.fixed(value, places: places) == text)
  }

  @Test(
    arguments: [
      (0, "0"), (0.5, "0.5"), (-1.25, "−1.25"), (1234.5678, "1235"), (0.000123456, "0.0001235"),
      (0.0000123456, "1.235×10⁻⁵"), (9.99996e6, "1×10⁷"),
      (0.01234567, "0.01235"), (-2.5e-9, "−2.5×10⁻⁹"), (1e300, "1×10³⁰⁰"), (.leastNonzeroMagnitude, "0"),
      (99.999, "100"),
    ] as [(Double, String)])
  func briefNumbersHaveFourDigits(value: Double, text: String) {
    #expect(NumberText.brief(value) == text)
  }

  @Test func fixedNumbersAreOffByAtMostHalfAUnit() throws {
    var random = SplitMix(seed: 1)
    for _ in 0..<2000 {
      let value = random.real(in: -1000...1000)
      let places = Int.random(in: 0...6, using: &random)
      let text = NumberText.fixed(value, places: places)
      let unit = 1 / [1, 10, 100, 1e3, 1e4, 1e5, 1e6][places]
      let back = try #require(Double(text.replacing("−", with: "-")))
      #expect(abs(back - value) <= unit / 2 * (1 + 1e-6), "\(value) to \(places) places is \(text)")
      #expect((text.split(separator: ".").dropFirst().first?.count ?? 0) == places)
    }
  }
}
