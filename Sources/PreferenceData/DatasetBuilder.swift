import AlignmentCore
import Checkpoints
import JSON

/// Writes a dataset file example by example; it appears when it is finished, or not at all.
///
/// Tokens go to the file as they come; the other columns, under 100 bytes per example, wait in memory.
final class DatasetBuilder {
  private let file: AtomicFile
  private let content = SHA256()
  private var counts = DatasetCounts()
  private var pendingTokens: [Int32] = []
  private var firstToken: [Int64] = [0]
  private var firstCompletion: [Int64] = [0]
  private var promptLength: [Int32] = []
  private var weight: [Double] = []
  private var q: [Double] = []
  private var margin: [Double] = []
  private var domain: [Int32] = []
  private var generator: [Int32] = []
  private var sourceRow: [Int64] = []
  private var completionStart: [Int64] = []
  private var completionLength: [Int32] = []
  private var sourceLogp: [Double] = []
  private var score: [Double] = []
  private var role: [UInt8] = []
  private var domains = NameTable()
  private var generators = NameTable()

  /// Begins a file, with room for its header.
  init(path: String) throws {
    file = try AtomicFile(path: path)
    try file.append([UInt8](repeating: 0, count: DatasetFormat.headerSize))
  }

  /// Adds an example.
  func append(_ example: EncodedExample, of row: PreferenceRow, at rowIndex: Int) throws {
    try append(tokens: example.prompt)
    promptLength.append(Int32(example.prompt.count))
    for completion in example.completions {
      completionStart.append(Int64(counts.tokens))
      completionLength.append(Int32(completion.tokens.count))
      sourceLogp.append(completion.sourceLogp ?? .nan)
      score.append(completion.score ?? .nan)
      role.append(completion.role.rawValue)
      try append(tokens: completion.tokens)
    }
    weight.append(row.weight)
    q.append(row.q)
    margin.append(row.margin)
    domain.append(domains.index(of: row.domain))
    generator.append(generators.index(of: row.generator))
    sourceRow.append(Int64(rowIndex))
    count(example)
  }

  /// Writes the columns and the report and makes the file appear.
  func finish(key: String, report: DataReport) throws {
    try flushTokens()
    try pad()
    try writeColumns()
    let encodedCounts = counts.encoded
    content.update(encodedCounts)
    let text = JSONValue.object(JSONObject([("key", .string(ByteString(key))), ("report", report.json)])).serialized()
    let size = file.count + text.count
    try file.append(text)
    let prefix = DatasetFormat.prefix(content: content.finish(), report: SHA256.digest(of: text), fileSize: size)
    try file.overwrite(prefix + encodedCounts, at: 0)
    try file.commit()
  }

  private func count(_ example: EncodedExample) {
    counts.examples += 1
    counts.completions += example.completions.count
    let group = counts.tokens - Int(firstToken[firstToken.count - 1])
    counts.maximumGroupTokens = max(counts.maximumGroupTokens, group)
    counts.maximumSequenceTokens = max(counts.maximumSequenceTokens, example.prompt.count + example.longestCompletion)
    firstToken.append(Int64(counts.tokens))
    firstCompletion.append(Int64(counts.completions))
  }

  private func append(tokens: [Int32]) throws {
    for token in tokens {
      precondition(token >= 0, "the encoder gave token \(token)")
      counts.maximumToken = max(counts.maximumToken, Int(token))
    }
    pendingTokens += tokens
    counts.tokens += tokens.count
    if pendingTokens.count >= 1 << 20 { try flushTokens() }
  }

  private func flushTokens() throws {
    try write(pendingTokens)
    pendingTokens.removeAll(keepingCapacity: true)
  }

  private func writeColumns() throws {
    let names = domains.names + generators.names
    counts.domains = domains.names.count
    counts.generators = generators.names.count
    counts.stringBytes = names.reduce(0) { $0 + $1.bytes.count }
    var end: Int64 = 0
    let ends = names.map { name in
      end += Int64(name.bytes.count)
      return end
    }
    // The order of DatasetLayout.
    try writeSection(firstToken)
    try writeSection(firstCompletion)
    try writeSection(promptLength)
    try writeSection(weight)
    try writeSection(q)
    try writeSection(margin)
    try writeSection(domain)
    try writeSection(generator)
    try writeSection(sourceRow)
    try writeSection(completionStart)
    try writeSection(completionLength)
    try writeSection(sourceLogp)
    try writeSection(score)
    try writeSection(role)
    try writeSection(ends)
    try writeSection(names.flatMap(\.bytes))
    precondition(file.count == DatasetLayout(counts).report, "the sections do not match the layout")
  }

  private func writeSection<Value: BitwiseCopyable>(_ values: [Value]) throws {
    try write(values)
    try pad()
  }

  private func write<Value: BitwiseCopyable>(_ values: [Value]) throws {
    try values.withUnsafeBytes { bytes in
      content.update(bytes)
      try file.append(bytes)
    }
  }

  private func pad() throws {
    try write([UInt8](repeating: 0, count: DatasetFormat.aligned(file.count) - file.count))
  }
}

/// Names in the order of their first appearance.
private struct NameTable {
  private(set) var names: [ByteString] = []
  private var indices: [ByteString: Int32] = [:]

  mutating func index(of name: String?) -> Int32 {
    guard let name = name.map({ ByteString($0) }) else { return -1 }
    if let index = indices[name] { return index }
    let index = Int32(names.count)
    indices[name] = index
    names.append(name)
    return index
  }
}
