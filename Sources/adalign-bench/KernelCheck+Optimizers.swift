import AlignmentCore
import Kernels

/// The updates of optimisers other than AdamW; views are parameters, gradients and two vectors of state.
extension KernelCheck {
  static func checkLion(_ views: [FloatView]) throws {
    let before = values(of: views)
    LionKernel.update(
      parameters: views[0], gradients: views[1], momentum: views[2],
      LionKernel.Step(learningRate: 0.125, beta1: 0.5, beta2: 0.75, weightDecay: 0.5, gradientScale: -1))
    for i in 0..<count {
      let direction = 0.5 * before[2][i] - 0.5 * before[1][i]
      let sign = direction > 0 ? 1.0 : direction < 0 ? -1 : 0
      try require(Double(views[0].base[i]), equals: before[0][i] * (1 - 0.0625) - 0.125 * sign, "Lion")
      try require(Double(views[2].base[i]), equals: 0.75 * before[2][i] - 0.25 * before[1][i], "Lion")
    }
  }

  static func checkRMSProp(_ views: [FloatView]) throws {
    let before = values(of: views)
    RMSPropKernel.update(
      parameters: views[0], gradients: views[1],
      RMSPropKernel.State(squareAverage: views[2], gradientAverage: nil, momentum: views[3]),
      RMSPropKernel.Step(
        learningRate: 0.125, alpha: 0.75, epsilon: 0.25, momentum: 0.5, weightDecay: 0.5, gradientScale: 0.5))
    for i in 0..<count {
      let gradient = 0.5 * before[1][i] + 0.5 * before[0][i]
      let average = 0.75 * before[2][i] + 0.25 * gradient * gradient
      let update = 0.5 * before[3][i] + gradient / (average.squareRoot() + 0.25)
      try require(Double(views[0].base[i]), equals: before[0][i] - 0.125 * update, "RMSprop")
    }
  }

  static func checkSGD(_ views: [FloatView]) throws {
    let before = values(of: views)
    SGDKernel.update(
      parameters: views[0], gradients: views[1], runningSum: views[2],
      SGDKernel.Step(
        learningRate: 0.125, momentum: 0.5, gradientShare: 0.75, isNesterov: true, weightDecay: 0.5,
        gradientScale: 0.5))
    for i in 0..<count {
      let gradient = 0.5 * before[1][i] + 0.5 * before[0][i]
      let sum = 0.5 * before[2][i] + 0.75 * gradient
      try require(Double(views[0].base[i]), equals: before[0][i] - 0.125 * (gradient + 0.5 * sum), "SGD")
    }
  }

  /// A matrix of 17 rows, with factors of rows and columns taken from the vectors of state.
  static func checkAdafactor(_ views: [FloatView]) throws {
    let before = values(of: views)
    let (rows, columns) = (17, count / 17)
    let gradient = Matrix(views[1], rows: rows, columns: columns)
    var sums = [Double](repeating: 0, count: rows + columns + AdafactorKernel.padding)
    sums.withUnsafeMutableBufferPointer {
      AdafactorKernel.sumSquares(
        of: gradient, scale: 0.5, rows: UnsafeMutableBufferPointer(rebasing: $0[..<rows]),
        columns: UnsafeMutableBufferPointer(rebasing: $0[rows...]))
    }
    let factors = AdafactorKernel.Factors(
      rows: views[2][0..<rows], columns: views[3][0..<columns], gradientScale: 0.5)
    let squares = AdafactorKernel.sumSquaresOfUpdate(gradient, factors)
    AdafactorKernel.apply(
      to: views[0][0..<rows * columns], gradients: views[1][0..<rows * columns], firstMoment: nil, startingAt: 0,
      factors, AdafactorKernel.Step(updateScale: 0.125, shrinkage: 0.75, beta1: 0))
    var (expectedSums, expectedSquares) = ([Double](repeating: 0, count: rows + columns), 0.0)
    for i in 0..<rows * columns {
      let (row, column) = (i / columns, i % columns)
      let update = 0.5 * before[1][i] * before[2][row] * before[3][column]
      expectedSums[row] += 0.25 * before[1][i] * before[1][i]
      expectedSums[rows + column] += 0.25 * before[1][i] * before[1][i]
      expectedSquares += update * update
      try require(Double(views[0].base[i]), equals: 0.75 * before[0][i] - 0.125 * update, "Adafactor")
    }
    for (sum, expected) in zip(sums, expectedSums) { try require(sum, equals: expected, "Adafactor") }
    try require(squares, equals: expectedSquares, "Adafactor")
  }
}
