import AlignmentCore
import Kernels

/// Holds the kernels that will be timed against plain Float64 arithmetic; nothing is timed that is not right.
enum KernelCheck {
  static let count = 1003
  /// A few roundings of Float32.
  private static let tolerance = 2e-6

  static func run() throws {
    let buffer = try FloatBuffer(count: 4 * count, purpose: "kernel check")
    let views = (0..<4).map { buffer.view[$0 * count..<($0 + 1) * count] }
    for check in [checkExactSum, checkAdamW, checkLion, checkRMSProp, checkSGD, checkAdafactor] {
      for i in 0..<4 * count { buffer.view.base[i] = Float((i * 7919) % 1009) * 1e-3 + 1e-3 }
      try check(views)
    }
    try checkProduct()
  }

  private static func checkExactSum(_ views: [FloatView]) throws {
    let terms = views[0]
    let sums = try IntegerBuffer(count: count, purpose: "kernel check")
    for _ in 0..<3 {
      guard ExactSum.accumulate(terms, scale: 0.5, limit: 1024, into: sums.base) else { throw wrong("exact sum") }
    }
    for i in 0..<count {
      try require(Double(sums.base[i]) * 0x1p-52, equals: 1.5 * Double(terms.base[i]), "exact sum")
    }
  }

  private static func checkAdamW(_ views: [FloatView]) throws {
    let before = values(of: views)
    let step = AdamWKernel.Step(
      learningRate: 0.125, beta1: 0.5, beta2: 0.75, epsilon: 0.25, weightDecay: 0.5, biasCorrection1: 0.5,
      biasCorrection2Root: 0.5, gradientScale: 0.5)
    AdamWKernel.update(parameters: views[0], gradients: views[1], firstMoment: views[2], secondMoment: views[3], step)
    for i in 0..<count {
      let gradient = 0.5 * before[1][i]
      let first = 0.5 * before[2][i] + 0.5 * gradient
      let second = 0.75 * before[3][i] + 0.25 * gradient * gradient
      let expected = before[0][i] * (1 - 0.0625) - 0.125 * (first / 0.5) / (second.squareRoot() / 0.5 + 0.25)
      try require(Double(views[0].base[i]), equals: expected, "AdamW")
    }
  }

  /// The elements of views as they are now.
  static func values(of views: [FloatView]) -> [[Double]] {
    views.map { view in (0..<view.count).map { Double(view.base[$0]) } }
  }

  private static func checkProduct() throws {
    let (rows, columns, inner) = (5, 7, 33)
    let buffer = try FloatBuffer(count: rows * inner + columns * inner + rows * columns, purpose: "kernel check")
    for i in 0..<buffer.count { buffer.view.base[i] = Float((i * 31) % 17) - 8 }
    let a = Matrix(buffer.view.base, rows: rows, columns: inner)
    let b = Matrix(buffer.view.base + rows * inner, rows: columns, columns: inner)
    let c = Matrix(buffer.view.base + (rows + columns) * inner, rows: rows, columns: columns)
    Product.multiply(a, b.transposed, into: c)
    for i in 0..<rows {
      for j in 0..<columns {
        let expected = (0..<inner).reduce(0.0) { $0 + Double(a.row(i)[$1]) * Double(b.row(j)[$1]) }
        try require(Double(c.row(i)[j]), equals: expected, "matrix product")
      }
    }
  }

  static func require(_ value: Double, equals expected: Double, _ kernel: String) throws {
    guard abs(value - expected) <= tolerance * max(1, abs(expected)) else { throw wrong(kernel) }
  }

  private static func wrong(_ kernel: String) -> Fault {
    Fault(
      .environment, "the \(kernel) kernel gives wrong results on this machine",
      hint: "build again with ADALIGN_CPU=x86-64")
  }
}
