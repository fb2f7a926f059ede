import AlignmentCore
import ArgumentParser
import JSON
import Kernels

/// `adalign-bench kernels`: the loops between the matrix products.
struct KernelBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels", abstract: "Time the kernels that are not matrix products, in and out of cache.")

  func run() throws {
    BLAS.threads = 1
    try KernelCheck.run()
    for count in [1 << 13, 1 << 23] {
      try timeFlat(count)
      try timeOptimizers(count)
    }
    for (rows, columns, inner) in [
      (768, 768, 768), (1024, 864, 288), (1024, 1536, 288), (1024, 2048, 288), (128, 128, 48),
    ] {
      try timeProduct(rows, columns, inner)
    }
  }

  /// Kernels over flat memory, in bytes moved per second.
  private func timeFlat(_ count: Int) throws {
    let buffer = try FloatBuffer(count: 4 * count, purpose: "benchmark")
    let views = (0..<4).map { buffer.view[$0 * count..<($0 + 1) * count] }
    for i in 0..<4 * count { buffer.view.base[i] = Float(i % 97) * 1e-3 }
    let sums = try IntegerBuffer(count: count, purpose: "benchmark")
    let step = AdamWKernel.Step(
      learningRate: 1e-5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, biasCorrection1: 0.1,
      biasCorrection2Root: 0.1, gradientScale: 1)
    report("adamw", count, bytes: 28) {
      AdamWKernel.update(parameters: views[0], gradients: views[1], firstMoment: views[2], secondMoment: views[3], step)
    }
    report("exact_accumulate", count, bytes: 20) {
      _ = ExactSum.accumulate(views[0], scale: 1, limit: 1024, into: sums.base)
    }
    report("sum_of_squares", count, bytes: 4) { _ = Elementwise.sumOfSquares(views[0]) }
    let width = 1024
    report("swiglu", count, bytes: 12) {
      SwiGLU.forward(
        gateUp: Matrix(buffer.view, rows: count / width, columns: 2 * width),
        into: Matrix(views[2], rows: count / width, columns: width))
    }
    report("vocabulary_backward", count, bytes: 8) {
      VocabularySoftmax.backward(
        Matrix(views[0], rows: count / width, columns: width), firstColumn: 0,
        targets: Array(repeating: 0, count: count / width),
        logSums: views[1].base, derivatives: views[1].base)
    }
  }

  /// The updates of optimisers other than AdamW, in bytes moved per second.
  private func timeOptimizers(_ count: Int) throws {
    let buffer = try FloatBuffer(count: 4 * count, purpose: "benchmark")
    let views = (0..<4).map { buffer.view[$0 * count..<($0 + 1) * count] }
    // No zeros: averages of nothing else would decay into slow subnormal numbers.
    for i in 0..<4 * count { buffer.view.base[i] = Float(i % 97 + 1) * 1e-3 }
    let (p, g) = (views[0], views[1])
    let lion = LionKernel.Step(learningRate: 1e-5, beta1: 0.9, beta2: 0.99, weightDecay: 0.01, gradientScale: 1)
    report("lion", count, bytes: 20) { LionKernel.update(parameters: p, gradients: g, momentum: views[2], lion) }
    let rmsProp = RMSPropKernel.Step(
      learningRate: 1e-5, alpha: 0.99, epsilon: 1e-8, momentum: 0, weightDecay: 0, gradientScale: 1)
    let state = RMSPropKernel.State(squareAverage: views[2], gradientAverage: nil, momentum: nil)
    report("rmsprop", count, bytes: 20) { RMSPropKernel.update(parameters: p, gradients: g, state, rmsProp) }
    let centered = RMSPropKernel.State(squareAverage: views[2], gradientAverage: views[3], momentum: nil)
    report("rmsprop_centered", count, bytes: 28) {
      RMSPropKernel.update(parameters: p, gradients: g, centered, rmsProp)
    }
    let sgd = SGDKernel.Step(
      learningRate: 1e-5, momentum: 0.9, gradientShare: 1, isNesterov: false, weightDecay: 0, gradientScale: 1)
    report("sgd", count, bytes: 12) { SGDKernel.update(parameters: p, gradients: g, runningSum: nil, sgd) }
    report("sgd_momentum", count, bytes: 20) {
      SGDKernel.update(parameters: p, gradients: g, runningSum: views[2], sgd)
    }
    try timeAdafactor(parameters: p, gradients: g)
  }

  /// The three loops of an Adafactor update that touch every element.
  private func timeAdafactor(parameters: FloatView, gradients: FloatView) throws {
    let (count, width) = (gradients.count, 1024)
    let matrix = Matrix(gradients, rows: count / width, columns: width)
    let buffer = try FloatBuffer(count: matrix.rows + width, purpose: "benchmark")
    for i in 0..<buffer.count { buffer.view.base[i] = 1 }
    var sums = [Double](repeating: 0, count: matrix.rows + width + AdafactorKernel.padding)
    sums.withUnsafeMutableBufferPointer { sums in
      let rows = UnsafeMutableBufferPointer(rebasing: sums[..<matrix.rows])
      let columns = UnsafeMutableBufferPointer(rebasing: sums[matrix.rows...])
      report("adafactor_sums", count, bytes: 4) {
        AdafactorKernel.sumSquares(of: matrix, scale: 0.5, rows: rows, columns: columns)
      }
    }
    let factors = AdafactorKernel.Factors(
      rows: buffer.view[0..<matrix.rows], columns: buffer.view[matrix.rows..<buffer.count], gradientScale: 1)
    report("adafactor_clip", count, bytes: 4) { _ = AdafactorKernel.sumSquaresOfUpdate(matrix, factors) }
    let step = AdafactorKernel.Step(updateScale: 1e-5, shrinkage: 1, beta1: 0)
    report("adafactor_apply", count, bytes: 12) {
      AdafactorKernel.apply(
        to: parameters, gradients: gradients, firstMoment: nil, startingAt: 0, factors, step)
    }
  }

  private func timeProduct(_ rows: Int, _ columns: Int, _ inner: Int) throws {
    let a = try FloatBuffer(count: rows * inner, purpose: "benchmark")
    let b = try FloatBuffer(count: columns * inner, purpose: "benchmark")
    let c = try FloatBuffer(count: rows * columns, purpose: "benchmark")
    let left = Matrix(a.view, rows: rows, columns: inner)
    let right = Matrix(b.view, rows: columns, columns: inner)
    let result = Matrix(c.view, rows: rows, columns: columns)
    let shapes: [(String, () -> Void)] = [
      ("forward", { Product.multiply(left, right.transposed, into: result) }),
      ("input_gradient", { Product.multiply(result, right, into: left) }),
      ("weight_gradient", { Product.multiply(result.transposed, left, into: right) }),
    ]
    for (name, body) in shapes {
      let times = measure(body)
      emit([
        ("kernel", .string(ByteString("product_\(name)"))),
        ("shape", .string(ByteString("\(rows)x\(columns)x\(inner)"))),
        ("gflops_p50", .double(2e-9 * Double(rows * columns * inner) / times.percentile(0.5))),
      ])
    }
  }

  private func report(_ name: String, _ count: Int, bytes: Int, _ body: () -> Void) {
    let times = measure(body)
    emit([
      ("kernel", .string(ByteString(name))), ("elements", .integer(Int64(count))),
      ("nanoseconds_p50", .double(times.percentile(0.5) * 1e9)),
      ("nanoseconds_p95", .double(times.percentile(0.95) * 1e9)),
      ("gigabytes_per_second_p50", .double(Double(bytes * count) * 1e-9 / times.percentile(0.5))),
      ("gigaelements_per_second_p50", .double(Double(count) * 1e-9 / times.percentile(0.5))),
    ])
  }
}
