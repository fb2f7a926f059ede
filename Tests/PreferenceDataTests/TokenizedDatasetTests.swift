import AlignmentCore
import Checkpoints
import Glibc
import JSON
import PreferenceData
import Testing

@Suite struct TokenizedDatasetTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  static let rows = """
    {"prompt":"Q1:","chosen":" yes","rejected":" no","weight":0.5,"q":0.9,"margin":2,"domain":"a","generator":"g1"}
    {"prompt":"Q2:","completion":" ok","source_logp":-7.25,"domain":"b"}

    {"prompt":"Q3:","completion":" bad","label":false}
    {"chosen":"Q4: good","rejected":"Q4: worse","domain":"a","generator":"g2"}
    """

  private func options(_ adjust: (inout EncodingOptions) -> Void = { $0.selection = .all }) -> EncodingOptions {
    var options = EncodingOptions(contextLength: 1_000, endOfSequence: ByteEncoder.eos)
    adjust(&options)
    return options
  }

  private func prepare(
    _ files: [String], _ options: EncodingOptions? = nil, encoderDigest: String = "bytes"
  ) throws -> (dataset: TokenizedDataset, report: DataReport) {
    try TokenizedDataset.prepare(
      files: files, encoder: ByteEncoder(), encoderDigest: encoderDigest, options: options ?? self.options(),
      cacheDirectory: directory("cache"))
  }

  @Test func weightsBesideTheRowsMultiplyTheirOwn() throws {
    let file = try directory.write("f.jsonl", Self.rows)
    let weighted = { (values: [Double]) in
      try TokenizedDataset.prepare(
        files: [file], encoder: ByteEncoder(), encoderDigest: "bytes", options: self.options(),
        weights: RowWeights(digest: "\(values)") { values }, cacheDirectory: self.directory("cache")
      ).dataset
    }
    let (plain, _) = try prepare([file])
    let heavy = try weighted([3, 0, 0.5, 1])
    #expect((0..<4).map { heavy.example($0).weight } == [1.5, 0, 0.5, 1])
    #expect(heavy.digest != plain.digest)
    // As if there were none: also in the digest of the examples, by which runs are continued.
    let equal = try weighted([1, 1, 1, 1])
    #expect(equal.digest == plain.digest && equal.key != plain.key)
    // What is prepared already is not made of other weights.
    #expect(try (0..<4).map { try weighted([2, 2, 2, 2]).example($0).weight } == [1, 2, 2, 2])
  }

  @Test(arguments: [[1.0, 1, 1], [1, 1, 1, 1, 1]])
  func asManyWeightsAsRowsAreNeeded(values: [Double]) throws {
    let file = try directory.write("f.jsonl", Self.rows)
    fault(.data, containing: "\(values.count) weights for 4 rows", "f.jsonl") {
      _ = try TokenizedDataset.prepare(
        files: [file], encoder: ByteEncoder(), encoderDigest: "bytes", options: options(),
        weights: RowWeights(digest: "\(values)") { values }, cacheDirectory: directory("cache"))
    }
  }

  private func cacheFile() throws -> String {
    let names = try FileSystem.list(directory("cache"))
    try #require(names.count == 1)
    return directory("cache/\(names[0])")
  }

  @Test func everythingComesBack() throws {
    let (dataset, report) = try prepare([directory.write("f.jsonl", Self.rows)])
    #expect(dataset.count == 4 && dataset.totalCompletions == 6 && report.rows == 4 && report.examples == 4)
    #expect(dataset.domains == ["a", "b"] && dataset.generators == ["g1", "g2"])
    let first = dataset.example(0)
    #expect(first.weight == 0.5 && first.q == 0.9 && first.margin == 2 && first.domain == 0 && first.generator == 0)
    #expect(Array(dataset.promptTokens(of: first)) == [256] + ByteEncoder.ids("Q1:"))
    let chosen = dataset.completion(0, of: first)
    #expect(Array(dataset.tokens(chosen.tokenRange)) == ByteEncoder.ids(" yes") + [257])
    #expect(chosen.role == .chosen && chosen.sourceLogp == nil)
    #expect(dataset.completion(1, of: first).role == .rejected && dataset.completionLength(0, 1) == 4)
    let second = dataset.example(1)
    #expect(second.completionCount == 1 && dataset.completion(0, of: second).sourceLogp == -7.25)
    #expect(second.generator == -1 && second.domain == 1 && second.rowIndex == 1)
    #expect(dataset.completion(0, of: dataset.example(2)).role == .undesirable)
    #expect(dataset.example(3).rowIndex == 3 && dataset.example(3).domain == 0)
    #expect(Array(dataset.promptTokens(of: dataset.example(3))) == [256] + ByteEncoder.ids("Q4:"))
  }

  @Test func totalsAndMaxima() throws {
    let (dataset, report) = try prepare([directory.write("f.jsonl", Self.rows)])
    let records = (0..<dataset.count).map(dataset.example)
    #expect(records.map(\.tokenCount).reduce(0, +) == dataset.totalTokens && report.tokens == dataset.totalTokens)
    #expect(records.map(\.tokenCount).max() == dataset.maximumGroupTokens)
    let longest = records.flatMap { r in
      (0..<r.completionCount).map { r.promptLength + dataset.completion($0, of: r).length }
    }
    #expect(longest.max() == dataset.maximumSequenceTokens)
    #expect(dataset.maximumToken == 257)
    for (record, next) in zip(records, records.dropFirst()) {
      #expect(record.firstToken + record.tokenCount == next.firstToken)
      #expect(dataset.completion(0, of: record).firstToken == record.firstToken + record.promptLength)
    }
  }

  @Test func selections() throws {
    let path = try directory.write("f.jsonl", Self.rows)
    let (preferred, report) = try prepare([path], options { $0.selection = .preferred })
    #expect((0..<preferred.count).map { preferred.example($0).rowIndex } == [0, 1, 3])
    #expect((0..<3).map { preferred.completion(0, of: preferred.example($0)).role } == [.chosen, .desirable, .chosen])
    #expect(report.dropped == ["undesirable": 1] && report.examples == 3 && report.rows == 4)
    fault(.data, containing: "\(path):2", "needs pairs") { _ = try prepare([path], options { $0.selection = .pairs }) }
    let (pairs, skipped) = try prepare(
      [path],
      options {
        $0.selection = .pairs
        $0.onError = .skip
      })
    #expect(
      pairs.count == 2 && skipped.skipped == 2 && skipped.skippedRows.map(\.location) == ["\(path):2", "\(path):4"])
  }

  @Test func severalFilesAreOneDataset() throws {
    let one = try directory.write("1.jsonl", Self.rows)
    let two = try directory.write("2.jsonl.gz", gzip(Array(Self.rows.utf8)))
    let (dataset, _) = try prepare([one, two])
    #expect((0..<dataset.count).map { dataset.example($0).rowIndex } == Array(0..<8))
    #expect(dataset.domains == ["a", "b"])
  }

  @Test func badRowsFailOrAreSkipped() throws {
    let good = "{\"prompt\":\"p\",\"completion\":\"c\"}\n"
    let bad = (0..<30).map { _ in "{\"prompt\":\"p\",\"completion\":\"\"}\n" }.joined()
    let path = try directory.write(
      "f.jsonl", Array((good + bad).utf8) + [0xff, 0x0a] + Array(("nonsense\n" + good).utf8))
    fault(.data, containing: "\(path):2", "'completion' is empty") { _ = try prepare([path]) }
    #expect(try FileSystem.list(directory("cache")).isEmpty)
    let skipping = options {
      $0.selection = .all
      $0.onError = .skip
    }
    let (dataset, report) = try prepare([path], skipping)
    #expect(dataset.count == 2 && report.rows == 34 && report.skipped == 32)
    #expect(report.skippedRows.count == 20 && report.skippedRows[0].location == "\(path):2")
    #expect(dataset.example(1).rowIndex == 33)
    #expect(report.summary.contains("34 rows, 2 examples") && report.summary.contains("32 bad rows skipped"))
    #expect(!report.summary.contains("\n"))
  }

  @Test func truncatedInputIsNeverSkipped() throws {
    let path = try directory.write("f.jsonl.gz", Array(gzip(Array(Self.rows.utf8)).dropLast(4)))
    let skipping = options {
      $0.selection = .all
      $0.onError = .skip
    }
    fault(.data, containing: path, "truncated") { _ = try prepare([path], skipping) }
  }

  @Test func nothingUsable() throws {
    let path = try directory.write("f.jsonl", "\n")
    fault(.data, containing: path, "no usable example") { _ = try prepare([path]) }
    fault(.configuration, containing: "no data files") { _ = try prepare([]) }
    fault(.missingInput, containing: "/nonexistent") { _ = try prepare(["/nonexistent"]) }
    fault(.configuration, containing: "max_length") { _ = try prepare([path], options { $0.maxLength = 1 }) }
  }

  @Test func countsOfCutsAndFallbacks() throws {
    let path = try directory.write(
      "f.jsonl",
      """
      {"prompt":"0123456789","chosen":"abcdefghij","rejected":"k"}
      {"prompt":"Q:","chosen":":x","rejected":"y"}
      {"chosen":"same","rejected":"same"}
      """)
    let (dataset, report) = try prepare([path], options { $0.maxLength = 10 })
    #expect(
      report.promptsCut == 1 && report.completionsCut == 1 && report.boundaryFallbacks == 1 && report.prefixPairs == 1)
    #expect(dataset.maximumSequenceTokens == 10)
    #expect(try prepare([path], options { $0.maxLength = 10 }).report == report)
  }

  @Test func theCacheIsUsedAndKeyed() throws {
    let path = try directory.write("f.jsonl", Self.rows)
    let first = try prepare([path])
    let file = try cacheFile()
    var before = stat()
    stat(file, &before)
    let second = try prepare([path])
    var after = stat()
    stat(file, &after)
    #expect(
      before.st_ino == after.st_ino && first.report == second.report && first.dataset.digest == second.dataset.digest)
    _ = try prepare([path], encoderDigest: "other")
    _ = try prepare([path], options { $0.selection = .preferred })
    _ = try prepare([directory.write("f.jsonl", Self.rows + "\n\n")])
    #expect(try FileSystem.list(directory("cache")).count == 4)
  }

  @Test func theDigestDependsOnTheExamplesOnly() throws {
    let plain = try prepare([directory.write("f.jsonl", Self.rows)])
    let packed = try prepare([directory.write("g.gz", gzip(Array(Self.rows.utf8)))])
    #expect(plain.dataset.digest == packed.dataset.digest && plain.dataset.digest.count == 64)
    let reweighed = Self.rows.utf8.map { $0 == UInt8(ascii: "5") ? UInt8(ascii: "6") : $0 }
    #expect(try prepare([directory.write("h", reweighed)]).dataset.digest != plain.dataset.digest)
  }

  @Test func aDamagedCacheIsMadeAgain() throws {
    let path = try directory.write("f.jsonl", Self.rows)
    let digest = try prepare([path]).dataset.digest
    let file = try cacheFile()
    let original = try FileSystem.readWhole(file)
    for damage in [Array(original.dropLast()), [], original + [0], [UInt8](repeating: 0, count: original.count)] {
      try directory.write("cache/\(FileSystem.name(of: file))", damage)
      #expect(try prepare([path]).dataset.digest == digest)
      #expect(try FileSystem.readWhole(file) == original)
    }
  }

  @Test func everyFlippedByteIsFound() throws {
    _ = try prepare([directory.write("f.jsonl", Self.rows)])
    let original = try FileSystem.readWhole(cacheFile())
    for index in original.indices {
      var bytes = original
      bytes[index] ^= UInt8(1 << (index % 8))
      let path = try directory.write("flipped", bytes)
      fault(.data, containing: path) { _ = try TokenizedDataset(path: path) }
    }
    for count in stride(from: 0, to: original.count, by: 61) {
      let path = try directory.write("cut", Array(original.prefix(count)))
      fault(.data, containing: path) { _ = try TokenizedDataset(path: path) }
    }
  }

  // Garbage with digests that fit: whatever opens can be read without a trap.
  @Test func sealedGarbageNeverCrashes() throws {
    _ = try prepare([directory.write("f.jsonl", Self.rows)])
    let original = try FileSystem.readWhole(cacheFile())
    let report = try #require(original.indices.last { original[$0...].starts(with: Array("{\"key\"".utf8)) })
    #expect(Self.sealed(original, report) == original)
    var generator = TestGenerator(state: 5)
    var opened = 0
    for round in 0..<8_000 {
      var bytes = original
      // Half of the rounds in the counts, where a wrong number does most.
      let range = round % 2 == 0 ? 128..<200 : 256..<report
      let position = range.lowerBound + generator.next(below: range.count)
      bytes[position] = UInt8(generator.next(below: 4) == 0 ? 255 : generator.next(below: 256))
      opened += try isReadable(Self.sealed(bytes, report)) ? 1 : 0
    }
    #expect(opened > 1_000 && opened < 7_000)
  }

  private func isReadable(_ bytes: [UInt8]) throws -> Bool {
    do {
      Self.readAll(try TokenizedDataset(path: directory.write("garbage", bytes)))
      return true
    } catch let fault as Fault {
      #expect(fault.kind == .data)
      return false
    }
  }

  private static func sealed(_ bytes: [UInt8], _ report: Int) -> [UInt8] {
    let content = SHA256.digest(of: Array(bytes[256..<report] + bytes[128..<256]))
    return bytes[..<16] + content.bytes + SHA256.digest(of: Array(bytes[report...])).bytes + bytes[80...]
  }

  private static func readAll(_ dataset: TokenizedDataset) {
    var sum = 0
    for index in 0..<dataset.count {
      let record = dataset.example(index)
      sum += dataset.promptTokens(of: record).count
      for k in 0..<record.completionCount { sum += dataset.tokens(dataset.completion(k, of: record).tokenRange).count }
      if record.domain >= 0 { sum += 0 * dataset.domains[record.domain].utf8.count }
    }
    #expect(sum == dataset.totalTokens)
  }

  @Test func manyExamplesInManyPieces() throws {
    let rows = (0..<3_000).map {
      "{\"prompt\":\"\(String(repeating: "p", count: 300 + $0 % 500))\",\"chosen\":\"c\($0)\",\"rejected\":\"r\"}\n"
    }
    let (dataset, report) = try prepare([directory.write("f.jsonl.zst", zstandard(Array(rows.joined().utf8)))])
    #expect(dataset.count == 3_000 && dataset.totalTokens > 1 << 20 && report.completions == 6_000)
    for index in stride(from: 0, to: 3_000, by: 7) {
      let chosen = dataset.completion(0, of: dataset.example(index))
      #expect(Array(dataset.tokens(chosen.tokenRange)) == ByteEncoder.ids("c\(index)") + [257])
    }
  }

  @Test func reportSurvivesItsJSON() throws {
    var report = DataReport()
    report.rows = 5
    report.dropped = ["undesirable": 2, "other": 1]
    report.skippedRows = [.init(location: "é:1", message: "\"x\"")]
    let bytes = report.json.serialized()
    #expect(try DataReport(json: JSONValue.parse(bytes)) == report)
    #expect(DataReport(json: .null) == nil)
  }
}
