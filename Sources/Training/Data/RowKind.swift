import AlignmentCore
import PreferenceData

/// What a file of held-out data says of completions; its first row tells.
enum RowKind {
  /// Which of two is preferred.
  case pairs
  /// Whether each is a good one.
  case labelled
  /// A score of each.
  case scored
  /// Nothing.
  case bare

  /// - Throws: ``Fault`` for an empty file or a bad first row.
  init(ofFile path: String) throws {
    guard let line = try RowReader(path: path).next() else {
      throw Fault(
        .data, "the file has no rows", at: path, hint: "rows look like {\"prompt\", \"chosen\", \"rejected\"}")
    }
    let row = try PreferenceRow(json: line.bytes.get(), at: "\(path):\(line.line)")
    if row.completions[0].role == .chosen {
      self = .pairs
    } else if row.completions[0].score != nil {
      self = .scored
    } else {
      self = row.completions[0].role == .sample ? .bare : .labelled
    }
  }
}
