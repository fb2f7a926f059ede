import AlignmentCore
import Kernels
import Testing

@Suite struct ExactSumTests {
  static let limit: Float = 64

  private func accumulate(
    _ terms: [Float], scale: Float = 1, limit: Float = ExactSumTests.limit, into sums: inout [Int64]
  ) -> Bool {
    let memory = Memory(terms)
    return ExactSum.accumulate(memory.view, scale: scale, limit: limit, into: &sums)
  }

  /// round(term · scale · 2⁵²), ties to even: every step but the rounding is exact in Float64.
  private func reference(_ term: Float, scale: Double = 1) -> Int64 {
    Int64((Double(term) * scale * 0x1p52).rounded(.toNearestOrEven))
  }

  @Test(arguments: 0...40)
  func everyLengthIsExactAndStaysInside(count: Int) {
    var generator = TestGenerator(count)
    let terms = generator.floats(count, -60...60)
    let fence: Int64 = 0x5A5A
    var sums = [Int64](repeating: fence, count: count + 32)
    let within = Memory(terms)
    let isWithin = sums.withUnsafeMutableBufferPointer {
      ExactSum.accumulate(within.view, scale: 1, limit: Self.limit, into: $0.baseAddress! + 16)
    }
    #expect(isWithin)
    #expect(Array(sums[16..<16 + count]) == terms.map { fence + reference($0) })
    #expect(sums[..<16].allSatisfy { $0 == fence } && sums[(16 + count)...].allSatisfy { $0 == fence })
  }

  // Terms over forty orders of magnitude: those below 2⁻⁵³ round to 0, ties to even.
  @Test(arguments: [Float(0x1p-20), 0x1p-3, 1, 0x1p5])
  func roundsOnceToTheNearest(scale: Float) {
    var terms: [Float] = [0, -0.0, 0x1p-53, 0x3p-53, 0x5p-53, -0x1p-53, -0x3p-53, 0x1.8p-53, 1e-38, 0x1p-149]
    var generator = TestGenerator(3)
    for exponent in -60...0 {
      terms.append(Float(sign: .plus, exponent: exponent, significand: Float(generator.uniform(1, 2))))
      terms.append(Float(sign: .minus, exponent: exponent, significand: Float(generator.uniform(1, 2))))
    }
    terms = terms.map { $0 / scale }.filter { ($0 * scale) / scale == $0 }
    var sums = [Int64](repeating: 0, count: terms.count)
    let isWithin = accumulate(terms, scale: scale, into: &sums)
    #expect(isWithin && sums == terms.map { reference($0, scale: Double(scale)) })
  }

  @Test func anyOrderAndAnySplitGiveTheSameIntegers() {
    let (count, width) = (64, 37)
    var generator = TestGenerator(5)
    let rows = (0..<count).map { _ in
      (0..<width).map { _ in
        Float(generator.uniform(-1, 1)) * Float(sign: .plus, exponent: -generator.integer(below: 30), significand: 1)
      }
    }
    var expected = [Int64](repeating: 0, count: width)
    for row in rows { for (index, term) in row.enumerated() { expected[index] += reference(term) } }
    for parts in 1...5 {
      var order = Array(0..<count)
      for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, generator.integer(below: last + 1)) }
      var partial = Array(repeating: [Int64](repeating: 0, count: width), count: parts)
      for (place, row) in order.enumerated() {
        let isWithin = accumulate(rows[row], into: &partial[place % parts])
        #expect(isWithin)
      }
      for part in 1..<max(parts, 1) { ExactSum.add(partial[part], into: &partial[0], count: width) }
      #expect(partial[0] == expected, "\(parts) parts")
    }
  }

  @Test(arguments: [Float.nan, -.nan, .infinity, -.infinity, 64.001, -64.001, 1e38, -3e38], [0, 7, 15, 16, 20, 38])
  func badTermsAreDetectedWherever(bad: Float, position: Int) {
    for count in [position + 1, 40, 48] {
      var terms = [Float](repeating: 0.5, count: count)
      var sums = [Int64](repeating: 0, count: count)
      let before = accumulate(terms, into: &sums)
      terms[position] = bad
      let after = accumulate(terms, into: &sums)
      #expect(before && !after)
    }
  }

  @Test func theLimitItselfIsWithin() {
    for scale in [Float(1), 0x1p-7, 0x1p7] {
      var sums = [Int64](repeating: 0, count: 20)
      let isWithin = accumulate(Array(repeating: -Self.limit / scale, count: 20), scale: scale, into: &sums)
      #expect(isWithin && sums.allSatisfy { $0 == -64 << 52 })
      let isBeyond = !accumulate(Array(repeating: (Self.limit / scale).nextUp, count: 20), scale: scale, into: &sums)
      #expect(isBeyond)
    }
  }

  // The largest sums that the documentation allows: 2¹⁰ / n per term, n terms, of both signs.
  @Test(arguments: [1, 2, 3, 7, 16, 1_000])
  func theLargestSumsDoNotOverflow(terms: Int) {
    let limit = 1024 / Float(terms)
    var sums = [Int64](repeating: 0, count: 2)
    for _ in 0..<terms {
      let isWithin = accumulate([limit, -limit], limit: limit, into: &sums)
      #expect(isWithin)
    }
    #expect(sums == [reference(limit) * Int64(terms), -reference(limit) * Int64(terms)])
  }

  // Float64 holds a sum of 62 bits to 2⁻⁵³ and the scaled value to another 2⁻⁵³ before it is rounded to Float32, so the
  // result is the nearest float or, within 10⁻⁹ of a tie, its neighbour.
  @Test(arguments: 0...40)
  func convertIsTheNearestFloat(count: Int) {
    var generator = TestGenerator(count)
    let sums = (0..<count).map { _ in Int64(bitPattern: generator.bits()) >> Int64(2 + generator.integer(below: 50)) }
    for scale in [1, 0.3, 0x1p20 / 1_048_577, 1e-7] {
      let values = Memory(count: count)
      ExactSum.convert(sums, scale: scale, into: values.view)
      #expect(values.values == sums.map { Float(Double($0) * (scale * 0x1p-52)) } && values.isIntact)
    }
  }

  @Test func aSumOfOneTermConvertsBackToIt() {
    var generator = TestGenerator(1)
    let terms = generator.floats(40, -60...60)
    var sums = [Int64](repeating: 0, count: 40)
    let isWithin = accumulate(terms, into: &sums)
    let values = Memory(count: 40)
    ExactSum.convert(sums, scale: 1, into: values.view)
    #expect(isWithin && values.values == terms)
  }
}
