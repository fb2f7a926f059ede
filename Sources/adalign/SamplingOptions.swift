import AlignmentCore
import ArgumentParser
import Training
import Transformer

/// How samples are drawn.
struct SamplingOptions: ParsableArguments {
  @Option(help: "Seed of the random numbers.")
  var seed: UInt64 = 0

  @Option(help: "Divides the logits; 0 takes the likeliest token.")
  var temperature = 1.0

  @Option(help: "Keep the likeliest tokens up to this share of the probability.")
  var topP = 1.0

  @Option(help: "Keep so many of the likeliest tokens; 0 keeps all.")
  var topK = 0

  @Option(help: "Keep tokens with at least this share of the likeliest one's probability.")
  var minP = 0.0

  @Option(help: "Makes tokens that were there before less likely where it is above 1.")
  var repetitionPenalty = 1.0

  @Option(help: "A text that ends a sample and is cut off; the option may be given several times.")
  var stop: [String] = []

  @Option(help: "Id of another token that ends a sample; the option may be given several times.")
  var stopToken: [Int32] = []

  @Option(help: "Samples that are decoded together.")
  var unitSequences = SamplingLimits().sequences

  /// - Throws: ``Fault`` that names the option that is out of range.
  func settings(maxNewTokens: Int, samples: Int, countOption: String = "samples") throws -> SamplingSettings {
    guard (1...4096).contains(unitSequences) else { throw Fault(.usage, "--unit-sequences must be from 1 to 4096") }
    guard stop.allSatisfy({ !$0.isEmpty }) else {
      throw Fault(.usage, "--stop must not be empty", hint: "leave the option out to stop at no text")
    }
    var settings = SamplingSettings(seed: seed, maxNewTokens: maxNewTokens)
    settings.samples = samples
    settings.repetitionPenalty = repetitionPenalty
    settings.temperature = temperature
    settings.topK = topK
    settings.topP = topP
    settings.minP = minP
    settings.stopTokens = Set(stopToken)
    if let (name, expectation) = settings.problem {
      let option = name == "samples" ? countOption : name.split(separator: "_").joined(separator: "-")
      throw Fault(.usage, "--\(option) must be \(expectation)")
    }
    return settings
  }
}
