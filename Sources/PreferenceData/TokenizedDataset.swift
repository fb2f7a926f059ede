import AlignmentCore
import Checkpoints
import JSON

/// One example of a dataset: scalars only, so that reading it allocates nothing.
package struct ExampleRecord: Sendable, Equatable {
  /// Its place in the dataset.
  package let index: Int
  /// Index of its first token, the prompt's; completions follow the prompt.
  package let firstToken: Int
  /// Tokens of the prompt, at least 1.
  package let promptLength: Int
  /// Index of its first completion among all completions of the dataset.
  package let firstCompletion: Int
  /// Number of completions, at least 1.
  package let completionCount: Int
  /// Tokens of the prompt and all completions.
  package let tokenCount: Int
  /// Importance weight w.
  package let weight: Double
  /// Soft label q: the probability that the first completion is the better one.
  package let q: Double
  /// By how much the first completion is better, as the data say; 0 if they do not.
  package let margin: Double
  /// Index into `domains`, −1 for none.
  package let domain: Int
  /// Index into `generators`, −1 for none.
  package let generator: Int
  /// Which row of the input it was, from 0 over all files, bad and dropped rows counted.
  package let rowIndex: Int
}

/// One completion of an example.
package struct CompletionRecord: Sendable, Equatable {
  /// Index of its first token in the dataset.
  package let firstToken: Int
  /// Number of its tokens, at least 1.
  package let length: Int
  /// What it is.
  package let role: CompletionRole
  /// Its log-probability under the policy that generated the data, where known.
  package let sourceLogp: Double?
  /// The score that it was given, where it has one.
  package let score: Double?

  /// Where its tokens are in the dataset.
  package var tokenRange: Range<Int> { firstToken..<firstToken + length }
}

