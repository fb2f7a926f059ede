import Adaptation
import AlignmentCore
import Checkpoints
import Collectives
import Foundation
import JSON
import PreferenceData
import Testing
import Training
import Transformer

/// `adalign weigh` as a function, over ranks that are threads.
@Suite struct WeighingTests {
  private let directory: TemporaryDirectory
  private let policy: String
  private let writers: [String]
  private let judge: String
  private let data: [String]

  init() throws {
    let directory = try TemporaryDirectory()
    self.directory = directory
    setenv("ADALIGN_CACHE", NSTemporaryDirectory() + "adalign-training-cache-\(getpid())", 1)
    policy = try Self.model(directory, "policy", seed: 1, .languageModel)
    writers = try (2...3).map { try Self.model(directory, "writer-\($0)", seed: $0, .languageModel) }
    judge = try Self.model(directory, "judge", seed: 4, .score)
    data = [
      try directory.write("pairs.jsonl", Self.pairs.map { $0 + "\n" }.joined()),
      try directory.write("others.jsonl", Self.others.map { $0 + "\n" }.joined()),
    ]
  }

  private static func model(
    _ directory: TemporaryDirectory, _ name: String, seed: Int, _ head: ModelHead
  ) throws -> String {
    let origin = try configuration([
      "model={initialize: {hidden_size: 16, intermediate_size: 24, layers: 1, heads: 2, context: 96, seed: \(seed)}}"
    ]).model
    let source = try ModelSource(origin)
    let layout = ParameterLayout(source.configuration, head: head)
    let parameters = try FloatBuffer(count: layout.count, purpose: "test")
    try source.loadParameters(layout, into: parameters.view)
    // Larger than new weights, for outputs that differ.
    for tensor in layout.tensors where tensor.isMatrix {
      for i in tensor.range { parameters.view.base[i] *= 6 }
    }
    let path = "\(directory.path)/\(name)"
    try ModelExport(source: source, layout: layout, head: head).write(parameters.view, to: path)
    return path
  }

  /// Pairs, of which three share each prompt.
  private static let pairs = (0..<18).map { n in
    #"{"prompt": "Say \#(n / 3):", "chosen": " \#(n) and\n\#(n * n)", "rejected": " no \#(n % 4)", "n": \#(n).50, "#
      + #""weight": \#(n % 3 + 1)\#(n == 4 ? #", "domain": "far""# : "")}"#
  }

  /// Rows of other kinds.
  private static let others = (0..<6).map { n in
    n % 2 == 0
      ? #"{"prompt": "Tell \#(n)", "completion": " \#(n) of \#(n)", "label": \#(n % 4 == 0)}"#
      : #"{"prompt": "Tell \#(n)", "completions": [" a\#(n)", " b", " \#(n)c"]}"#
  }

  private var sourceSettings: KeyValuePairs<String, [String]> { ["source_models": [writers[0]]] }

  private func weighing(
    _ settings: [String], _ given: KeyValuePairs<String, [String]> = [:], data: [String]? = nil, model: String? = nil
  ) throws -> Weighing {
    var weighing = Weighing(
      try WeighingSettings(overrides: settings + ["max_new_tokens=12", "components=6"], given: given),
      data: data ?? self.data, model: .directory(model ?? policy))
    weighing.unitTokens = 64
    weighing.cache = "\(directory.path)/cache"
    return weighing
  }

  /// Every file of the directory that weighing makes.
  private func files(_ weighing: Weighing, _ name: String = "out", ranks: Int = 1) throws -> [String: [UInt8]] {
    let output = "\(directory.path)/\(name)"
    try FileSystem.removeTree(output)
    _ = try LocalCommunicator.run(ranks: ranks) { try weighing.write(to: output, over: $0) }
    let names = try FileSystem.list(output)
    return try names.reduce(into: [:]) { $0[$1] = try FileSystem.readWhole("\(output)/\($1)") }
  }

