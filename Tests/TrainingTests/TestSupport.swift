import AlignmentCore
import Checkpoints
import Collectives
import Foundation
import JSON
import Objectives
import Optimization
import PreferenceData
import Testing
import Training
import Transformer

/// A directory of its own for one test, removed at the end.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = "/tmp/adalign-training-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    try FileSystem.makeDirectory(path)
  }

  deinit { try? FileSystem.removeTree(path) }

  /// Writes a file and returns its path.
  func write(_ name: String, _ text: String) throws -> String {
    try AtomicFile.write("\(path)/\(name)", Array(text.utf8))
    return "\(path)/\(name)"
  }
}

/// The fault that `body` throws; records an issue if it throws none.
func fault(
  _ kind: Fault.Kind, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) -> String {
  do {
    try body()
    Issue.record("no fault was thrown", sourceLocation: sourceLocation)
    return ""
  } catch {
    #expect((error as? Fault)?.kind == kind, "\(error)", sourceLocation: sourceLocation)
    return "\(error)"
  }
}

/// One token per byte, folded into a small vocabulary above the special ids.
struct FoldingEncoder: TextEncoder {
  static let vocabulary = 70

  func encode(_ text: [UInt8], addSpecialTokens: Bool) throws -> [Int32] {
    (addSpecialTokens ? [1] : []) + text.map { Int32($0) % Int32(Self.vocabulary - 3) + 3 }
  }
}

/// A tiny model of `Tests/Fixtures/models`.
struct ModelFixture {
  let configuration: ModelConfiguration
  let layout: ParameterLayout
  let expected: JSONValue
  private let files: ModelFiles

  static let names = [
    "llama-bf16", "llama-biased", "llama-f16", "llama-gqa", "llama-sharded-v4", "mistral", "qwen2", "qwen3", "smollm3",
  ]

  init(_ name: String) throws {
    let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/models/\(name)").path(percentEncoded: false)
    let json = { (name: String) in try JSONValue.parse(try FileSystem.readWhole("\(directory)/\(name)")) }
    configuration = try ModelConfiguration(json: json("config.json"), path: "config.json")
    layout = ParameterLayout(configuration)
    expected = try json("expected.json")
    files = try ModelFiles.open(directory: directory)
  }

  /// Fills an arena; a head for scores or values, which the fixtures lack, gets numbers of its own.
  func load(into parameters: FloatView, _ layout: ParameterLayout? = nil) throws {
    for tensor in (layout ?? self.layout).tensors {
      guard !tensor.belongsToScalarHead else {
        for i in 0..<tensor.range.count { parameters[tensor.range].base[i] = 0.1 * Float(i % 7) - 0.3 }
        continue
      }
      let (file, record) = try #require(files[tensor.name])
      let target = parameters[tensor.range]
      try file.copyFloats(of: record, into: UnsafeMutableBufferPointer(start: target.base, count: target.count))
    }
  }
}

/// Preference rows of different lengths, with weights and domains, as a dataset.
func dataset(
  _ directory: TemporaryDirectory, count: Int = 12, selection: EncodingOptions.Selection = .pairs,
  weight: (Int) -> Double = { 0.5 + 0.25 * Double($0 % 4) }
) throws -> TokenizedDataset {
  let text = { (seed: Int, length: Int) -> String in
    let letters = (0..<length).map { (i: Int) -> UInt8 in UInt8(97 + (seed * 31 + i * i * 7) % 26) }
    return String(decoding: letters, as: UTF8.self)
  }
  let rows = (0..<count).map { i in
    """
    {"prompt": "\(text(i, 1 + i * 5 % 17))", "chosen": "\(text(i + 50, 1 + i * 7 % 13))", \
    "rejected": "\(text(i + 90, 1 + i * 3 % 11))", "weight": \(weight(i)), \
    "chosen_score": \(i), "rejected_score": -1\(["", ", \"domain\": \"a\"", ", \"domain\": \"b\""][i % 3])}
    """
  }
  let file = try directory.write("rows.jsonl", rows.joined(separator: "\n") + "\n")
  var options = EncodingOptions(contextLength: 64, endOfSequence: 2)
  options.selection = selection
  return try TokenizedDataset.prepare(
    files: [file], encoder: FoldingEncoder(), encoderDigest: "folding", options: options,
    cacheDirectory: "\(directory.path)/cache"
  ).dataset
}

/// The same for a kind of groups.
func dataset(
  _ directory: TemporaryDirectory, for kind: GroupKind, weight: (Int) -> Double = { 0.5 + 0.25 * Double($0 % 4) }
) throws -> TokenizedDataset {
  let selections: [GroupKind: EncodingOptions.Selection] = [
    .pair: .pairs, .preferred: .preferred, .labelled: .labelled, .conditioned: .conditioned, .scored: .scored,
  ]
  return try dataset(directory, selection: try #require(selections[kind]), weight: weight)
}

extension ReferenceTable {
  /// Made-up log-probabilities.
  static func forTests(_ dataset: TokenizedDataset) -> ReferenceTable {
    ReferenceTable(sums: (0..<dataset.totalCompletions).map { -30 - Double($0 % 5) })
  }
}

extension RunConfiguration {
  /// The loss of a configuration that learns from preferences.
  var preferenceLoss: PreferenceLoss { get throws { try #require(loss) } }
}

/// A configuration with the settings that a recipe must have and some more.
func configuration(_ overrides: [String] = []) throws -> RunConfiguration {
  try RunConfiguration(
    recipe: "run: nowhere\nmodel: nothing\ndata:\n  train: none.jsonl\n", path: "test.yaml", overrides: overrides)
}
