import AlignmentCore
import ArgumentParser
import Checkpoints
import JSON
import Training

/// `adalign plan RECIPE key=value … --hosts N --ranks R`
struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Foretell memory, step time and checkpoints of a training run, and what to change if it does not fit.",
    discussion: """
      Reads the recipe, the model's config.json and a sample of the data; weights are not read and need not be there.
      """)

  @OptionGroup var recipe: RecipeArguments

  @Option(help: "Hosts of the run.")
  var hosts = 1

  @Option(help: "Ranks on each host.")
  var ranks = 1

  @Option(help: "Rates that adalign doctor --output wrote on such hosts; without them this machine is measured.")
  var rates: String?

  @Option(help: "GiB of memory that a host has for the run; by default what was available when rates were measured.")
  var memory: Double?

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...1 << 16).contains(hosts), (1...1 << 12).contains(ranks) else {
      throw ValidationError("--hosts and --ranks must be at least 1")
    }
    guard memory.map({ $0 > 0 && $0 < 1e9 }) ?? true else { throw ValidationError("--memory must be above 0") }
  }

  func run() throws {
    try Session.onFirstRank {
      let measured = try rates.map { try MachineRates(json: Self.parse($0), path: $0) }
      let request = RunPlan.Request(
        hosts: hosts, ranksPerHost: ranks, rates: measured, memory: memory.map { Int($0 * 0x1p30) },
        configuration: recipe.configuration)
      let plan = try RunPlan(request, host: Host.name)
      try report.write(text: plan.text, json: plan.json)
    }
  }

  private static func parse(_ path: String) throws -> JSONValue {
    do {
      return try JSONValue.parse(try FileSystem.readWhole(path, limit: 1 << 20))
    } catch let error as JSONError {
      throw Fault(.data, "not valid JSON (\(error))", at: path, hint: "write it with adalign doctor --output")
    }
  }
}

/// Where a report goes: to people, or to programs.
struct ReportOptions: ParsableArguments {
  @Flag(help: "Print JSON.")
  var json = false

  @Option(help: "Also write JSON to this file.")
  var output: String?

  func write(text: String, json value: JSONValue) throws {
    let bytes = value.serialized(pretty: true)
    print(json ? String(decoding: bytes, as: UTF8.self) : text, terminator: json ? "\n" : "")
    if let output { try AtomicFile.write(output, bytes) }
  }
}
