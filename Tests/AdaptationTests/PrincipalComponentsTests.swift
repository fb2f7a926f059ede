import Adaptation
import Testing

@Suite struct PrincipalComponentsTests {
  private static let (rows, width) = (23, 6)

  /// ((37i + 11j + 5i²j) mod 29) / 7 + j·(i mod 5) / 2, and a column that is constant.
  private static let features: [Float] = (0..<rows * width).map { index in
    let (i, j) = (index / width, index % width)
    guard j != 4 else { return 2.5 }
    let residue = (i * 37 + j * 11 + i * i * j * 5) % 29
    return Float(Double(residue) / 7 + Double((i % 5) * j) * 0.5)
  }

  private func components(
    _ limit: Int, of features: [Float] = features, width: Int = width
  ) throws -> PrincipalComponents {
    let found = PrincipalComponents(of: features, width: width, atMost: limit)
    return try #require(found)
  }

  private func project(_ components: PrincipalComponents, _ row: Int) -> [Double] {
    Self.features[row * Self.width..<(row + 1) * Self.width].withUnsafeBufferPointer { components.project($0) }
  }

  // numpy 2, Float64: Z = (X − mean) / std, eigh(ZᵀZ), columns reversed, each with its largest element positive.
  @Test func agreesWithNumpy() throws {
    let components = try components(3)
    let shares = [0.5482259989769214, 0.20595292803874912, 0.14930418392087136]
    #expect(zip(components.shares, shares).allSatisfy { abs($0 - $1) < 1e-12 })
    let expected: [Int: [Double]] = [
      0: [-2.2974895956953705, -1.030547688842298, -1.069634350589113],
      7: [0.40851582102384665, 1.137531503413805, 0.9621061524879528],
      22: [0.6483545059411134, -1.6607941346169173, 0.08134686557440868],
    ]
    for (row, values) in expected {
      #expect(zip(project(components, row), values).allSatisfy { abs($0 - $1) < 1e-12 })
    }
  }

  @Test func componentsAreCentredAndUncorrelated() throws {
    let components = try components(6)
    // The constant column gives none.
    #expect(components.count == 5 && abs(components.shares.reduce(0, +) - 1) < 1e-12)
    let projected = (0..<Self.rows).map { project(components, $0) }
    for a in 0..<5 {
      #expect(abs(projected.reduce(0) { $0 + $1[a] }) < 1e-11)
      for b in 0..<a { #expect(abs(projected.reduce(0) { $0 + $1[a] * $1[b] }) < 1e-11) }
    }
  }

  @Test func fewerAreTheFirstOfMore() throws {
    let (few, many) = (try components(2), try components(5))
    #expect(few.count == 2 && zip(few.shares, many.shares).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(zip(few.directions, many.directions).allSatisfy { abs($0 - $1) < 1e-12 })
  }

  @Test func manyRowsAreAddedUpInBlocks() throws {
    let repeated = (0..<60).flatMap { _ in Self.features }
    let (one, many) = (try components(3), try components(3, of: repeated))
    #expect(zip(one.directions, many.directions).allSatisfy { abs($0 - $1) < 1e-11 })
  }

  @Test func whatDoesNotVaryHasNoComponents() throws {
    let same = try components(2, of: [1, 2, 3, 1, 2, 3], width: 3)
    #expect(same.count == 0 && [Float](repeating: 0, count: 3).withUnsafeBufferPointer { same.project($0) } == [])
    #expect(try components(0).count == 0)
  }

  @Test(arguments: [Float.nan, .infinity])
  func whatIsNotFiniteIsRefused(value: Float) {
    #expect(PrincipalComponents(of: [1, 2, value, 4], width: 2, atMost: 1) == nil)
  }

  @Test func numbersTravel() throws {
    let components = try components(4)
    #expect(PrincipalComponents(numbers: components.numbers) == components)
  }
}