  private func rows(_ name: String = "out") throws -> [WeightFile.Row] {
    try WeightFile(path: "\(directory.path)/\(name)/weights.jsonl").rows()
  }

  private func report(_ name: String = "out") throws -> JSONValue {
    try JSONValue.parse(FileSystem.readWhole("\(directory.path)/\(name)/report.json"))
  }

  /// What `adalign score` says of each completion of the data files, by rows.
  private func outputs(_ model: String, _ key: ByteString) throws -> [[Double]] {
    try data.flatMap { file in
      let output = "\(directory.path)/scores.jsonl"
      var score = ScoreFile(models: [model], data: file, output: output)
      score.unitTokens = 64
      try score.write(over: LocalCommunicator())
      return try lines(output).map { row in
        try #require(row["completions"]?.arrayValue).map { try #require($0[key]?.doubleValue) }
      }
    }
  }

  private func lines(_ path: String) throws -> [JSONValue] {
    try FileSystem.readWhole(path).split(separator: UInt8(ascii: "\n")).map { try JSONValue.parse(Array($0)) }
  }

  // Units of another file at a time, whose products have other shapes: sums of a dozen Float32 log-probabilities.
  static let tolerance = 2e-5

  // MARK: Estimators

  static let estimators = DensityRegistry.names.filter { $0 != CachedEstimator.name }

  /// What estimators are given; all that any of them wants.
  private var everything: KeyValuePairs<String, [String]> { ["source_models": writers, "reward_model": [judge]] }

