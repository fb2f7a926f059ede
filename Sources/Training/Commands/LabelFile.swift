import Adaptation
import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import PreferenceData

/// The work of `adalign label`: a file of candidates becomes a file of labelled examples.
package struct LabelFile {
  /// What becomes of the candidates.
  package enum Output: String, CaseIterable, Sendable {
    /// Rows of `chosen` and `rejected`.
    case pairs
    /// Rows of `completion` and `label`.
    case responses
  }

  /// Rows `{prompt, completions}`, as rounds and other programs write them.
  package let candidates: String
  package let output: String
  /// Where statistics go as JSON; nil leaves them out.
  package var statistics: String?
  package var form = Output.pairs
  package var threads = 1
  private let settings: LabelSettings
  private let threshold: DesirabilityThreshold
  private let seed: UInt64

  /// - Parameters:
  ///   - overrides: settings of a recipe's `label` section, as `key.path=value`, and `seed` and `threshold`.
  package init(candidates: String, output: String, overrides: [String]) throws {
    self.candidates = candidates
    self.output = output
    var root = RecipeNode.table([:])
    try root.apply(overrides: overrides)
    let recipe = try RecipeSection(root, into: ResolvedSettings())
    seed = UInt64(try recipe.integer("seed", default: 0, in: 0...Int.max))
    threshold = try DesirabilityThreshold(recipe.string("threshold", default: "prompt_mean"))
    settings = try LabelSettings(recipe)
  }

  /// Labels on all ranks; rank 0 writes the files, which appear when they are complete.
  package func write(over communicator: any Communicator) throws {
    try PreparedData.agree(at: candidates, over: communicator) { try SHA256.digest(ofFile: candidates).hex }
    let rows = try PromptResponses.read(candidates)
    try communicator.doOnRankZero {
      for path in [output, statistics].compactMap(\.self) { try AtomicFile.check(path) }
    }
    BLAS.threads = threads
    let builder = JudgeBuilder(
      storeDirectory: FileSystem.parent(of: output), cache: CacheDirectory.byDefault, communicator: communicator)
    let labeller = try Labeller(settings, builder, seed: seed)
    let groups = rows.enumerated().map { number, row in
      CandidateGroup(
        number: number, prompt: row.prompt,
        texts: row.responses.filter { settings.keepsUnfinished || $0.isFinished }.map(\.text))
    }
    let labelled =
      try form == .pairs ? labeller.labels(of: groups) : labeller.responseLabels(of: groups, threshold: threshold)
    try communicator.doOnRankZero {
      log.notice("labels by \(labeller.identity): \(labelled.statistics.summary)")
      guard !labelled.labels.isEmpty else {
        throw Fault(
          .data, "no label is left: \(labelled.statistics.summary)", at: candidates,
          hint: "give more responses to each prompt, or loosen the filter")
      }
      if let statistics {
        try AtomicFile.write(statistics, labelled.statistics.json.serialized(pretty: true))
      }
      try LabelledRows(labels: labelled.labels, groups: groups).write(to: output)
    }
  }
}
