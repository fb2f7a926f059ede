import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Adafactor (Shazeer and Stern 2018, arXiv 1804.04235, algorithms 4 and 5) with a learning rate that is given, as
/// transformers has it with `relative_step=False`; update clipping (§5) by the root mean square of a tensor's update.
///
/// The second moment of a matrix is factored into the averages of its rows and columns; a tensor of more dimensions is taken
/// as the matrix of its last one, a vector as a matrix of one row. Every rank has these averages of all tensors and computes
/// them from all gradients, in an order that knows nothing of shards.
package final class Adafactor: Optimizer {
  package static let name = "adafactor"
  package static let summary = "factored second moments, update clipping, decoupled weight decay, arXiv 1804.04235"
  package static let options = [
    OptionDescription("decay_rate", default: -0.8, in: -1...0, "the averages keep 1 − step^decay_rate"),
    OptionDescription("clip_threshold", default: 1, in: 1e-6...1e6, "largest root mean square of a tensor's update"),
    OptionDescription("epsilon1", default: 1e-30, in: 1e-36...1, "added to squared gradients"),
    OptionDescription("epsilon2", default: 1e-3, in: 0...1e3, "least scale of a tensor, for scale_parameter"),
    OptionDescription("beta1", default: 0, in: 0...0.999_999, "share of the average update that is kept; 0 keeps none"),
    OptionDescription(flag: "scale_parameter", "multiply the learning rate by the root mean square of the tensor"),
  ]
  package static let needsWholeGradients = true

  private let decayRate: Double
  private let clipThreshold: Double
  private let epsilon1: Double
  private let epsilon2: Double
  private let beta1: Double
  private let scalesParameters: Bool
  private let shard: ParameterShard
  private let state: ShardState
  private let tensors: [Tensor]
  private let rowMoments: FloatBuffer
  private let columnMoments: FloatBuffer
  // Scratch of one tensor.
  private let rowFactors: FloatBuffer
  private let columnFactors: FloatBuffer
  private var rowSums: [Double]
  private var columnSums: [Double]

  package init(options: OptionValues, shard: [Range<Int>], runs: [ParameterRun], tensors: [TensorShape]) throws {
    decayRate = options["decay_rate"]
    clipThreshold = options["clip_threshold"]
    epsilon1 = options["epsilon1"]
    epsilon2 = options["epsilon2"]
    beta1 = options["beta1"]
    scalesParameters = options.isOn("scale_parameter")
    self.shard = ParameterShard(shard, of: runs)
    state = try ShardState(beta1 > 0 ? ["first_moment"] : [], over: self.shard)
    self.tensors = Tensor.all(tensors, in: self.shard, of: runs)
    let (rows, columns) = (self.tensors.map(\.rowMoments), self.tensors.map(\.columnMoments))
    let (mostRows, mostColumns) = (rows.map(\.count).max() ?? 0, columns.map(\.count).max() ?? 0)
    rowMoments = try FloatBuffer(count: rows.last?.upperBound ?? 0, purpose: "optimiser state")
    columnMoments = try FloatBuffer(count: columns.last?.upperBound ?? 0, purpose: "optimiser state")
    rowFactors = try FloatBuffer(count: mostRows, purpose: "optimiser scratch")
    columnFactors = try FloatBuffer(count: mostColumns, purpose: "optimiser scratch")
    rowSums = Array(repeating: 0, count: mostRows)
    columnSums = Array(repeating: 0, count: mostColumns + AdafactorKernel.padding)
  }

  package var shardedState: [(name: String, view: FloatView)] { state.named }

  package var replicatedState: [(name: String, view: FloatView)] {
    [("row_second_moment", rowMoments.view), ("column_second_moment", columnMoments.view)]
  }

  package func update(parameters: FloatView, gradients: FloatView, step: Int, groups: [GroupStep]) {
    let decay = 1 - pow(Double(step + 1), decayRate)
    for tensor in tensors {
      let group = groups[tensor.group]
      let gradient = tensor.matrix(gradients)
      let meanRow = updateMoments(tensor, gradient, scale: Float(group.gradientScale), decay: decay)
      guard !tensor.own.isEmpty else { continue }
      let factors = factors(tensor, meanRow: meanRow, gradientScale: Float(group.gradientScale))
      let squares = AdafactorKernel.sumSquaresOfUpdate(gradient, factors)
      let clipping = max(1, (squares / Double(tensor.range.count)).squareRoot() / clipThreshold)
      let rate = group.learningRate * (scalesParameters ? scale(of: parameters[tensor.range]) : 1)
      let update = AdafactorKernel.Step(
        updateScale: Float(rate / clipping), shrinkage: tensor.decays ? Float(1 - rate * group.weightDecay) : 1,
        beta1: beta1)
      for own in tensor.own {
        AdafactorKernel.apply(
          to: parameters[own.range], gradients: gradients[own.range],
          firstMoment: beta1 > 0 ? state[0][own.local] : nil,
          startingAt: own.range.lowerBound - tensor.range.lowerBound, factors, update)
      }
    }
  }

  /// Takes a gradient into the averages of its tensor's rows and columns (algorithm 4, lines 4 and 5).
  ///
  /// - Returns: the mean of the averages of the rows.
  private func updateMoments(_ tensor: Tensor, _ gradient: Matrix, scale: Float, decay: Double) -> Double {
    rowSums.withUnsafeMutableBufferPointer { rows in
      columnSums.withUnsafeMutableBufferPointer { columns in
        AdafactorKernel.sumSquares(of: gradient, scale: scale, rows: rows, columns: columns)
        _ = AdafactorKernel.average(
          columns, terms: gradient.rows, epsilon: epsilon1, decay: decay,
          into: columnMoments.view[tensor.columnMoments])
        let total = AdafactorKernel.average(
          rows, terms: gradient.columns, epsilon: epsilon1, decay: decay, into: rowMoments.view[tensor.rowMoments])
        return total / Double(gradient.rows)
      }
    }
  }

  /// What turns a tensor's gradient into its update: 1/√V̂ as a product of rows and columns (algorithm 4, line 6).
  private func factors(_ tensor: Tensor, meanRow: Double, gradientScale: Float) -> AdafactorKernel.Factors {
    let rows = rowFactors.view[0..<tensor.rowMoments.count]
    let columns = columnFactors.view[0..<tensor.columnMoments.count]
    AdafactorKernel.inverseRoots(of: rowMoments.view[tensor.rowMoments], numerator: Float(meanRow), into: rows)
    AdafactorKernel.inverseRoots(of: columnMoments.view[tensor.columnMoments], numerator: 1, into: columns)
    return AdafactorKernel.Factors(rows: rows, columns: columns, gradientScale: gradientScale)
  }

  /// The root mean square of a tensor, bounded below (algorithm 4, line 2).
  private func scale(of tensor: FloatView) -> Double {
    max(epsilon2, (Elementwise.sumOfSquares(tensor) / Double(tensor.count)).squareRoot())
  }
}

