import AlignmentCore

/// Typed views of the sections of a mapped dataset; valid only while the file lives.
struct DatasetColumns {
  /// (T) ids.
  let tokens: UnsafeBufferPointer<Int32>
  /// (n + 1) index of the first token of each example.
  let firstToken: UnsafeBufferPointer<Int64>
  /// (n + 1) index of the first completion of each example.
  let firstCompletion: UnsafeBufferPointer<Int64>
  /// (n) tokens of each prompt.
  let promptLength: UnsafeBufferPointer<Int32>
  /// (n) importance weights.
  let weight: UnsafeBufferPointer<Double>
  /// (n) soft labels.
  let q: UnsafeBufferPointer<Double>
  /// (n) margins.
  let margin: UnsafeBufferPointer<Double>
  /// (n) index into the domains or −1.
  let domain: UnsafeBufferPointer<Int32>
  /// (n) index into the generators or −1.
  let generator: UnsafeBufferPointer<Int32>
  /// (n) row of the input.
  let sourceRow: UnsafeBufferPointer<Int64>
  /// (m) index of the first token of each completion.
  let completionStart: UnsafeBufferPointer<Int64>
  /// (m) tokens of each completion.
  let completionLength: UnsafeBufferPointer<Int32>
  /// (m) source log-probabilities, NaN for none.
  let sourceLogp: UnsafeBufferPointer<Double>
  /// (m) scores, NaN for none.
  let score: UnsafeBufferPointer<Double>
  /// (m) raw roles.
  let role: UnsafeBufferPointer<UInt8>
  /// (s) where each string ends.
  let stringEnds: UnsafeBufferPointer<Int64>
  /// UTF-8 of all strings.
  let strings: UnsafeBufferPointer<UInt8>

  /// Cuts the views; the layout must fit the file.
  init(file: MappedFile, counts: DatasetCounts, layout: DatasetLayout) {
    let (n, m) = (counts.examples, counts.completions)
    tokens = file.values(Int32.self, at: layout.tokens, count: counts.tokens)
    firstToken = file.values(Int64.self, at: layout.firstToken, count: n + 1)
    firstCompletion = file.values(Int64.self, at: layout.firstCompletion, count: n + 1)
    promptLength = file.values(Int32.self, at: layout.promptLength, count: n)
    weight = file.values(Double.self, at: layout.weight, count: n)
    q = file.values(Double.self, at: layout.q, count: n)
    margin = file.values(Double.self, at: layout.margin, count: n)
    domain = file.values(Int32.self, at: layout.domain, count: n)
    generator = file.values(Int32.self, at: layout.generator, count: n)
    sourceRow = file.values(Int64.self, at: layout.sourceRow, count: n)
    completionStart = file.values(Int64.self, at: layout.completionStart, count: m)
    completionLength = file.values(Int32.self, at: layout.completionLength, count: m)
    sourceLogp = file.values(Double.self, at: layout.sourceLogp, count: m)
    score = file.values(Double.self, at: layout.score, count: m)
    role = file.values(UInt8.self, at: layout.role, count: m)
    stringEnds = file.values(Int64.self, at: layout.stringEnds, count: counts.domains + counts.generators)
    strings = file.values(UInt8.self, at: layout.strings, count: counts.stringBytes)
  }
}

extension DatasetColumns {
  /// The first rule that the sections break, or nil; afterwards every record can be read without a check.
  func brokenRule(_ counts: DatasetCounts) -> String? {
    if firstToken[0] != 0 || firstCompletion[0] != 0 { return "offsets do not begin at 0" }
    var seen = DatasetCounts()
    for index in 0..<counts.examples {
      if let rule = brokenRule(example: index, counts, &seen) { return "example \(index): \(rule)" }
    }
    if Int(firstToken[counts.examples]) != counts.tokens { return "token offsets do not end at the last token" }
    if Int(firstCompletion[counts.examples]) != counts.completions {
      return "completion offsets do not end at the last"
    }
    if !tokens.allSatisfy({ $0 >= 0 && $0 <= counts.maximumToken }) { return "a token is out of range" }
    let isMatching =
      (seen.maximumGroupTokens, seen.maximumSequenceTokens)
      == (counts.maximumGroupTokens, counts.maximumSequenceTokens)
    return isMatching ? brokenStringRule(counts) : "the maxima do not match the examples"
  }

  private func brokenRule(example index: Int, _ counts: DatasetCounts, _ seen: inout DatasetCounts) -> String? {
    let first = firstCompletion[index]
    let last = firstCompletion[index + 1]
    guard first < last, last <= counts.completions, promptLength[index] > 0 else { return "no prompt or no completion" }
    guard firstToken[index] <= counts.tokens, firstToken[index + 1] <= counts.tokens else {
      return "tokens out of range"
    }
    var end = Int(firstToken[index]) + Int(promptLength[index])
    var longest = 0
    for completion in Int(first)..<Int(last) {
      guard completionStart[completion] == end, completionLength[completion] > 0 else {
        return "completions do not follow"
      }
      guard role[completion] < UInt8(CompletionRole.allCases.count) else { return "unknown role" }
      guard sourceLogp[completion].isNaN || sourceLogp[completion].isFinite else { return "infinite log-probability" }
      guard score[completion].isNaN || score[completion].isFinite else { return "infinite score" }
      longest = max(longest, Int(completionLength[completion]))
      end += Int(completionLength[completion])
    }
    guard end == firstToken[index + 1] else { return "its lengths do not add up" }
    seen.maximumGroupTokens = max(seen.maximumGroupTokens, end - Int(firstToken[index]))
    seen.maximumSequenceTokens = max(seen.maximumSequenceTokens, Int(promptLength[index]) + longest)
    return brokenScalarRule(index, counts)
  }

  private func brokenScalarRule(_ index: Int, _ counts: DatasetCounts) -> String? {
    guard weight[index] >= 0, weight[index].isFinite, margin[index].isFinite else { return "weight or margin" }
    guard q[index] >= 0, q[index] <= 1, sourceRow[index] >= 0 else { return "soft label or row" }
    guard domain[index] >= -1, Int(domain[index]) < counts.domains else { return "unknown domain" }
    guard generator[index] >= -1, Int(generator[index]) < counts.generators else { return "unknown generator" }
    return nil
  }

  private func brokenStringRule(_ counts: DatasetCounts) -> String? {
    var end: Int64 = 0
    for next in stringEnds {
      guard next >= end, next <= counts.stringBytes else { return "the string table is out of range" }
      end = next
    }
    return nil
  }

  /// Entry `index` of the string table.
  func string(_ index: Int) -> String {
    let start = index == 0 ? 0 : Int(stringEnds[index - 1])
    return String(decoding: strings[start..<Int(stringEnds[index])], as: UTF8.self)
  }
}
