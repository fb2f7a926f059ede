import AlignmentCore
import Collectives

/// The results of a list of groups: one row for each, filled by the rank that computed it and then shared.
///
/// A row is 0 on every rank but one, so adding the tables of all ranks is exact, and whatever is derived from the sum is
/// the same on any number of ranks.
package struct StepTable {
  package private(set) var rows = 0
  package private(set) var columns = 0
  /// The rows; behind them the flags, and cost and seconds of what each rank has computed.
  private var values: [Double] = []
  private let ranks: Int
  /// How many ranks raised each flag, known after ``share(over:flags:computed:)``.
  private(set) var flagged = Flags<Double>(isStopping: 0, isSaving: 0, isSpoilt: 0)

  /// What ranks tell each other beside their results.
  struct Flags<Value> {
    /// A signal asked the rank to stop.
    var isStopping: Value
    /// The rank's part of a checkpoint is not written yet.
    var isSaving: Value
    /// The rank has met a number that is not finite.
    var isSpoilt: Value

    static var count: Int { 3 }
  }

  init(ranks: Int) { self.ranks = ranks }

  /// Begins a list; allocates only if it is longer than any before.
  mutating func begin(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    values.removeAll(keepingCapacity: true)
    for _ in 0..<rows * columns + Flags<Bool>.count + 2 * ranks { values.append(0) }
  }

  package subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// The sum of a column over all rows.
  package func sum(ofColumn column: Int) -> Double {
    var sum = 0.0
    for row in 0..<rows { sum += self[row, column] }
    return sum
  }

  /// Adds the tables of all ranks; flags ride along, and what this rank has computed.
  mutating func share(
    over communicator: any Communicator,
    flags: Flags<Bool> = Flags(isStopping: false, isSaving: false, isSpoilt: false),
    computed: Computation = Computation()
  ) throws {
    let end = rows * columns
    values[end] = flags.isStopping ? 1 : 0
    values[end + 1] = flags.isSaving ? 1 : 0
    values[end + 2] = flags.isSpoilt ? 1 : 0
    let place = place(ofRank: communicator.rank)
    (values[place], values[place + 1]) = (computed.cost, computed.seconds)
    try values.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    flagged = Flags(isStopping: values[end], isSaving: values[end + 1], isSpoilt: values[end + 2])
  }

  /// What a rank has computed, known on all ranks after ``share(over:flags:computed:)``.
  func computation(ofRank rank: Int) -> Computation {
    let place = place(ofRank: rank)
    return Computation(cost: values[place], seconds: values[place + 1])
  }

  private func place(ofRank rank: Int) -> Int { rows * columns + Flags<Bool>.count + 2 * rank }
}

/// Work that was done, as the balance of units counts it, and how long it took.
package struct Computation: Sendable, Equatable {
  package var cost = 0.0
  package var seconds = 0.0

  package init(cost: Double = 0, seconds: Double = 0) {
    self.cost = cost
    self.seconds = seconds
  }
}
