import Foundation
import Reports
import Testing

@Suite("Axis scales")
struct AxisScaleTests {
  /// Rounding of a tick, relative to the distance of ticks.
  private let rounding = 1e-6

  /// Ranges of all sizes and places: around zero, far from it, tiny, huge.
  private func ranges(count: Int) -> [(lower: Double, upper: Double, ticks: Int)] {
    var random = SplitMix(seed: 7)
    return (0..<count).map { _ in
      let size = pow(10, random.real(in: -12...12))
      let span = size * pow(10, random.real(in: -4...0))
      let lower = size * random.real(in: -1...1)
      return (lower, lower + span, Int.random(in: 2...10, using: &random))
    }
  }

  @Test func linearTicksEncloseTheValuesTightly() {
    for (lower, upper, count) in ranges(count: 3000) {
      let ticks = AxisScale(Axis("x"), values: [upper, lower], ticks: count).ticks.map(\.value)
      let step = ticks[1] - ticks[0]
      #expect(ticks[0] <= lower + rounding * step && ticks[ticks.count - 1] >= upper - rounding * step)
      #expect(ticks[0] + step > lower && ticks[ticks.count - 1] - step < upper)
    }
  }

  @Test func linearTicksAreOneTwoOrFiveTimesAPowerOfTenApart() {
    for (lower, upper, count) in ranges(count: 3000) {
      let ticks = AxisScale(Axis("x"), values: [lower, upper], ticks: count).ticks.map(\.value)
      let step = (ticks[ticks.count - 1] - ticks[0]) / Double(ticks.count - 1)
      let factor = step / pow(10, (log10(step) + rounding).rounded(.down))
      #expect([1, 2, 5].contains { abs(factor - $0) < rounding * $0 }, "step \(step)")
      #expect(zip(ticks, ticks.dropFirst()).allSatisfy { abs($1 - $0 - step) < rounding * step })
      #expect(ticks.allSatisfy { abs(($0 / step).rounded() - $0 / step) < 1e-3 })
    }
  }

  /// The next step of 1, 2, 5 is at most 2.5 times as large, and at most one interval is added at both ends together.
  @Test func thereAreAboutAsManyTicksAsAskedFor() {
    for (lower, upper, count) in ranges(count: 3000) {
      let intervals = AxisScale(Axis("x"), values: [lower, upper], ticks: count).ticks.count - 1
      #expect(intervals <= count + 1 && Double(intervals) >= Double(count) / 2.5 - rounding)
    }
  }

  @Test func labelsOfTicksDifferAndSayTheValue() throws {
    for (lower, upper, count) in ranges(count: 3000) {
      let ticks = AxisScale(Axis("x"), values: [lower, upper], ticks: count).ticks
      #expect(Set(ticks.map(\.label)).count == ticks.count)
      for tick in ticks {
        let value = try #require(number(tick.label), "\(tick.label)")
        #expect(abs(value - tick.value) <= 1e-3 * (ticks[1].value - ticks[0].value), "\(tick)")
      }
    }
  }

  /// The number that a label says.
  private func number(_ label: String) -> Double? {
    let digits = Dictionary(uniqueKeysWithValues: zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--"))
    let plain = String(label.replacing("×10", with: "e").map { digits[$0] ?? $0 })
    return Double(plain)
  }

  @Test func logarithmicTicksEncloseTheValues() {
    var random = SplitMix(seed: 3)
    for _ in 0..<3000 {
      let lower = pow(10, random.real(in: -30...30))
      let upper = lower * pow(10, random.real(in: 0...1) * random.real(in: 0...40))
      let count = Int.random(in: 2...10, using: &random)
      let scale = AxisScale(Axis("x", scale: .logarithmic), values: [lower, upper], ticks: count)
      let ticks = scale.ticks.map(\.value)
      #expect(ticks[0] <= lower * (1 + rounding) && ticks[ticks.count - 1] >= upper * (1 - rounding))
      #expect(2...(3 * count) ~= ticks.count)
      #expect(zip(ticks, ticks.dropFirst()).allSatisfy(<))
      #expect(Set(scale.ticks.map(\.label)).count == ticks.count)
      for tick in ticks {
        let factor = tick / pow(10, (log10(tick) + rounding).rounded(.down))
        #expect([1, 2, 5].contains { abs(factor - $0) < rounding }, "\(tick)")
      }
    }
  }

  @Test func equalRatiosAreEqualLengthsOnALogarithmicAxis() {
    let scale = AxisScale(Axis("x", scale: .logarithmic), values: [0.001, 1000], ticks: 5)
    #expect(scale.fraction(scale.bounds.lowerBound) == 0 && scale.fraction(scale.bounds.upperBound) == 1)
    let steps = [0.001, 0.1, 10, 1000].map(scale.fraction)
    #expect(abs((steps[1] - steps[0]) - (steps[2] - steps[1])) < 1e-12)
    #expect(abs((steps[2] - steps[1]) - (steps[3] - steps[2])) < 1e-12)
  }

  @Test(arguments: [0, 1, -3, 1e-9, -1e12, 0.1, 1e300, -1e300, 1e-300, .leastNonzeroMagnitude] as [Double])
  func aSingleValueHasRoomOnBothSides(value: Double) {
    let scale = AxisScale(Axis("x"), values: [value, value], ticks: 5)
    #expect(scale.bounds.lowerBound < value && value < scale.bounds.upperBound)
    #expect(scale.ticks.allSatisfy(\.value.isFinite) && scale.ticks.count >= 3)
  }

  @Test(
    arguments: [(-1e300, 1e300), (0, .leastNonzeroMagnitude), (1, 1.0.nextUp), (1e300, 1e300.nextUp), (-1e-300, 1e300)]
      as [(Double, Double)])
  func rangesAtTheEndsOfDoubleHaveTicks(lower: Double, upper: Double) {
    let ticks = AxisScale(Axis("x"), values: [lower, upper], ticks: 5).ticks
    #expect(ticks.allSatisfy(\.value.isFinite) && 2...8 ~= ticks.count)
    let step = ticks[1].value - ticks[0].value
    #expect(ticks[0].value <= lower + rounding * step && ticks[ticks.count - 1].value >= upper - rounding * step)
  }

  @Test func ticksOfCountsAreWhole() {
    for upper in [0, 1, 2, 3, 5, 40, 1000] {
      let ticks = AxisScale(Axis("round", isWhole: true), values: [0, Double(upper)], ticks: 6).ticks
      #expect(ticks.allSatisfy { $0.value == $0.value.rounded() && !$0.label.contains(".") })
    }
  }

  @Test func coveredValuesAreOnTheAxis() {
    let scale = AxisScale(Axis("share", covering: 0...1), values: [0.4, 0.5], ticks: 5)
    #expect(scale.bounds == 0...1)
    #expect(scale.ticks.map(\.label) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"])
  }
}