/// Tokenised examples in a mapped file, checked completely when it is opened.
///
/// `@unchecked Sendable` is sound because nothing changes after `init`: the views point into a read-only mapping, which
/// `file` keeps alive as long as this object.
package final class TokenizedDataset: @unchecked Sendable {
  /// Number of examples, at least 1.
  package let count: Int
  /// Tokens of all examples, prompts counted once.
  package let totalTokens: Int
  /// Number of completions of all examples.
  package let totalCompletions: Int
  /// Most tokens of one prompt with all its completions.
  package let maximumGroupTokens: Int
  /// Most tokens of one prompt with one completion.
  package let maximumSequenceTokens: Int
  /// No token id is larger; to be compared with the model's vocabulary.
  package let maximumToken: Int
  /// SHA-256 of the examples in hexadecimal; equal examples have equal digests, wherever their rows came from.
  package let digest: String
  /// The names that `ExampleRecord.domain` points to.
  package let domains: [String]
  /// The names that `ExampleRecord.generator` points to.
  package let generators: [String]
  /// What happened to the rows when the dataset was made.
  package let report: DataReport

  /// The cache key under which the file was made.
  package let key: String
  /// The file that is mapped.
  package var path: String { file.path }
  private let file: MappedFile
  private let columns: DatasetColumns

  /// Maps and checks a file; throws `.data` if anything in it is not as it was written.
  package init(path: String) throws {
    let file = try MappedFile(path: path)
    let (counts, layout) = try Self.checkedLayout(file)
    columns = DatasetColumns(file: file, counts: counts, layout: layout)
    if let rule = columns.brokenRule(counts) { throw Self.damaged(file, rule) }
    (key, report) = try Self.readReport(file, layout)
    self.file = file
    count = counts.examples
    totalTokens = counts.tokens
    totalCompletions = counts.completions
    maximumGroupTokens = counts.maximumGroupTokens
    maximumSequenceTokens = counts.maximumSequenceTokens
    maximumToken = counts.maximumToken
    digest = SHA256.Digest(bytes: Array(file.bytes[16..<48])).hex
    domains = (0..<counts.domains).map(columns.string)
    generators = (counts.domains..<counts.domains + counts.generators).map(columns.string)
  }

  /// The scalars of an example.
  package func example(_ index: Int) -> ExampleRecord {
    precondition(index >= 0 && index < count, "example \(index) of \(count)")
    let first = Int(columns.firstToken[index])
    let completion = Int(columns.firstCompletion[index])
    return ExampleRecord(
      index: index, firstToken: first, promptLength: Int(columns.promptLength[index]), firstCompletion: completion,
      completionCount: Int(columns.firstCompletion[index + 1]) - completion,
      tokenCount: Int(columns.firstToken[index + 1]) - first, weight: columns.weight[index], q: columns.q[index],
      margin: columns.margin[index], domain: Int(columns.domain[index]), generator: Int(columns.generator[index]),
      rowIndex: Int(columns.sourceRow[index]))
  }

  /// Completion `index` of an example.
  package func completion(_ index: Int, of example: ExampleRecord) -> CompletionRecord {
    precondition(index >= 0 && index < example.completionCount, "completion \(index) of \(example.completionCount)")
    let position = example.firstCompletion + index
    precondition(position < totalCompletions, "an example of another dataset")
    let (logp, score) = (columns.sourceLogp[position], columns.score[position])
    return CompletionRecord(
      firstToken: Int(columns.completionStart[position]), length: Int(columns.completionLength[position]),
      role: CompletionRole(rawValue: columns.role[position]) ?? .chosen, sourceLogp: logp.isNaN ? nil : logp,
      score: score.isNaN ? nil : score)
  }

  /// Tokens of completion `completion` of example `example`.
  package func completionLength(_ example: Int, _ completion: Int) -> Int {
    self.completion(completion, of: self.example(example)).length
  }

  /// A view of tokens; valid only while this object lives.
  package func tokens(_ range: Range<Int>) -> UnsafeBufferPointer<Int32> {
    UnsafeBufferPointer(rebasing: columns.tokens[checked(range)])
  }

  /// A view of an example's prompt; valid only while this object lives.
  package func promptTokens(of example: ExampleRecord) -> UnsafeBufferPointer<Int32> {
    tokens(example.firstToken..<example.firstToken + example.promptLength)
  }

  private func checked(_ range: Range<Int>) -> Range<Int> {
    precondition(range.lowerBound >= 0 && range.upperBound <= totalTokens, "tokens \(range) of \(totalTokens)")
    return range
  }
}

extension TokenizedDataset {
  private static func checkedLayout(_ file: MappedFile) throws -> (DatasetCounts, DatasetLayout) {
    let size = file.bytes.count
    guard size >= DatasetFormat.headerSize, file.bytes.starts(with: DatasetFormat.magic) else {
      throw damaged(file, "it does not begin as a tokenised dataset")
    }
    let version = file.integer(UInt32.self, at: 8)
    guard version == DatasetFormat.version else { throw damaged(file, "format version \(version)") }
    guard let counts = DatasetCounts(file: file), counts.examples > 0 else { throw damaged(file, "impossible counts") }
    let layout = DatasetLayout(counts)
    guard layout.report <= size else { throw damaged(file, "it is truncated") }
    let expected = file.withBytes { DatasetFormat.expectedPrefix(of: $0, reportOffset: layout.report) }
    guard file.bytes.starts(with: expected) else { throw damaged(file, "a digest does not match") }
    return (counts, layout)
  }

  private static func readReport(_ file: MappedFile, _ layout: DatasetLayout) throws -> (String, DataReport) {
    let json = try? JSONValue.parse(Array(file.bytes[layout.report...]))
    guard let key = json?["key"]?.stringValue, let report = json?["report"].flatMap(DataReport.init) else {
      throw damaged(file, "its report cannot be read")
    }
    return (key, report)
  }

  private static func damaged(_ file: MappedFile, _ what: String) -> Fault {
    Fault(
      .data, "not a sound tokenised dataset: \(what)", at: file.path, hint: "remove the file; it will be made again")
  }
}
