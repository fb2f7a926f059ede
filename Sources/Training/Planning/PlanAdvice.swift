import AlignmentCore

/// What would make a planned run fit, or faster.
enum PlanAdvice {
  /// A change that is worth to be told saves at least this share of a host's memory.
  private static let leastSaving = 0.03

  private struct Change {
    let name: String
    let settings: [String]
    let world: RunOutline.World
  }

  /// Changes that save memory, each planned by itself, the largest saving first; none where there is enough.
  static func memory(
    _ need: MemoryNeed, available: Int, _ request: RunPlan.Request, _ world: RunOutline.World, process: Int
  ) -> [String] {
    guard available > 0, need.host > available, let configuration = try? request.configuration([]) else { return [] }
    let outcomes = changes(configuration, world).compactMap { change -> (name: String, host: Int)? in
      // A change that the recipe refuses is no advice.
      guard let outline = try? RunOutline(request.configuration(change.settings), on: change.world) else { return nil }
      let host = MemoryNeed(outline, process: process).host
      return Double(host) < Double(need.host) * (1 - leastSaving) ? (change.name, host) : nil
    }
    let lines = outcomes.sorted { $0.host < $1.host }.map { name, host in
      "\(name) needs \(host >> 20) MiB a host\(host <= available ? ", which fits" : "")"
    }
    return lines.isEmpty ? ["use hosts with \(need.host >> 20) MiB, or a smaller model"] : lines
  }

  private static func changes(_ configuration: RunConfiguration, _ world: RunOutline.World) -> [Change] {
    let setting = { (text: String) in Change(name: text, settings: [text], world: world) }
    var changes = [
      setting("batch.unit_tokens=\(max(1, configuration.batch.unitTokens / 2))"),
      setting("memory.activations_mb=\(max(1, configuration.memory.activations >> 22))"),
      Change(
        name: "--hosts \(2 * world.hosts)", settings: [],
        world: .init(hosts: 2 * world.hosts, ranksPerHost: world.ranksPerHost)),
    ]
    if configuration.lora == nil { changes.append(setting("lora.rank=16")) }
    if configuration.reduction == .exact { changes.append(setting("reduction=fast")) }
    if world.ranksPerHost > 1 {
      let (ranks, threads) = (world.ranksPerHost / 2, 2 * configuration.threads)
      changes.append(
        Change(
          name: "--ranks \(ranks) threads=\(threads)", settings: ["threads=\(threads)"],
          world: .init(hosts: world.hosts, ranksPerHost: ranks)))
    }
    return changes
  }

  /// What costs a step more than it must.
  static func speed(_ outline: RunOutline, _ time: StepTime) -> [String] {
    var lines: [String] = []
    let ranks = outline.world.ranks
    if outline.unitsPerStep < Double(ranks) {
      lines.append(
        "a step has \(outline.unitsPerStep.brief) units for \(ranks) ranks, and some have nothing to do: raise batch.size or lower batch.unit_tokens"
      )
    }
    if time.exchangeShare > 0.25 {
      let fast = outline.configuration.reduction == .exact ? ", reduction=fast (a third less)" : ""
      lines.append(
        "\((100 * time.exchangeShare).brief) % of a step is exchange: raise batch.size\(fast), or train adapters (lora)"
      )
    }
    return lines
  }
}
