import AlignmentCore
import Checkpoints
import JSON
import PreferenceData

/// The rows of the data that are weighed, and what is known of their responses beside the tokens.
struct WeighedRows {
  let files: [String]
  /// Digest of the files' content.
  let digest: String
  /// The distinct prompts in the order of their first rows.
  private(set) var prompts: [[UInt8]] = []
  /// The first row of each distinct prompt.
  private(set) var firstRows: [Int] = []
  /// The number of each row's prompt.
  private(set) var promptOfRow: [Int] = []
  /// The responses of each row, by their places among all.
  private(set) var examples: [[Int]] = []
  /// The number of the prompt of each response.
  private(set) var promptOfResponse: [Int] = []
  /// Line breaks in each response.
  private(set) var newlines: [Int] = []
  /// Log-probability of each response under the model that wrote it, where the row gives it.
  private(set) var sourceLogProbabilities: [Double?] = []
  private var numbers: [[UInt8]: Int] = [:]

  /// - Throws: ``Fault`` that names file and line of a bad row.
  init(_ files: [String]) throws {
    self.files = files
    digest = try WeightFingerprint.digest(ofFiles: files)
    for file in files {
      let reader = try RowReader(path: file)
      while let line = try reader.next() {
        append(try PreferenceRow(json: line.bytes.get(), at: "\(file):\(line.line)"))
      }
    }
    guard !examples.isEmpty else {
      throw Fault(
        .data, "there are no rows", at: files.joined(separator: ", "),
        hint: "rows look like {\"prompt\", \"chosen\", \"rejected\"}")
    }
  }

  private mutating func append(_ row: PreferenceRow) {
    let prompt = number(of: row.prompt)
    promptOfRow.append(prompt)
    examples.append(Array(newlines.count..<newlines.count + row.completions.count))
    for completion in row.completions {
      promptOfResponse.append(prompt)
      newlines.append(completion.text.newlines)
      sourceLogProbabilities.append(completion.sourceLogp)
    }
  }

  private mutating func number(of prompt: [UInt8]) -> Int {
    if let number = numbers[prompt] { return number }
    numbers[prompt] = prompts.count
    firstRows.append(examples.count)
    prompts.append(prompt)
    return prompts.count - 1
  }

  /// The number of a prompt's text, if the data have it.
  func number(ofPrompt text: [UInt8]) -> Int? { numbers[text] }

  /// The row that a response is of.
  func row(ofResponse response: Int) -> Int { examples.firstIndex { $0.contains(response) } ?? 0 }

  /// Writes the rows as they are, but for their weights, which are multiplied.
  func write(weights: [Double], to path: String) throws {
    try AtomicFile.write(path) { output in
      var index = 0
      for file in files {
        let reader = try RowReader(path: file)
        while let line = try reader.next() {
          let bytes = try line.bytes.get()
          let old = try PreferenceRow(json: bytes, at: "\(file):\(line.line)").weight
          guard index < weights.count else { throw changed(file) }
          var text = RowText(bytes)
          text.set("weight", to: .double(old * weights[index]))
          try output.append(text.bytes + [UInt8(ascii: "\n")])
          index += 1
        }
      }
      guard index == weights.count else { throw changed(files[files.count - 1]) }
    }
  }

  private func changed(_ file: String) -> Fault {
    Fault(.data, "the file changed while it was weighed", at: file, hint: "weigh it again")
  }
}

extension [UInt8] {
  /// Line breaks in a text.
  var newlines: Int { count { $0 == UInt8(ascii: "\n") } }
}
