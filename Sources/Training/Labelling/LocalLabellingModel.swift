import AlignmentCore
import Collectives
import Judges
import Logging
import PreferenceData
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// A model directory as a judge: what it says is read from the log-probabilities of the possible verdicts, by all ranks.
final class LocalLabellingModel: LabellingModel {
  let identity: String
  private let source: ModelSource
  private let cache: String
  private let unitTokens: Int
  private let communicator: any Communicator

  init(_ directory: String, cache: String, unitTokens: Int = 2048, over communicator: any Communicator) throws {
    source = try ModelSource(.directory(directory)).agreed(over: communicator)
    try source.requireLanguageModel(directory, for: "judging")
    identity = "model \(source.digest)"
    self.cache = cache
    self.unitTokens = unitTokens
    self.communicator = communicator
  }

  /// The probability of each option behind its prompt: softmax of the log-probabilities of the options' tokens, the end
  /// of the sequence left out.
  ///
  /// A prompt that exceeds the context gets no answer: without its beginning it would be another question.
  ///
  /// - Throws: ``Fault`` where no prompt fits.
  func answers(to prompts: [JudgePrompt]) throws -> [JudgeAnswer] {
    guard !prompts.isEmpty else { return [] }
    let examples = try TransientDataset.encode(prompts.map(Self.row), source: source)
    let fitting = examples.indices.filter { !examples[$0].promptIsCut }
    try checkRoom(fitting.count, of: prompts.count)
    let dataset = try TransientDataset.open(fitting.map { examples[$0] }, cache: cache, over: communicator)
    let tokens = try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator)
      .tokenLogProbabilities()
    var answers = prompts.map { _ in JudgeAnswer(probabilities: nil, absence: .unanswered) }
    for (place, index) in fitting.enumerated() {
      let record = dataset.example(place)
      let options = (0..<record.completionCount).map { offset in
        tokens[record.firstCompletion + offset].dropLast().reduce(0, +)
      }
      answers[index] = JudgeAnswer(probabilities: Self.softmax(options))
    }
    return answers
  }

  private static func row(_ prompt: JudgePrompt) -> TransientDataset.Row {
    let instructions = prompt.system.isEmpty ? "" : prompt.system + "\n\n"
    return (instructions + prompt.user, prompt.options)
  }

  private func checkRoom(_ fitting: Int, of count: Int) throws {
    let context = source.configuration.contextLength
    guard fitting > 0 else {
      throw Fault(
        .data, "no question to the judge fits into its context of \(context) tokens", at: identity,
        hint: "name a judge with a longer context, or shorten the question with judge.template_file")
    }
    guard fitting < count, communicator.rank == 0 else { return }
    log.warning(
      "\(count - fitting) of \(count) questions do not fit into the judge's context of \(context) tokens and get no answer"
    )
  }

  private static func softmax(_ values: [Double]) -> [Double] {
    let largest = values.max() ?? 0
    let exponentials = values.map { exp($0 - largest) }
    let sum = exponentials.reduce(0, +)
    return exponentials.map { $0 / sum }
  }
}
