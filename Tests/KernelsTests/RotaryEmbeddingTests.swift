import Kernels
import Testing

@Suite struct RotaryEmbeddingTests {
  // Two products and a sum in Float32.
  static let tolerance = 3e-7
  static let positions: [Int32] = [0, 5, 2, 2, 9]
  static let tableRows = 10

  /// Tables of angles that no formula of the program made; `factor` is as YaRN's attention factor.
  private struct Tables {
    let cosines: Memory
    let sines: Memory

    init(half: Int, factor: Double = 1) {
      var generator = TestGenerator(half)
      let angles = (0..<tableRows * half).map { _ in generator.uniform(-3, 3) }
      cosines = Memory(angles.map { Float(cosine($0) * factor) })
      sines = Memory(angles.map { Float(cosine($0 - .pi / 2) * factor) })
    }
  }

  /// Pairs element i with i + D/2 of its head, as Hugging Face lays rotary embeddings out.
  private func reference(_ x: [Float], heads: Int, half: Int, _ tables: Tables, inverse: Bool = false) -> [Double] {
    var y = x.doubles
    for (row, position) in Self.positions.enumerated() {
      for head in 0..<heads {
        for i in 0..<half {
          let first = row * heads * 2 * half + head * 2 * half + i
          let (a, b) = (Double(x[first]), Double(x[first + half]))
          let c = Double(tables.cosines.values[Int(position) * half + i])
          let s = Double(tables.sines.values[Int(position) * half + i]) * (inverse ? -1 : 1)
          (y[first], y[first + half]) = (a * c - b * s, b * c + a * s)
        }
      }
    }
    return y
  }

  private func rotate(_ x: Grid, heads: Int, _ tables: Tables, inverse: Bool = false) {
    Self.positions.withUnsafeBufferPointer {
      RotaryEmbedding.rotate(
        x.matrix, heads: heads, positions: $0.baseAddress!, cosines: tables.cosines.base, sines: tables.sines.base,
        inverse: inverse)
    }
  }

  @Test(arguments: [1, 3, 16, 20], [false, true])
  func rotatesPairsOfTheTwoHalves(half: Int, inverse: Bool) {
    let (heads, tables) = (3, Tables(half: half))
    var generator = TestGenerator(half + 100)
    let values = generator.floats(Self.positions.count * heads * 2 * half)
    let x = Grid(values, rows: Self.positions.count, columns: heads * 2 * half, gap: 7)
    rotate(x, heads: heads, tables, inverse: inverse)
    let expected = reference(values, heads: heads, half: half, tables, inverse: inverse)
    expectClose(x.values, expected, tolerance: Self.tolerance)
    #expect(x.isIntact && tables.cosines.isIntact && tables.sines.isIntact)
  }

  @Test(arguments: [1, 4, 24])
  func theInverseUndoesTheRotation(half: Int) {
    let (heads, tables) = (2, Tables(half: half))
    var generator = TestGenerator(half)
    let values = generator.floats(Self.positions.count * heads * 2 * half)
    let x = Grid(values, rows: Self.positions.count, columns: heads * 2 * half)
    rotate(x, heads: heads, tables)
    #expect(x.values != values)
    rotate(x, heads: heads, tables, inverse: true)
    expectClose(x.values, values.doubles, tolerance: 2 * Self.tolerance)
  }

  // ⟨rotate(x), dy⟩ differentiated by x: the transpose of a rotation times the factor in the tables.
  @Test(arguments: [1.0, 1.3])
  func theInverseIsTheBackwardPass(factor: Double) {
    let (heads, half) = (2, 5)
    let tables = Tables(half: half, factor: factor)
    var generator = TestGenerator(7)
    let count = Self.positions.count * heads * 2 * half
    let (values, upstream) = (generator.floats(count), generator.floats(count))
    let dx = Grid(upstream, rows: Self.positions.count, columns: heads * 2 * half)
    rotate(dx, heads: heads, tables, inverse: true)
    // Linear in x: differences are exact up to the rounding of x, hence the coarse step.
    let step = 0.5
    let derivative = (0..<count).map { index -> Double in
      var (above, below) = (values, values)
      above[index] += Float(step)
      below[index] -= Float(step)
      let difference = zip(
        reference(above, heads: heads, half: half, tables), reference(below, heads: heads, half: half, tables)
      ).map { $0 - $1 }
      return contraction(difference, upstream.doubles) / Double(above[index] - below[index])
    }
    expectClose(dx.values, derivative, tolerance: Self.tolerance)
  }
}
