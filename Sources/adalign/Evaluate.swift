import AlignmentCore
import ArgumentParser
import JSON
import Training

/// `adalign evaluate --model DIR --data FILE …`
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Measure a model on held-out data, overall and by domain, or against another by a reward model's judgement.",
    discussion: """
      Prints one JSON object, and a table on stderr. Language models have losses, accuracies and likelihoods; reward \
      models accuracy, negative log-likelihood, calibration (pairs), AUC (labels) or correlations (scores). With \
      --against and --judge, both policies answer --prompts, and the win rate is told.
      """)

  @Option(help: "Hugging Face model directory.")
  var model: String

  @Option(help: "Directory of a PEFT adapter of the model, which without it is the reference.")
  var adapter: String?

  @Option(help: "Directory of the reference policy.")
  var reference: String?

  @Option(help: "JSONL rows: pairs, labelled completions, or completions with scores; plain, .gz or .zst.")
  var data: String?

  @Option(help: "Objective of a language model; dpo for pairs where there is a reference, else sft.")
  var objective: String?

  @Option(help: "Where the JSON object appears, instead of on stdout.")
  var output: String?

  @Option(help: "JSONL rows with prompt, for --samples and --against.")
  var prompts: String?

  @Option(help: "Where one sample of each prompt appears.")
  var samples: String?

  @Option(help: "Model directory of another policy that answers the prompts.")
  var against: String?

  @Option(help: "Directory of the reward model that judges the answers.")
  var judge: String?

  @Option(help: "Answers of each policy to each prompt.")
  var answers = 1

  @Option(help: "Most tokens of a sample.")
  var maxNewTokens = 256

  @OptionGroup var sampling: SamplingOptions
  @OptionGroup var scoring: ScoringOptions

  @Argument(help: "Options of the objective as key=value.")
  var settings: [String] = []

  func run() throws {
    let communicator = try Session.begin()
    try check()
    var evaluation = ModelEvaluation(model: model)
    evaluation.adapter = adapter
    evaluation.reference = reference
    evaluation.data = data.map {
      var data = HeldOutData(file: $0)
      (data.objective, data.settings) = (objective, settings)
      (data.boundary, data.maxLength) = (scoring.boundary, scoring.maxLength)
      return data
    }
    evaluation.samples = try sampleFile()
    evaluation.comparison = try comparison()
    evaluation.output = output
    evaluation.unitTokens = scoring.unitTokens
    evaluation.threads = scoring.threads
    let report = try evaluation.run(over: communicator)
    if communicator.rank == 0 {
      StandardError.write(report.table)
      if output == nil { print(String(decoding: report.json.serialized(), as: UTF8.self)) }
    }
    Session.end(0)
  }

  private func check() throws {
    try scoring.check()
    guard data != nil || prompts != nil else {
      throw Fault(
        .usage, "there is nothing to evaluate with", hint: "give --data, or --prompts with --samples or --against")
    }
    guard data != nil || (objective == nil && settings.isEmpty) else {
      throw Fault(.usage, "an objective needs --data", hint: "name a file of held-out rows")
    }
    guard (against == nil) == (judge == nil) else {
      throw Fault(.usage, "--against and --judge belong together", hint: "give another policy and a reward model")
    }
    guard (prompts == nil) == (samples == nil && against == nil) else {
      throw Fault(
        .usage, "--prompts is for --samples and --against, and they need it", hint: "give --prompts and one of them")
    }
  }

  private func sampleFile() throws -> SampleFile? {
    guard let prompts, let samples else { return nil }
    let settings = try sampling.settings(maxNewTokens: maxNewTokens, samples: 1)
    var file = SampleFile(model: model, prompts: prompts, output: samples, settings: settings)
    file.adapter = adapter
    file.stopStrings = sampling.stop
    file.limits.sequences = sampling.unitSequences
    file.threads = scoring.threads
    return file
  }

  private func comparison() throws -> PolicyComparison.Settings? {
    guard let prompts, let against, let judge else { return nil }
    var settings = PolicyComparison.Settings(
      opponent: against, judge: judge, prompts: prompts,
      sampling: try sampling.settings(maxNewTokens: maxNewTokens, samples: answers, countOption: "answers"))
    settings.stopStrings = sampling.stop
    settings.limits.sequences = sampling.unitSequences
    return settings
  }
}
