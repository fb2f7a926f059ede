import Foundation
import Kernels
import Testing

@Suite struct FourierFeaturesTests {
  @Test(arguments: [1, 8, 11])
  func featuresAreScaledCosines(count: Int) {
    var generator = TestGenerator(count)
    var (x, frequencies) = (DoubleMatrix(rows: 5, columns: 3), DoubleMatrix(rows: count, columns: 3))
    x.elements = generator.floats(15).doubles
    // Angles from nearly 0 to some thousand turns.
    frequencies.elements = generator.floats(3 * count).doubles.enumerated().map { $1 * pow(10, Double($0 % 6 - 1)) }
    let phases = generator.floats(count).doubles
    var features = DoubleMatrix(rows: 6, columns: count)
    features.rows = 5
    FourierFeatures.evaluate(x, frequencies: frequencies, phases: phases, into: &features)
    for row in 0..<5 {
      for i in 0..<count {
        let angle = (0..<3).reduce(phases[i]) { $0 + x[row, $1] * frequencies[i, $1] }
        // The angle itself is rounded.
        let tolerance = 1e-15 * (1 + abs(angle))
        #expect(abs(features[row, i] - (2 / Double(count)).squareRoot() * cos(angle)) < tolerance)
      }
    }
  }

  @Test func cosinesAreAccurateEverywhere() {
    let angles = Array(stride(from: -1e5, through: 1e5, by: 27.113)) + (-40...40).map { Double($0) * .pi / 8 }
    var (x, frequencies) = (DoubleMatrix(rows: 1, columns: 1), DoubleMatrix(rows: angles.count, columns: 1))
    x[0, 0] = 1
    frequencies.elements = angles
    var features = DoubleMatrix(rows: 1, columns: angles.count)
    FourierFeatures.evaluate(
      x, frequencies: frequencies, phases: [Double](repeating: 0, count: angles.count), into: &features)
    let scale = (2 / Double(angles.count)).squareRoot()
    for (value, angle) in zip(features.elements, angles) { #expect(abs(value / scale - cos(angle)) < 4e-16) }
  }
}
