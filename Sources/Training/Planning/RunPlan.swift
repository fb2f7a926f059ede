import AlignmentCore
import Collectives
import JSON
import PreferenceData
import Transformer

/// What `adalign plan` foretells of a run: memory, the time of a step, checkpoints, and what to change.
package struct RunPlan {
  /// What is to be planned.
  package struct Request {
    /// The recipe with some more settings than the command line gives.
    package let configuration: (_ settings: [String]) throws -> RunConfiguration
    package let hosts: Int
    package let ranksPerHost: Int
    /// Measured by `adalign doctor`; nil measures on this machine.
    package let rates: MachineRates?
    /// Bytes that a host has; nil takes what the rates say.
    package let memory: Int?

    package init(
      hosts: Int, ranksPerHost: Int, rates: MachineRates?, memory: Int?,
      configuration: @escaping (_ settings: [String]) throws -> RunConfiguration
    ) {
      self.configuration = configuration
      self.hosts = hosts
      self.ranksPerHost = ranksPerHost
      self.rates = rates
      self.memory = memory
    }
  }

  let outline: RunOutline
  package let memory: MemoryNeed
  package let time: StepTime
  let rates: MachineRates
  let speed: UnitSpeed
  /// Bytes that a host has.
  package let available: Int
  package let advice: [String]

  /// Whether a host has enough memory.
  package var fits: Bool { memory.host <= available }

  /// Plans; measures the speed of a unit on this machine.
  ///
  /// - Parameters:
  ///   - host: name of this machine.
  package init(_ request: Request, host: String) throws {
    let world = RunOutline.World(hosts: request.hosts, ranksPerHost: request.ranksPerHost)
    let configuration = try request.configuration([])
    rates = try request.rates ?? RateMeasurement.here(host: host, threads: configuration.threads)
    outline = try RunOutline(configuration, on: world)
    memory = MemoryNeed(outline, process: rates.process)
    available = request.memory ?? rates.hosts.map(\.available).min() ?? 0
    let share = rates.unitEfficiency
    speed =
      try UnitTiming(outline)?.run()
      ?? UnitSpeed(
        training: share, scoring: share, decoding: 1, origin: "the doctor's unit, for the model is too large here")
    time = StepTime(outline, rates, speed)
    advice =
      PlanAdvice.memory(memory, available: available, request, world, process: rates.process)
      + PlanAdvice.speed(outline, time)
  }

  /// Seconds of the whole run, without evaluation and checkpoints.
  package var seconds: Double { Double(outline.steps) * time.total }
}

extension RateMeasurement {
  /// The rates of this machine, with one rank.
  static func here(host: String, threads: Int) throws -> MachineRates {
    try RateMeasurement(over: LocalCommunicator(), host: host, threads: threads).run(directory: nil)
  }
}

// MARK: - For people

extension RunPlan {
  package var text: String {
    (heading + memoryLines + timeLines + advice.map { "advice     \($0)" }).joined(separator: "\n") + "\n"
  }

  private var heading: [String] {
    let c = outline.source.configuration
    let count = ParameterLayout(c, head: outline.head).count
    let world = outline.world
    return [
      "run        \(world.hosts) host(s) × \(world.ranksPerHost) rank(s) × \(outline.configuration.threads) thread(s)",
      "model      \(c.modelType), \(count.grouped) parameters, \(outline.trained.count.grouped) of them trained",
    ]
  }

  private var memoryLines: [String] {
    let rows = memory.items.filter { $0.bytes >= 1 << 19 }.map { item in
      "  \(item.purpose.padded(to: 28)) \(item.bytes.mebibytes.leftPadded(to: 10)) MiB\(item.isShared ? ", once for a host" : "")"
    }
    let verdict =
      available == 0
      ? "how much there is is not known: pass --memory"
      : "\(available.mebibytes) MiB are there: \(fits ? "fits" : "DOES NOT FIT")"
    return ["memory     of a rank:"] + rows + [
      "  \("mapped files".padded(to: 28)) \(memory.files.mebibytes.leftPadded(to: 10)) MiB, page cache",
      "  \("resident at most".padded(to: 28)) \(memory.resident.mebibytes.leftPadded(to: 10)) MiB",
      "host       needs \(memory.host.mebibytes) MiB for \(memory.ranksPerHost) rank(s); \(verdict)",
    ]
  }

  private var timeLines: [String] {
    let exchange =
      time.exchange.map { "exchange \($0.brief) (\((100 * time.exchangeShare).brief) %, if none of it is hidden)" }
      ?? "exchange not known: pass --rates of a doctor that ran on such hosts"
    let sampling = outline.sampling == nil ? "" : "sampling at most \(time.sampling.brief), "
    let disk =
      rates.disk.map { ", \((Double(outline.checkpointBytes) / $0.bandwidth + $0.latency).brief) s to write" } ?? ""
    return [
      "step       \(time.total.brief) s: \(sampling)compute \(time.compute.brief), sums \(time.sums.brief), update \(time.update.brief), \(exchange)",
      "           \(outline.unitsPerStep.brief) units a step; at \((100 * speed.training).brief) % of sgemm, measured on \(speed.origin)",
      "run        \(outline.steps) steps, about \((seconds / 60).brief) min",
      "checkpoint \(outline.checkpointBytes.mebibytes) MiB of all ranks\(disk)",
    ]
  }
}

extension Int {
  fileprivate var mebibytes: String { String((self + (1 << 19)) >> 20) }
}

extension String {
  fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - count)) }
  fileprivate func leftPadded(to width: Int) -> String {
    String(repeating: " ", count: Swift.max(0, width - count)) + self
  }
}

// MARK: - JSON

extension RunPlan {
  package var json: JSONValue {
    let members: [(ByteString, JSONValue)] = [
      ("hosts", .integer(Int64(outline.world.hosts))),
      ("ranks_per_host", .integer(Int64(outline.world.ranksPerHost))),
      ("memory", memoryRecord), ("step", stepRecord), ("steps", .integer(Int64(outline.steps))),
      ("checkpoint_bytes", .integer(Int64(outline.checkpointBytes))),
      ("advice", .array(advice.map { JSONValue.string(ByteString($0)) })), ("rates", rates.json),
    ]
    return .record(members)
  }

  private var memoryRecord: JSONValue {
    .record([
      ("resident_bytes", .integer(Int64(memory.resident))), ("own_bytes", .integer(Int64(memory.own))),
      ("shared_bytes", .integer(Int64(memory.shared))), ("file_bytes", .integer(Int64(memory.files))),
      ("host_bytes", .integer(Int64(memory.host))), ("available_bytes", .integer(Int64(available))),
      ("fits", .bool(fits)),
      ("items", .array(memory.items.map(\.json))),
    ])
  }

  private var stepRecord: JSONValue {
    .record([
      ("seconds", .double(time.total)), ("sampling", .double(time.sampling)), ("compute", .double(time.compute)),
      ("sums", .double(time.sums)), ("exchange", time.exchange.map(JSONValue.double) ?? .null),
      ("exchange_share", .double(time.exchangeShare)), ("update", .double(time.update)),
      ("units", .double(outline.unitsPerStep)), ("efficiency", .double(speed.training)),
      ("scoring_efficiency", .double(speed.scoring)), ("decoding_efficiency", .double(speed.decoding)),
      ("efficiency_measured_on", .string(ByteString(speed.origin))),
    ])
  }
}

extension MemoryLedger.Entry {
  fileprivate var json: JSONValue {
    .record([
      ("purpose", .string(ByteString(purpose))), ("bytes", .integer(Int64(bytes))), ("shared", .bool(isShared)),
    ])
  }
}
