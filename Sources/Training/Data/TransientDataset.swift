import AlignmentCore
import Checkpoints
import Collectives
import PreferenceData
import Transformer

/// Texts in memory as a dataset that every rank maps, for a pass over them; nothing stays on the disk.
package enum TransientDataset {
  /// A prompt and the completions that a model shall be asked about.
  typealias Row = (prompt: String, completions: [String])

  /// Tokenises rows, which are the same on every rank; a row that exceeds the context loses the beginning of its prompt.
  static func open(
    _ rows: [Row], source: ModelSource, boundary: EncodingOptions.Boundary = .joined, cache: String,
    over communicator: any Communicator
  ) throws -> TokenizedDataset {
    try open(encode(rows, source: source, boundary: boundary), cache: cache, over: communicator)
  }

  /// An example for each row.
  static func encode(_ rows: [Row], source: ModelSource, boundary: EncodingOptions.Boundary = .joined) throws
    -> [EncodedExample]
  {
    var options = EncodingOptions(
      contextLength: source.configuration.contextLength, endOfSequence: source.endOfSequence)
    options.selection = .all
    options.maxLength = options.contextLength
    options.boundary = boundary
    let encoder = try ExampleEncoder(encoder: source.tokenizer, options: options)
    return try rows.enumerated().flatMap { index, row in
      try encoder.encode(
        PreferenceRow(
          prompt: Array(row.prompt.utf8),
          completions: row.completions.map { .init(text: Array($0.utf8), role: .sample) }),
        at: "text \(index)")
    }
  }

  /// Writes the examples once for each host, and removes the file when every rank has mapped it.
  ///
  /// - Parameters:
  ///   - labels: weight and soft label of each example; empty where they are 1.
  package static func open(
    _ examples: [EncodedExample], labels: [(weight: Double, q: Double)] = [], cache: String,
    over communicator: any Communicator
  ) throws -> TokenizedDataset {
    let digest = digest(examples, labels)
    let path = "\(cache)/texts-\(digest).bin"
    let writes = communicator.hostRank == 0
    if writes {
      try FileSystem.makeDirectory(cache)
      try TokenizedDataset.write(examples, labels: labels, to: path, key: digest)
    }
    try communicator.barrier()
    let dataset = try TokenizedDataset(path: path)
    try PreparedData.agree(at: "texts", over: communicator) { dataset.digest }
    if writes { try FileSystem.removeTree(path) }
    return dataset
  }

  private static func digest(_ examples: [EncodedExample], _ labels: [(weight: Double, q: Double)]) -> String {
    let hash = SHA256()
    for example in examples { hash.update(field: "\(example.prompt) \(example.completions.map(\.tokens))") }
    for label in labels { hash.update(field: "\(label.weight) \(label.q)") }
    return hash.finish().hex
  }
}