extension Adafactor {
  /// A tensor as a matrix, and where its parts lie.
  private struct Tensor {
    /// In arena coordinates.
    let range: Range<Int>
    /// In the averages of all rows and of all columns; as many as there are.
    let rowMoments: Range<Int>
    let columnMoments: Range<Int>
    /// The parts in the shard.
    let own: [ParameterShard.Run]
    let group: Int
    let decays: Bool

    static func all(_ shapes: [TensorShape], in shard: ParameterShard, of runs: [ParameterRun]) -> [Tensor] {
      var tensors: [Tensor] = []
      for shape in shapes where !shape.range.isEmpty {
        guard let run = runs.first(where: { $0.range.contains(shape.range.lowerBound) }) else {
          preconditionFailure("no run covers \(shape.range)")
        }
        precondition(run.range.upperBound >= shape.range.upperBound, "tensor \(shape.range) exceeds run \(run.range)")
        let columns = shape.shape.last ?? 1
        let (row, column) = (tensors.last?.rowMoments.upperBound ?? 0, tensors.last?.columnMoments.upperBound ?? 0)
        tensors.append(
          Tensor(
            range: shape.range, rowMoments: row..<row + shape.range.count / columns,
            columnMoments: column..<column + columns, own: shard.runs.compactMap { $0.clamped(to: shape.range) },
            group: run.group, decays: run.decays))
      }
      return tensors
    }

    /// The tensor in an arena.
    func matrix(_ arena: FloatView) -> Matrix {
      Matrix(arena[range], rows: rowMoments.count, columns: columnMoments.count)
    }
  }
}
