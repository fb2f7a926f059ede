import AlignmentCore
import Kernels

/// One number from the hidden state of each prediction: the score of a completion, or the value of a state.
///
/// Shapes: R rows (predictions), H hidden.
final class ScalarHead {
  private let weight: Range<Int>
  private let bias: Range<Int>?
  private let hiddenSize: Int
  /// (R) the numbers of the last unit.
  let values: UnsafeMutableBufferPointer<Double>
  /// (R) derivative of the loss with respect to each of them, written by the objective.
  let derivatives: FloatBuffer

  init(weight: Range<Int>, bias: Range<Int>?, hiddenSize: Int, rows: Int) throws {
    self.weight = weight
    self.bias = bias
    self.hiddenSize = hiddenSize
    values = .allocate(capacity: rows)
    derivatives = try FloatBuffer(count: rows, purpose: "score derivatives")
  }

  deinit { values.deallocate() }

  /// value = w · h + b
  func forward(_ unit: WorkUnit, hidden: Matrix, parameters: FloatView) {
    let w = parameters[weight].base
    let offset = bias.map { Double(parameters[$0].base[0]) } ?? 0
    for (row, source) in unit.predictionSources.enumerated() {
      values[row] = Double(Softmax.dot(hidden.row(Int(source)), w, count: hiddenSize)) + offset
    }
  }

  /// Adds dh = d·w, unless the hidden states are none of its business, and writes dw = Σ d·h, db = Σ d.
  func backward(_ unit: WorkUnit, hidden: Matrix, parameters: FloatView, dHidden: Matrix?, into sink: GradientSink) {
    let w = parameters[weight].base
    let dWeight = sink.cleared(weight)
    var dBias: Float = 0
    for (row, source) in unit.predictionSources.enumerated() {
      let derivative = derivatives.view.base[row]
      Elementwise.addScaled(hidden.row(Int(source)), by: derivative, into: dWeight, count: hiddenSize)
      if let dHidden { Elementwise.addScaled(w, by: derivative, into: dHidden.row(Int(source)), count: hiddenSize) }
      dBias += derivative
    }
    if let bias { sink.cleared(bias)[0] = dBias }
  }
}
