import AlignmentCore
import JSON
import PreferenceData

/// Metrics of a dataset as a whole and of each of its domains, unweighted and with the weights of the rows.
///
/// Numbers that are not defined, such as a weighted mean where all weights are 0, are NaN: null in JSON.
package struct DomainTable {
  /// The metrics of some examples.
  package struct Part {
    /// Number of examples.
    package let count: Int
    /// Σ w
    package let weight: Double
    /// (Σ w)² / Σ w² (Kish 1965, "Survey sampling", §11.7).
    package let effectiveSampleSize: Double
    /// Name and value, the same names in both.
    package let unweighted: [(name: String, value: Double)]
    package let weighted: [(name: String, value: Double)]
  }

  /// What is computed of some examples of the dataset.
  typealias Metrics = (_ examples: [Int], _ isWeighted: Bool) -> [(name: String, value: Double)]

  package let overall: Part
  /// By name, in the order of their first rows.
  package let domains: [(name: String, part: Part)]

  /// - Parameters:
  ///   - metrics: of any examples that are asked for.
  init(_ dataset: TokenizedDataset, _ metrics: Metrics) {
    func part(_ examples: [Int]) -> Part {
      let weights = examples.map { dataset.example($0).weight }
      let (sum, squares) = weights.reduce((0.0, 0.0)) { ($0.0 + $1, $0.1 + $1 * $1) }
      return Part(
        count: examples.count, weight: sum, effectiveSampleSize: squares > 0 ? sum * sum / squares : 0,
        unweighted: metrics(examples, false), weighted: metrics(examples, true))
    }
    overall = part(Array(0..<dataset.count))
    domains = dataset.examplesByDomain.map { ($0.name, part($0.examples)) }
  }

  /// The columns `overall` and `domains` of the report.
  var members: [(ByteString, JSONValue)] {
    [
      ("overall", overall.json),
      ("domains", .object(JSONObject(domains.map { (ByteString($0.name), $0.part.json) }))),
    ]
  }

  /// Rows of metrics, and a column for each domain, for people; weighted columns only where weights make a difference.
  var text: String {
    let parts = [("all", overall)] + domains.map { ($0.name, $0.part) }
    let isWeighted = overall.effectiveSampleSize < Double(overall.count) * (1 - 1e-12)
    var rows = overall.unweighted.map { [$0.name] }
    var heading = [""]
    var counts = ["examples"]
    for (name, part) in parts {
      for weighted in isWeighted ? [false, true] : [false] {
        heading.append(weighted ? "\(name), weighted" : name)
        counts.append(weighted ? part.effectiveSampleSize.brief : "\(part.count)")
        let values = Dictionary(
          (weighted ? part.weighted : part.unweighted).map { ($0.name, $0.value) }, uniquingKeysWith: { a, _ in a })
        for row in rows.indices { rows[row].append(values[rows[row][0]].map { $0.isNaN ? "–" : $0.brief } ?? "–") }
      }
    }
    return TextTable.aligned([heading, counts] + rows)
  }
}

extension DomainTable.Part {
  fileprivate var json: JSONValue {
    let numbers = { (values: [(name: String, value: Double)]) in
      JSONValue.object(JSONObject(values.map { (ByteString($0.name), .double($0.value)) }))
    }
    return .object(
      JSONObject([
        ("examples", .integer(Int64(count))), ("weight", .double(weight)),
        ("effective_sample_size", .double(effectiveSampleSize)), ("unweighted", numbers(unweighted)),
        ("weighted", numbers(weighted)),
      ]))
  }
}

/// A table of texts for people.
package enum TextTable {
  /// Rows of equally many cells as lines, the cells of a column equally wide.
  package static func aligned(_ table: [[String]]) -> String {
    guard let first = table.first else { return "" }
    let widths = first.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
    return table.map { row in
      zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "   ") + "\n"
    }.joined()
  }
}
