import AlignmentCore
import Collectives
import Transformer

/// Draws samples of many prompts, by all ranks; the same samples on any number of them.
///
/// Memory is allocated for the largest unit and kept, so that a pass can be used again and again while the parameters
/// change; it grows where a later call needs more.
package final class SamplingPass {
  /// Told how many of this rank's samples are done, how many there are, and how many tokens the last step drew.
  package typealias Observer = (_ done: Int, _ total: Int, _ tokens: Int) -> Void

  private let configuration: ModelConfiguration
  private let limits: SamplingLimits
  private let communicator: any Communicator
  private var sampler: Sampler?

  package init(
    _ configuration: ModelConfiguration, limits: SamplingLimits = SamplingLimits(), over communicator: any Communicator
  ) {
    self.configuration = configuration
    self.limits = limits
    self.communicator = communicator
  }

  /// The samples of every prompt, in the order of the prompts, on every rank.
  ///
  /// - Parameters:
  ///   - prompts: the same on every rank; none may be empty or fill the context.
  ///   - identities: what each prompt is in the random stream, below 2³²; by default its place.
  ///   - settings: checked by the caller (``SamplingSettings/problem``).
  ///   - stops: texts that end a sample.
  /// - Throws: ``Fault`` of kind `data` for a prompt without room, `nonFinite` for logits that are not finite.
  package func draw(
    _ prompts: [[Int32]], identities: [Int]? = nil, parameters: FloatView, _ settings: SamplingSettings,
    stops: StopStrings? = nil, observer: Observer? = nil
  ) throws -> [[Sample]] {
    precondition(settings.problem == nil, "\(settings.problem?.name ?? "") is out of range")
    precondition(identities.map { $0.count == prompts.count } ?? true, "as many identities as prompts are needed")
    guard !prompts.isEmpty else { return [] }
    try check(prompts)
    let outer = Watchdog.enter(.sampling)
    defer { Watchdog.enter(outer) }
    FaultInjection.reach(.sampling)
    let plan = SamplingPlan(
      promptLengths: prompts.map(\.count), settings: settings, configuration: configuration, limits: limits)
    let sampler = try sampler(for: plan.capacity)
    let own = ownUnits(plan)
    let total = own.joined().reduce(0) { $0 + $1.samples.count }
    var message = SampleMessage()
    var done = 0
    for unit in own {
      let requests = unit.map { part in
        SampleRequest(
          prompt: prompts[part.prompt], identity: identities?[part.prompt] ?? part.prompt, samples: part.samples)
      }
      let count = requests.reduce(0) { $0 + $1.samples.count }
      let watch = stops.map { StopWatch($0, samples: count) }
      let samples = try sampler.draw(
        requests, parameters: parameters, settings, isStopped: watch.map { $0.isStopped }
      ) { tokens, running in
        Watchdog.progress()
        observer?(done + count - running, total, tokens)
      }
      done += count
      for sample in samples.joined() { message.append(sample) }
    }
    return try gather(message, plan, prompts: prompts.count)
  }

  private func check(_ prompts: [[Int32]]) throws {
    for (index, prompt) in prompts.enumerated() {
      guard !prompt.isEmpty, prompt.count < configuration.contextLength else {
        throw Fault(
          .data, "prompt \(index) has \(prompt.count) tokens, the context \(configuration.contextLength)",
          hint: "a prompt needs at least one token, and room for another")
      }
    }
  }

  private func sampler(for capacity: DecodingCapacity) throws -> Sampler {
    if let sampler, sampler.capacity.union(capacity) == sampler.capacity { return sampler }
    let larger = sampler.map { $0.capacity.union(capacity) } ?? capacity
    // The old memory goes before the new comes.
    sampler = nil
    let result = try Sampler(configuration, capacity: larger)
    sampler = result
    return result
  }

  private func ownUnits(_ plan: SamplingPlan) -> [[SamplingPlan.Part]] {
    stride(from: communicator.rank, to: plan.units.count, by: communicator.size).map { plan.units[$0] }
  }

  /// Puts the ranks' samples into the order of the prompts.
  private func gather(_ message: SampleMessage, _ plan: SamplingPlan, prompts: Int) throws -> [[Sample]] {
    var messages = try communicator.allGather(message.bytes).map(SampleMessage.init)
    var result = [[Sample]](repeating: [], count: prompts)
    for (index, unit) in plan.units.enumerated() {
      for part in unit {
        for _ in part.samples { result[part.prompt].append(messages[index % communicator.size].next()) }
      }
    }
    return result
  }
}

/// Samples one after the other as 64-bit words, for other ranks.
private struct SampleMessage {
  private var words: [UInt64] = []
  private var position = 0

  init() {}

  init(_ bytes: [UInt8]) {
    words = bytes.withUnsafeBytes { buffer in
      (0..<buffer.count / 8).map { buffer.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self) }
    }
  }

  var bytes: [UInt8] { words.withUnsafeBytes { Array($0) } }

  mutating func append(_ sample: Sample) {
    words.append(UInt64(sample.ids.count))
    words.append(sample.isFinished ? 1 : 0)
    words.append(sample.logProbability.bitPattern)
    words.append(sample.samplingLogProbability.bitPattern)
    for id in sample.ids { words.append(UInt64(id)) }
  }

  /// The next sample, which must have been appended.
  mutating func next() -> Sample {
    var sample = Sample()
    let header = words[position..<position + 4]
    let count = Int(header[position])
    sample.isFinished = header[position + 1] == 1
    sample.logProbability = Double(bitPattern: header[position + 2])
    sample.samplingLogProbability = Double(bitPattern: header[position + 3])
    sample.ids = words[position + 4..<position + 4 + count].map { Int32(truncatingIfNeeded: $0) }
    position += 4 + count
    return sample
  }
}
