import Adaptation
import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import Logging
import PreferenceData
import Reports

/// The work of `adalign weigh`: data and models become data with weights, and a report.
package struct Weighing {
  /// Names of the files in the directory that appears.
  package static let dataFile = "data.jsonl"
  package static let weightsFile = "weights.jsonl"
  package static let samplesFile = "samples.jsonl"
  package static let reportFile = "report.json"
  package static let pageFile = "report.html"

  package let settings: WeighingSettings
  package let data: [String]
  /// The policy that the weights lead to.
  package let model: ModelOrigin
  /// Directory of an adapter of the policy.
  package var adapter: String?
  package var encoding = ResponseEncoding()
  package var unitTokens = 2048
  package var threads = 1
  /// Directory of tokenised data.
  package var cache = CacheDirectory.byDefault

  package init(_ settings: WeighingSettings, data: [String], model: ModelOrigin) {
    self.settings = settings
    self.data = data
    self.model = model
  }

  /// Computes on all ranks; rank 0 makes the weights and writes the directory, which appears when it is complete.
  ///
  /// - Throws: ``Fault``, also for weights that a gate refuses where the fallback is `error`.
  package func write(to directory: String, over communicator: any Communicator) throws {
    try communicator.doOnRankZero { try ModelExport.checkTarget(directory) }
    BLAS.threads = threads
    let policy = try ModelSource(model, adapter: adapter).agreed(over: communicator)
    guard policy.head != .score else {
      throw Fault(
        .usage, "the model is a reward model, and weights lead to a policy", at: "--model",
        hint: "name the …ForCausalLM model whose responses shall be like the data's")
    }
    let rows = try WeighedRows(data)
    try PreparedData.agree(at: data.joined(separator: ", "), over: communicator) { rows.digest }
    let collector = EvidenceCollector(
      settings: settings, encoding: encoding, policy: policy, rows: rows, unitTokens: unitTokens, cache: cache,
      communicator: communicator)
    let collection = try collector.collect()
    try communicator.doOnRankZeroAtLength {
      let estimate = try settings.estimator.estimate(collection.evidence)
      let fit = try WeightPipeline(settings.weights).fit(estimate, collection.evidence, examples: rows.examples)
      fit.report.announce()
      let result = WeighingResult(
        rows: rows, collection: collection, estimate: estimate, fit: fit,
        fingerprint: fingerprint(policy, rows, collection), drewSamples: settings.samples == nil)
      try result.write(to: directory)
    }
  }

  private func fingerprint(
    _ policy: ModelSource, _ rows: WeighedRows, _ collection: EvidenceCollector.Collection
  ) -> WeightFingerprint {
    let reading = [
      ("boundary", encoding.boundary.rawValue), ("max_length", encoding.maxLength.map(String.init) ?? ""),
      ("unit_tokens", String(unitTokens)),
    ]
    var fingerprint = WeightFingerprint(
      rows: rows.examples.count, data: rows.digest, model: policy.digest, estimator: settings.estimatorName,
      settings: (settings.description + reading).map { WeightFingerprint.Setting(key: $0.0, value: $0.1) })
    fingerprint.sourceModels = collection.sourceModels
    fingerprint.rewardModel = collection.rewardModel
    fingerprint.samples = collection.samples?.digest
    fingerprint.stored = collection.stored
    return fingerprint
  }
}

/// What weighing came to, for its files.
struct WeighingResult {
  let rows: WeighedRows
  let collection: EvidenceCollector.Collection
  let estimate: DensityEstimate
  let fit: WeightFit
  let fingerprint: WeightFingerprint
  /// Whether the samples are of this weighing.
  let drewSamples: Bool

  func write(to directory: String) throws {
    let staging = "\(FileSystem.parent(of: directory))/\(FileSystem.name(of: directory)).tmp"
    try FileSystem.removeTree(staging)
    try FileSystem.makeDirectory(staging)
    try rows.write(weights: fit.weights, to: "\(staging)/\(Weighing.dataFile)")
    try WeightFile.write(weightRows, fingerprint, to: "\(staging)/\(Weighing.weightsFile)")
    if drewSamples, let samples = collection.samples {
      try AtomicFile.write("\(staging)/\(Weighing.samplesFile)", samples.lines.flatMap { $0 })
    }
    let report = JSONValue.object(json).serialized(pretty: true) + [UInt8(ascii: "\n")]
    try AtomicFile.write("\(staging)/\(Weighing.reportFile)", report)
    try AtomicFile.write("\(staging)/\(Weighing.pageFile)", Array(page.html().utf8))
    try FileSystem.syncDirectory(staging)
    try FileSystem.move(staging, to: directory)
    try FileSystem.syncDirectory(FileSystem.parent(of: directory))
  }

  private var weightRows: [WeightFile.Row] {
    rows.examples.indices.map { row in
      WeightFile.Row(
        logRatios: rows.examples[row].map { estimate.logRatios[$0] }, logWeight: fit.logWeights[row],
        weight: fit.weights[row])
    }
  }
}