  @Test("all files are the same on any number of ranks", arguments: estimators)
  func sameBits(estimator: String) throws {
    let weighing = try weighing(["estimator=\(estimator)", "policy_ratio=yes"], everything)
    let alone = try files(weighing)
    #expect(Set(alone.keys).isSuperset(of: ["data.jsonl", "weights.jsonl", "report.json", "report.html"]))
    for ranks in 2...4 { #expect(try files(weighing, "on-\(ranks)", ranks: ranks) == alone, "\(ranks) ranks") }
    let weights = try rows().map(\.weight)
    #expect(weights.count == 24 && abs(weights.reduce(0, +) - 24) < 1e-12)
  }

  @Test func importanceIsTheRatioOfPolicyAndWriter() throws {
    _ = try files(weighing(["estimator=importance", "flatten=none", "fallback=uniform"], sourceSettings))
    let (target, source) = (try outputs(policy, "logp"), try outputs(writers[0], "logp"))
    for (index, row) in try rows().enumerated() {
      let expected = zip(target[index], source[index]).map { $0 - $1 }
      #expect(row.logRatios.count == expected.count)
      #expect(zip(row.logRatios, expected).allSatisfy { abs($0 - $1) < Self.tolerance })
      #expect(abs(row.logWeight - expected.reduce(0, +)) < 3 * Self.tolerance)
    }
  }

  @Test func severalWritersAreAMixture() throws {
    _ = try files(
      weighing(["estimator=importance", "source_shares=[1, 3]"], ["source_models": writers]))
    let (target, first, second) = (
      try outputs(policy, "logp"), try outputs(writers[0], "logp"), try outputs(writers[1], "logp")
    )
    for (index, row) in try rows().enumerated() {
      for (place, ratio) in row.logRatios.enumerated() {
        let (a, b) = (first[index][place], second[index][place])
        let largest = max(a, b)
        let mixture = largest + log(0.25 * exp(a - largest) + 0.75 * exp(b - largest))
        #expect(abs(ratio - (target[index][place] - mixture)) < Self.tolerance)
      }
    }
  }

  @Test func logProbabilitiesInTheRowsStandForTheirWriter() throws {
    let source = try outputs(writers[0], "logp")
    let known = Self.pairs.enumerated().map { index, row in
      let nested = #""source_logp": {"chosen": \#(source[index][0]), "rejected": \#(source[index][1])}"#
      return row.dropLast() + ", \(nested)}\n"
    }
    let file = try directory.write("known.jsonl", known.joined())
    _ = try files(weighing(["estimator=importance"], data: [file]), "rows")
    _ = try files(weighing(["estimator=importance"], sourceSettings, data: [data[0]]), "model")
    for (row, model) in zip(try rows("rows"), try rows("model")) {
      #expect(zip(row.logRatios, model.logRatios).allSatisfy { abs($0 - $1) < Self.tolerance })
    }
    let message = fault(.data) { _ = try files(weighing(["estimator=importance"])) }
    #expect(message.contains("row 0") && message.contains("--source-model"))
    // Of a response that is cut, the log-probability of the whole says nothing.
    var cut = try weighing(["estimator=importance"], data: [file])
    cut.encoding.maxLength = 12
    #expect(fault(.data) { _ = try files(cut) }.contains("--max-length"))
  }

  @Test func theDiscriminatorSeesSamplesAndTellsHowWellItDoes() throws {
    _ = try files(weighing([]))
    let report = try report()
    // Two samples of each of twelve prompts.
    #expect(report["samples"]?["count"]?.intValue == 24 && report["samples"]?["prompts"]?.intValue == 12)
    #expect(report["weights"]?["classifier"]?["auc"]?.doubleValue ?? 0 > 0.5)
    #expect(report["weights"]?["balance"]?.arrayValue?.count == 10)
    #expect(report["weights"]?["gates"]?.arrayValue?.count == WeightGate.Name.allCases.count)
  }

  @Test func samplesThatWereDrawnCanBeGivenAgain() throws {
    let drawn = try files(weighing([]))
    let samples = "\(directory.path)/out/samples.jsonl"
    var given = try files(weighing([], ["samples": [samples]]), "given")
    given["samples.jsonl"] = drawn["samples.jsonl"]
    #expect(given == drawn)
    // In the words of `adalign sample`, a line for each row of the data, as a prompt has the same samples each time.
    let known = try lines(samples)
    let prompts = try data.flatMap { try lines($0) }.map { $0["prompt"] }
    let place = { (row: Int) in prompts.firstIndex { $0 == prompts[row] } }
    let words = try prompts.indices.filter { place($0) == $0 }.map { row -> String in
      let own = try #require(known.first { $0["prompt"] == prompts[row] })
      let (texts, finished) = (own["completions"]?.arrayValue ?? [], own["finished"]?.arrayValue ?? [])
      let samples = zip(texts, finished).map { text, finished in
        JSONValue.object(
          JSONObject([("text", text), ("finished", finished), ("logp", .double(-3)), ("logp_sampling", .double(-3))]))
      }
      let line = JSONObject([("index", .integer(Int64(row))), ("samples", .array(samples))])
      return String(decoding: JSONValue.object(line).serialized(), as: UTF8.self) + "\n"
    }
    let file = try directory.write("sampled.jsonl", words.joined())
    var sampled = try files(weighing([], ["samples": [file]]), "sampled")
    sampled["samples.jsonl"] = drawn["samples.jsonl"]
    #expect(sampled == drawn)
  }

  @Test func fewerPromptsCanBeSampled() throws {
    _ = try files(weighing(["sample_prompts=4", "samples_per_prompt=3"]))
    let report = try report()
    #expect(report["samples"]?["count"]?.intValue == 12 && report["samples"]?["prompts"]?.intValue == 4)
  }

  @Test(arguments: [
    (#"{"prompt": 3}"#, "samples.jsonl:1"), (#"{"prompt": "Say 0:"}"#, "no samples"),
    (#"{"prompt": "Say 0:", "completions": ["a"], "finished": [true, false]}"#, "finished"),
    (#"{"index": 24, "samples": [{"text": "a"}]}"#, "24 rows"), (#"{"index": 0, "samples": [{"ids": [1]}]}"#, "text"),
    ("", "no samples"),
  ])
  func badSamplesAreNamed(line: String, words: String) throws {
    let file = try directory.write("samples.jsonl", line + "\n")
    let message = fault(.data) { _ = try files(weighing([], ["samples": [file]])) }
    #expect(message.contains(words) && message.contains("samples.jsonl"), "\(message)")
  }

  // MARK: Files

  @Test func rowsStayAsTheyAreButForTheirWeights() throws {
    let made = try files(weighing(["estimator=importance", "flatten=temper", "temper=0.05"], sourceSettings))
    let weights = try rows().map(\.weight)
    #expect(Set(weights).count > 10)
    let text = try #require(made["data.jsonl"])
    let written = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    for (index, row) in (Self.pairs + Self.others).enumerated() {
      let json = try JSONValue.parse(Array(written[index].utf8))
      let old = try JSONValue.parse(Array(row.utf8))["weight"]?.doubleValue
      #expect(json["weight"]?.doubleValue == (old ?? 1) * weights[index])
      let without = { (text: String) in text.replacing(/,? ?"weight": ?[-+.e\d]+/, with: "") }
      #expect(without(written[index]) == without(row))
    }
  }

  @Test func uniformWeightsAreOneAndChangeNothing() throws {
    let made = try files(weighing(["estimator=uniform"]))
    #expect(try rows().allSatisfy { $0.weight == 1 && $0.logRatios.allSatisfy { $0 == 0 } })
    #expect(made["samples.jsonl"] == nil)
    let weights = "\(directory.path)/out/weights.jsonl"
    let plain = try trainingData(["objective.name=sft"])
    #expect(try trainingData(["objective.name=sft", "data.weights=\(weights)"]).digest == plain.digest)
  }

  /// The training data as a run sees them.
  private func trainingData(_ settings: [String], data: String? = nil) throws -> TokenizedDataset {
    let files = (data.map { [$0] } ?? self.data).joined(separator: ",")
    let configuration = try configuration(
      [
        "model=\(policy)", "data.train=[\(files)]", "cache=\(directory.path)/cache", "steps=1",
      ] + settings)
    let loss = try configuration.preferenceLoss
    let source = try ModelSource(configuration.model)
    return try RunInputs(configuration, loss, source: source, over: LocalCommunicator()).training.dataset
  }

  @Test func trainingTakesWeightsFromEitherFile() throws {
    _ = try files(weighing(["estimator=importance", "flatten=temper", "temper=0.05"], sourceSettings, data: [data[0]]))
    let out = "\(directory.path)/out"
    let beside = try trainingData(["data.weights=\(out)/weights.jsonl"], data: data[0])
    let inside = try trainingData([], data: "\(out)/data.jsonl")
    #expect(beside.digest == inside.digest)
    let own = [1.0, 2, 3]
    for (index, row) in try rows().enumerated() { #expect(beside.example(index).weight == own[index % 3] * row.weight) }
  }

  @Test func storedRatiosAreFlattenedAnew() throws {
    let importance = ["estimator=importance", "flatten=temper", "temper=0.2"]
    _ = try files(weighing(importance, sourceSettings), "direct")
    _ = try files(weighing(["estimator=importance"], sourceSettings), "first")
    let stored: KeyValuePairs = ["stored": ["\(directory.path)/first/weights.jsonl"]]
    _ = try files(weighing(["flatten=temper", "temper=0.2"], stored), "again")
    #expect(try rows("again") == rows("direct"))
    #expect(try report("again")["fingerprint"]?["estimator"]?.stringValue == "cached")
    // Of other data, or for another policy, they are stale.
    #expect(fault(.data) { _ = try files(weighing([], stored, data: [data[0]])) }.contains("other data"))
    #expect(fault(.data) { _ = try files(weighing([], stored, model: writers[0])) }.contains("another policy"))
  }

  // MARK: Staleness

  @Test func staleWeightsAreRefused() throws {
    _ = try files(weighing(["estimator=uniform"]))
    let weights = "data.weights=\(directory.path)/out/weights.jsonl"
    let sft = ["objective.name=sft", weights]
    let other = fault(.data) { _ = try trainingData(sft + ["model=\(writers[0])"]) }
    #expect(other.contains("another policy") && other.contains("weights.jsonl") && other.contains("adalign weigh"))
    // A reward model is another model than the policy, and the data are the same.
    let pairs = try files(weighing(["estimator=uniform"], data: [data[0]]), "pairs")
    #expect(!pairs.isEmpty)
    let own = "data.weights=\(directory.path)/pairs/weights.jsonl"
    _ = try trainingData(["objective.name=bradley_terry", "model=\(writers[0])", own], data: data[0])
    let fewer = fault(.data) { _ = try trainingData(["objective.name=bradley_terry", weights], data: data[0]) }
    #expect(fewer.contains("other data"))
    // A byte of the data.
    _ = try directory.write("pairs.jsonl", Self.pairs.map { $0 + "\n" }.joined().replacing("no 3", with: "no 9"))
    #expect(fault(.data) { _ = try trainingData(sft) }.contains("other data"))
    #expect(fault(.configuration) { _ = try policyOptimisation(weights) }.contains("data.weights"))
  }

  private func policyOptimisation(_ weights: String) throws {
    let prompts = try directory.write("prompts.jsonl", #"{"prompt": "Say"}"# + "\n")
    let configuration = try configuration([
      "model=\(policy)", "data.train=\(prompts)", "objective.name=grpo", "reward.name=length", weights,
    ])
    _ = try TrainingSetup(configuration, over: LocalCommunicator())
  }

  @Test func theFirstLineTellsWhatWeightsAreOf() throws {
    _ = try files(weighing(["estimator=importance"], ["source_models": writers]))
    let file = try WeightFile(path: "\(directory.path)/out/weights.jsonl").fingerprint
    #expect(file.rows == 24 && file.estimator == "importance" && file.samples == nil && file.stored == nil)
    #expect(file.data == (try WeightFingerprint.digest(ofFiles: data)))
    #expect(file.model == (try ModelSource(.directory(policy)).digest))
    #expect(file.sourceModels == (try writers.map { try ModelSource(.directory($0)).digest }))
    let settings = file.settings.reduce(into: [:]) { $0[$1.key] = $1.value }
    #expect(settings["flatten"] == "ess" && settings["form"] == "sequence" && settings["unit_tokens"] == "64")
  }

  @Test(arguments: [
    ("nothing\n", "JSON"), ("{}\n", "no file of weights"), ("", "empty"),
    (#"{"format": "adalign weights", "version": 9}"# + "\n", "another format"),
    (#"{"format": "adalign weights", "version": 1}"# + "\n", "damaged"),
  ])
  func otherFilesAreNoWeights(text: String, words: String) throws {
    let file = try directory.write("weights.jsonl", text)
    let message = fault(.data) { _ = try trainingData(["objective.name=sft", "data.weights=\(file)"]) }
    #expect(message.contains(words) && message.contains("weights.jsonl"), "\(message)")
  }

  @Test func aFileThatIsNotWholeIsRefused() throws {
    let made = try files(weighing(["estimator=uniform"]))
    let text = String(decoding: try #require(made["weights.jsonl"]), as: UTF8.self)
    let lines = text.split(separator: "\n").map { $0 + "\n" }
    let cases = [
      (lines.dropLast().joined(), "23 rows"), (text.replacing(#""index":7,"#, with: #""index":8,"#), ":9"),
      (text.replacing(#""weight":1.0}"#, with: #""weight":-1.0}"#), "no row of weights"),
    ]
    for (damaged, words) in cases {
      let file = try directory.write("damaged.jsonl", damaged)
      let message = fault(.data) { _ = try WeightFile(path: file).rows() }
      #expect(message.contains(words), "\(message)")
    }
  }

  // MARK: Settings

  @Test(arguments: [
    (["flaten=none"], "did you mean weights.flatten?"), (["estimator=disc"], "discriminator"),
    (["ess=2"], "weights.ess"),
    (["estimator=cached"], "weights.stored"), (["estimator=rso"], "weights.reward_model"),
    (["source_shares=[1, 2]"], "2 shares for 0"), (["flatten=some"], "psis"), (["ridge=x"], "weights.ridge"),
  ])
  func wrongSettingsAreNamed(settings: [String], words: String) {
    let message = fault(.configuration) { _ = try WeighingSettings(overrides: settings) }
    #expect(message.contains(words), "\(message)")
  }

  @Test func settingsHaveTheirDefaults() throws {
    let settings = try WeighingSettings()
    #expect(settings.estimatorName == "discriminator" && settings.weights == WeightSettings())
    #expect(settings.sampling.perPrompt == 2 && settings.sampling.prompts == 0 && settings.components == 32)
    #expect(settings.sampling.maxNewTokens == 128 && settings.sampling.unitSequences == 64)
    let keys = settings.description.map(\.key)
    #expect(keys.contains("ridge") && keys.contains("flatten") && Set(keys).count == keys.count)
    // Options of others are left aside, names of files are no settings.
    let many = try WeighingSettings(
      overrides: ["sigma=3", "beta=2", "samples=x"], given: ["source_models": ["a", "b"], "stored": ["c"]])
    #expect(many.estimatorName == "cached" && many.sourceModels == ["a", "b"])
    #expect(many.description.allSatisfy { !["sigma", "samples", "stored"].contains($0.key) && $0.value != "a" })
    // One α: of the relative ratio, whoever makes it.
    let relative = try WeighingSettings(overrides: ["alpha=0.3", "estimator=rulsif"])
    #expect(relative.weights.alpha == 0.3 && relative.description.contains { $0 == ("alpha", "0.3") })
    #expect(try WeighingSettings(overrides: ["estimator=rulsif"]).description.contains { $0 == ("alpha", "0.1") })
    #expect(settings.description.contains { $0 == ("alpha", "0.5") })
  }

  // MARK: Refusals

  @Test func refusedWeightsAreReplacedOrStopTheRun() throws {
    // A single row carries nearly all of the weight.
    let raw = ["estimator=importance", "flatten=none"]
    _ = try files(weighing(raw, sourceSettings))
    let report = try report()
    #expect(report["weights"]?["verdict"]?.stringValue == "refused")
    #expect(report["weights"]?["fallback"]?["kind"]?.stringValue == "uniform")
    #expect(try rows().allSatisfy { $0.weight == 1 })
    #expect(
      fault(.data) { _ = try files(weighing(raw + ["fallback=error"], sourceSettings), "none") }.contains("refused"))
    #expect(!FileSystem.exists("\(directory.path)/none"))
  }

  @Test func theReportNeedsNothingElse() throws {
    let made = try files(weighing([]))
    let page = String(decoding: try #require(made["report.html"]), as: UTF8.self)
    #expect(page.contains("<svg") && page.contains("effective_share") && page.contains("pc1"))
    for reference in ["src=", "href=", "url(", "@import", "<script", "<link"] { #expect(!page.contains(reference)) }
  }

  @Test func aDirectoryThatIsThereIsNotReplaced() throws {
    let made = try files(weighing(["estimator=uniform"]))
    let message = fault(.unwritable) {
      try weighing(["estimator=uniform"]).write(to: "\(directory.path)/out", over: LocalCommunicator())
    }
    #expect(message.contains("there already"))
    #expect(try FileSystem.list("\(directory.path)/out").count == made.count)
  }

  @Test func aRewardModelIsNoPolicy() throws {
    #expect(fault(.usage) { _ = try files(weighing([], model: judge)) }.contains("reward model"))
  }
}
