import Foundation

/// A row that `adalign label` writes, or that a stage of a round does.
struct LabelledRow: Decodable {
  let prompt: String
  let chosen: String?
  let rejected: String?
  let completion: String?
  let label: Bool?
  let q: Double?
  let weight: Double
  let labelScores: [Double]?
  let labelledBy: String

  static func read(_ path: String) throws -> [LabelledRow] {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
      .map { try decoder.decode(LabelledRow.self, from: Data($0.utf8)) }
  }
}

/// What `adalign label` tells of its work.
struct LabelNumbers: Decodable {
  let groups: Int
  let responses: Int
  let proposed: Int
  let kept: Int
  let dropped: [String: Int]
  let requests: Int

  init(contentsOf path: String) throws {
    self = try JSONDecoder().decode(LabelNumbers.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }
}

extension Workspace {
  /// A file of prompts with responses.
  func candidates(_ rows: [(prompt: String, completions: [String])], in name: String = "candidates.jsonl") throws
    -> String
  {
    try write(
      name,
      lines: rows.map { row in
        let texts = row.completions.map { "\"\($0)\"" }.joined(separator: ", ")
        return #"{"prompt": "\#(row.prompt)", "completions": [\#(texts)]}"#
      })
  }

  /// Prompts with four responses of different lengths each.
  func counting(_ prompts: Int) throws -> String {
    try candidates(
      (0..<prompts).map { n in
        (
          "Count from \(n):",
          (0..<4).map { k in " " + (0...k).map { "\(n + (k == 2 ? 2 * $0 : $0))" }.joined(separator: " ") }
        )
      })
  }

  /// The bytes of a file.
  func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: self(name))) }
}
