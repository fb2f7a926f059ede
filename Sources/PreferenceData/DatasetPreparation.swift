import AlignmentCore
import Checkpoints

extension TokenizedDataset {
  /// Tokenises preference files, or maps the result of having done so before.
  ///
  /// The cache file is named by SHA-256 of the format, the encoder's digest, the options and the files' contents, and
  /// appears by rename, so that any number of processes may prepare the same data; a damaged one is made again. Bad
  /// rows throw `.data` naming file and line, or are skipped and reported, as the options say.
  ///
  /// - Parameters:
  ///   - weights: multiply the rows' own.
  package static func prepare(
    files: [String], encoder: some TextEncoder, encoderDigest: String, options: EncodingOptions,
    weights: RowWeights? = nil, cacheDirectory: String
  ) throws -> (dataset: TokenizedDataset, report: DataReport) {
    try options.validate()
    guard !files.isEmpty else { throw Fault(.configuration, "no data files are given", hint: "set data.train") }
    let key = try cacheKey(files, encoderDigest, options, weights)
    let path = "\(cacheDirectory)/tokens-\(key).bin"
    if let cached = try? TokenizedDataset(path: path), cached.key == key { return (cached, cached.report) }
    try FileSystem.makeDirectory(cacheDirectory)
    var preparation = try DatasetPreparation(
      encoder: encoder, options: options, weights: try weights?.read(), path: path)
    for file in files { try preparation.add(file) }
    try preparation.finish(key: key, files: files)
    let dataset = try TokenizedDataset(path: path)
    return (dataset, dataset.report)
  }

  private static func cacheKey(
    _ files: [String], _ encoderDigest: String, _ options: EncodingOptions, _ weights: RowWeights?
  ) throws -> String {
    let hash = SHA256()
    hash.update(field: "adalign tokens \(DatasetFormat.version)")
    hash.update(field: encoderDigest)
    hash.update(field: options.canonicalText)
    for file in files { hash.update(field: try SHA256.digest(ofFile: file).hex) }
    if let weights { hash.update(field: "weights \(weights.digest)") }
    return hash.finish().hex
  }
}

/// One pass over the rows of the files.
private struct DatasetPreparation<Encoder: TextEncoder> {
  private let encoder: ExampleEncoder<Encoder>
  private let options: EncodingOptions
  /// Of each row.
  private let weights: [Double]?
  private let builder: DatasetBuilder
  private var report = DataReport()

  init(encoder: Encoder, options: EncodingOptions, weights: [Double]?, path: String) throws {
    self.encoder = try ExampleEncoder(encoder: encoder, options: options)
    self.options = options
    self.weights = weights
    builder = try DatasetBuilder(path: path)
  }

  mutating func add(_ file: String) throws {
    let reader = try RowReader(path: file)
    while let row = try reader.next() {
      let rowIndex = report.rows
      report.rows += 1
      do {
        try add(row, rowIndex, at: "\(file):\(row.line)")
      } catch let fault as Fault where fault.kind == .data && options.onError == .skip {
        report.skip(fault)
      }
    }
  }

  func finish(key: String, files: [String]) throws {
    if let weights, weights.count != report.rows {
      throw Fault(
        .data, "there are \(weights.count) weights for \(report.rows) rows", at: files.joined(separator: ", "),
        hint: "weigh these files again")
    }
    guard report.examples > 0 else {
      throw Fault(
        .data, "no usable example (\(report.summary))", at: files.joined(separator: ", "),
        hint: "check that the files hold the rows the objective needs")
    }
    try builder.finish(key: key, report: report)
  }

  private mutating func add(_ line: RowReader.Row, _ rowIndex: Int, at location: String) throws {
    var row = try PreferenceRow(json: line.bytes.get(), at: location)
    if let weights, rowIndex < weights.count { row.weight *= weights[rowIndex] }
    let examples = try encoder.encode(row, at: location)
    if examples.isEmpty { report.dropped["undesirable", default: 0] += 1 }
    for example in examples {
      try builder.append(example, of: row, at: rowIndex)
      report.count(example)
    }
    report.prefixPairs += row.isPrefixPair ? 1 : 0
  }
}

extension TokenizedDataset {
  /// Writes examples that are tokens already, such as samples, as a dataset of their own; it appears when it is complete.
  ///
  /// - Parameters:
  ///   - labels: weight and soft label of each example; empty where they are 1.
  ///   - key: what the file will say it was made from.
  package static func write(
    _ examples: [EncodedExample], labels: [(weight: Double, q: Double)] = [], to path: String, key: String
  ) throws {
    precondition(labels.isEmpty || labels.count == examples.count, "not one label for each example")
    let builder = try DatasetBuilder(path: path)
    var report = DataReport()
    for (index, example) in examples.enumerated() {
      var row = PreferenceRow(prompt: [], completions: [])
      if !labels.isEmpty { (row.weight, row.q) = labels[index] }
      try builder.append(example, of: row, at: index)
      report.rows += 1
      report.count(example)
    }
    try builder.finish(key: key, report: report)
  }
}
