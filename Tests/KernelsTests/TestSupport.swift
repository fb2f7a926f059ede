import AlignmentCore
import Foundation
import JSON
import Kernels
import Testing

/// Floats in memory of their own between two fences, so that a write beyond either end is noticed.
final class Memory {
  private static let fence = 48
  private static let mark: Float = 8_765.4321
  private let storage: UnsafeMutablePointer<Float>
  let count: Int

  init(_ values: [Float]) {
    count = values.count
    storage = .allocate(capacity: values.count + 2 * Self.fence)
    storage.initialize(repeating: Self.mark, count: values.count + 2 * Self.fence)
    for (index, value) in values.enumerated() { base[index] = value }
  }

  convenience init(count: Int, of value: Float = .nan) { self.init(Array(repeating: value, count: count)) }

  deinit { storage.deallocate() }

  var base: UnsafeMutablePointer<Float> { storage + Self.fence }
  var view: FloatView { FloatView(base: base, count: count) }
  var values: [Float] { Array(UnsafeBufferPointer(start: base, count: count)) }

  /// Whether nobody wrote outside.
  var isIntact: Bool {
    (0..<Self.fence).allSatisfy { storage[$0] == Self.mark && base[count + $0] == Self.mark }
  }
}

/// A matrix with unused columns at the end of each row, which nobody may touch.
struct Grid {
  static let unused: Float = -4_321.5
  let memory: Memory
  let rows: Int
  let columns: Int
  let stride: Int

  init(_ values: [Float], rows: Int, columns: Int, gap: Int = 0) {
    precondition(values.count == rows * columns, "\(values.count) values for \(rows)×\(columns)")
    (self.rows, self.columns, stride) = (rows, columns, columns + gap)
    memory = Memory(count: rows * (columns + gap), of: Self.unused)
    for row in 0..<rows {
      for column in 0..<columns { memory.base[row * stride + column] = values[row * columns + column] }
    }
  }

  init(rows: Int, columns: Int, gap: Int = 0, of value: Float = .nan) {
    self.init(Array(repeating: value, count: rows * columns), rows: rows, columns: columns, gap: gap)
  }

  var matrix: Matrix { Matrix(memory.base, rows: rows, columns: columns, stride: stride) }

  /// The elements row by row, without the gaps.
  var values: [Float] { (0..<rows).flatMap { row in (0..<columns).map { memory.base[row * stride + $0] } } }

  /// Whether gaps and surroundings are as they were.
  var isIntact: Bool {
    let gaps = (0..<rows).allSatisfy { row in
      (columns..<stride).allSatisfy { memory.base[row * stride + $0] == Self.unused }
    }
    return gaps && memory.isIntact
  }
}

/// SplitMix64 (Steele, Lea and Flood 2014): deterministic numbers that owe nothing to the code under test.
struct TestGenerator {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) }

  mutating func bits() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  mutating func integer(below bound: Int) -> Int { Int(bits() % UInt64(bound)) }

  mutating func uniform(_ low: Double, _ high: Double) -> Double {
    low + (high - low) * Double(bits() >> 11) * 0x1p-53
  }

  /// Floats spread evenly over an interval.
  mutating func floats(_ count: Int, _ range: ClosedRange<Double> = -2...2) -> [Float] {
    (0..<count).map { _ in Float(uniform(range.lowerBound, range.upperBound)) }
  }
}

/// Expects every value within `tolerance` of its reference, relative to the reference's magnitude plus `scale`; the scale
/// is the root mean square of the reference unless given, so that cancellation does not count as an error.
func expectClose(
  _ actual: [Float], _ reference: [Double], tolerance: Double, scale: Double? = nil,
  _ comment: @autoclosure () -> Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.count == reference.count else {
    Issue.record("\(actual.count) values, expected \(reference.count)", sourceLocation: sourceLocation)
    return
  }
  let size = scale ?? (reference.reduce(0) { $0 + $1 * $1 } / Double(max(reference.count, 1))).squareRoot()
  let errors = zip(actual, reference).map { abs(Double($0) - $1) / (abs($1) + size + .leastNormalMagnitude) }
  // Written so that NaN fails.
  guard let worst = errors.indices.first(where: { !(errors[$0] <= tolerance) }) else { return }
  Issue.record(
    "element \(worst) is \(actual[worst]), expected \(reference[worst]): error \(errors[worst]) > \(tolerance) \(comment().map(String.init(describing:)) ?? "")",
    sourceLocation: sourceLocation)
}

/// The derivative of a function of many variables, by central differences in Float64.
///
/// The step balances truncation, of order step², against rounding, of order 10⁻¹⁶ / step: about nine digits.
func centralDifferences(at point: [Double], step: Double = 1e-5, _ function: ([Double]) -> Double) -> [Double] {
  point.indices.map { index in
    var moved = point
    moved[index] = point[index] + step
    let above = function(moved)
    moved[index] = point[index] - step
    return (above - function(moved)) / (2 * step)
  }
}

/// Σ aᵢ·bᵢ: a scalar of a vector-valued function, whose gradient is the backward pass applied to `b`.
func contraction(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

extension [Float] {
  var doubles: [Double] { map(Double.init) }
}

/// A file of `Tests/Fixtures` as JSON.
func fixture(_ name: String) throws -> JSONValue {
  let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  return try JSONValue.parse(Array(Data(contentsOf: directory.appending(path: "Fixtures/\(name)"))))
}

extension JSONValue {
  /// The numbers of an array.
  var doubles: [Double] { arrayValue?.compactMap(\.doubleValue) ?? [] }
}
