import AlignmentCore
import ArgumentParser
import PreferenceData
import Training

/// `adalign score --model DIR --data FILE --output FILE`
struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write the log-probabilities of completions, one JSON object for each row, in the order of the rows.",
    discussion: """
      A reward model gives each completion a score. Several reward models, --model given more than once, are combined: \
      each completion has the combined score and the scores of all.
      """)

  /// How scores are combined.
  enum Combination: String, ExpressibleByArgument, CaseIterable {
    case mean
    case minimum
    case lowerBound = "lower_bound"
  }

  @Option(name: .customLong("model"), help: "Hugging Face model directory; several for an ensemble of reward models.")
  var models: [String]

  @Option(help: "Directory of a PEFT adapter of the model.")
  var adapter: String?

  @Option(help: "JSONL rows with prompt and chosen, rejected or completion; plain, .gz or .zst.")
  var data: String

  @Option(help: "Where the results appear when they are complete.")
  var output: String

  @Option(help: "How several scores become one: mean (the default), minimum, or lower_bound, which is mean − λ·std.")
  var combine: Combination?

  @Option(help: "λ of lower_bound; 1 if it is not given.")
  var lambda: Double?

  @Flag(help: "Also write the log-probability of each token.")
  var perToken = false

  @OptionGroup var scoring: ScoringOptions

  func run() throws {
    let communicator = try Session.begin()
    try scoring.check()
    var file = ScoreFile(models: models, data: data, output: output)
    file.adapter = adapter
    file.combination = try combination()
    (file.boundary, file.maxLength) = (scoring.boundary, scoring.maxLength)
    file.perToken = perToken
    file.unitTokens = scoring.unitTokens
    file.threads = scoring.threads
    try Session.tellPlacement(threads: scoring.threads, over: communicator)
    try file.write(over: communicator)
    Session.end(0)
  }

  private func combination() throws -> ScoreCombination {
    guard models.count > 1 || combine == nil else {
      throw Fault(.usage, "--combine needs several models", hint: "give --model more than once")
    }
    guard lambda == nil || combine == .lowerBound else {
      throw Fault(.usage, "--lambda belongs to --combine lower_bound", hint: "give both or none")
    }
    switch combine ?? .mean {
    case .mean: return .mean
    case .minimum: return .minimum
    case .lowerBound:
      let lambda = lambda ?? 1
      guard lambda >= 0, lambda.isFinite else {
        throw Fault(.usage, "--lambda must be a finite number that is not negative")
      }
      return .lowerBound(lambda: lambda)
    }
  }
}

/// How models read data.
struct ScoringOptions: ParsableArguments {
  @Option(help: "How prompt and completion meet: joined (as one text) or separate.")
  var boundary: EncodingOptions.Boundary = .joined

  @Option(help: "Longest prompt and completion in tokens, to which longer ones are cut; without it they are refused.")
  var maxLength: Int?

  @Option(help: "Most tokens that are computed together.")
  var unitTokens = 2048

  @Option(help: "BLAS threads per rank.")
  var threads = 1

  func check() throws {
    guard (1...1 << 24).contains(unitTokens) else { throw Fault(.usage, "--unit-tokens must be from 1 to \(1 << 24)") }
    guard maxLength.map({ (2...1 << 24).contains($0) }) ?? true else {
      throw Fault(.usage, "--max-length must be from 2 to \(1 << 24)")
    }
    guard (1...1024).contains(threads) else { throw Fault(.usage, "--threads must be from 1 to 1024") }
  }
}

extension EncodingOptions.Boundary: ExpressibleByArgument {}
