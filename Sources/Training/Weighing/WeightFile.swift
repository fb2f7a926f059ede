import AlignmentCore
import Checkpoints
import JSON
import PreferenceData

/// A file of weights: a line that says what they were made of, and a line for each row of the data.
package struct WeightFile {
  /// What is said of a row.
  package struct Row: Sendable, Equatable {
    /// log π_t/π_s of each completion, in nats up to a constant; −∞ drops it, and is null in the file.
    package var logRatios: [Double]
    /// What they come to for the row, before flattening.
    package var logWeight: Double
    /// What the row's own weight is multiplied by.
    package var weight: Double
  }

  package let path: String
  package let fingerprint: WeightFingerprint

  /// Reads the first line.
  ///
  /// - Throws: ``Fault`` if there is no such file, or it is not one of weights.
  package init(path: String) throws {
    self.path = path
    guard let line = try RowReader(path: path).next() else {
      throw Fault(.data, "is empty", at: path, hint: "name a weights.jsonl that adalign weigh wrote")
    }
    fingerprint = try WeightFingerprint(json: ModelSource.parse(line.bytes.get(), "\(path):1"), at: "\(path):1")
  }

  /// All rows, in order.
  ///
  /// - Throws: ``Fault`` that names the line, if the file is not whole.
  package func rows() throws -> [Row] {
    let reader = try RowReader(path: path)
    _ = try reader.next()
    var rows: [Row] = []
    rows.reserveCapacity(fingerprint.rows)
    while let line = try reader.next() {
      let place = "\(path):\(line.line)"
      rows.append(try Row(json: ModelSource.parse(line.bytes.get(), place), index: rows.count, at: place))
    }
    guard rows.count == fingerprint.rows else {
      throw Fault(
        .data, "there are \(rows.count) rows, and the first line says \(fingerprint.rows)", at: path,
        hint: "copy the file again, or weigh again")
    }
    return rows
  }

  /// The weights, for data that are being prepared.
  func rowWeights() throws -> RowWeights {
    let file = self
    return RowWeights(digest: try SHA256.digest(ofFile: path).hex) { try file.rows().map(\.weight) }
  }

  /// Makes a file appear whole.
  static func write(_ rows: [Row], _ fingerprint: WeightFingerprint, to path: String) throws {
    try AtomicFile.write(path) { file in
      try file.append(JSONValue.object(fingerprint.json).serialized() + [UInt8(ascii: "\n")])
      for (index, row) in rows.enumerated() {
        try file.append(JSONValue.object(row.json(index: index)).serialized() + [UInt8(ascii: "\n")])
      }
    }
  }
}

extension WeightFile.Row {
  fileprivate func json(index: Int) -> JSONObject {
    JSONObject([
      ("index", .integer(Int64(index))), ("log_ratios", .array(logRatios.map(JSONValue.double))),
      ("log_weight", .double(logWeight)), ("weight", .double(weight)),
    ])
  }

  fileprivate init(json: JSONValue, index: Int, at place: String) throws {
    guard json["index"]?.intValue == index, let weight = json["weight"]?.doubleValue, weight >= 0,
      let ratios = json["log_ratios"]?.arrayValue, let logWeight = Self.logarithm(json["log_weight"])
    else { throw Self.damaged(place) }
    let logRatios = ratios.compactMap { Self.logarithm($0) }
    guard logRatios.count == ratios.count else { throw Self.damaged(place) }
    self.init(logRatios: logRatios, logWeight: logWeight, weight: weight)
  }

  /// A number, or −∞ for null; nil for anything else.
  private static func logarithm(_ value: JSONValue?) -> Double? {
    value == .null ? -.infinity : value?.doubleValue
  }

  private static func damaged(_ place: String) -> Fault {
    Fault(.data, "is no row of weights", at: place, hint: "copy the file again, or weigh again")
  }
}
