import AlignmentCore

/// What a token and a prediction cost, in any common unit (floating-point operations): the currency of the balance.
package struct WorkCost: Sendable, Equatable {
  /// Cost of a token in all layers.
  package let perToken: Double
  /// Cost of a prediction in the head.
  package let perPrediction: Double

  package init(perToken: Double, perPrediction: Double) {
    self.perToken = perToken
    self.perPrediction = perPrediction
  }
}

/// A list of examples cut into work units, and the units dealt to ranks.
///
/// The units depend on the examples, the token budget and the cost alone, never on the number of ranks. Batches are packed
/// into units of nearly equal cost whose number divides well among ranks.
package struct UnitPlan: Sendable {
  /// Number of the group in each slot of the list.
  package let examples: [Int]
  /// The slots of each unit, ascending.
  package let units: [[Int]]
  /// Relative cost of each unit.
  package let costs: [Double]

  /// Packs a batch: longest first into the cheapest unit that has room (Graham 1969, "Bounds on multiprocessing timing
  /// anomalies", §5).
  package static func balanced(
    _ examples: [Int], of groups: some PromptGroups, tokens budget: Int, cost: WorkCost
  ) -> UnitPlan {
    let sizes = examples.map { PackedSize(groups.size(ofGroup: $0), cost) }
    let total = sizes.reduce(0) { $0 + $1.tokens }
    var bins = Array(repeating: Bin(), count: min(examples.count, unitCount(for: total, budget: budget)))
    for slot in sizes.indices.sorted(by: { (sizes[$0].cost, $1) > (sizes[$1].cost, $0) }) {
      let open = bins.indices.filter { bins[$0].slots.isEmpty || bins[$0].tokens + sizes[slot].tokens <= budget }
      let cheapest = open.min { (bins[$0].cost, $0) < (bins[$1].cost, $1) }
      if cheapest == nil { bins.append(Bin()) }
      bins[cheapest ?? bins.count - 1].add(slot, sizes[slot])
    }
    return UnitPlan(examples, bins)
  }

  /// Packs a list in its own order, each unit as full as the budget allows: for passes over a whole dataset.
  package static func sequential(
    _ examples: [Int], of groups: some PromptGroups, tokens budget: Int, cost: WorkCost
  ) -> UnitPlan {
    var bins: [Bin] = []
    for (slot, example) in examples.enumerated() {
      let size = PackedSize(groups.size(ofGroup: example), cost)
      if bins.isEmpty || bins[bins.count - 1].tokens + size.tokens > budget { bins.append(Bin()) }
      bins[bins.count - 1].add(slot, size)
    }
    return UnitPlan(examples, bins)
  }

  private init(_ examples: [Int], _ bins: [Bin]) {
    self.examples = examples
    units = bins.map { $0.slots.sorted() }
    costs = bins.map(\.cost)
  }

  /// As many units as the budget asks for, rounded up to 1, 2, 4 or a multiple of 8.
  package static func unitCount(for tokens: Int, budget: Int) -> Int {
    let needed = max(1, (tokens + budget - 1) / budget)
    for small in [1, 2, 4] where needed <= small { return small }
    return (needed + 7) / 8 * 8
  }

  /// The units of each of some ranks that are equally fast.
  package func assignment(ranks: Int) -> [[Int]] { assignment(rates: Array(repeating: 1, count: ranks)) }

  /// The units of each rank: the costliest unit left goes to the rank that would be done with it first (Gonzalez, Ibarra
  /// and Sahni 1977, "Bounds for LPT schedules on uniform processors").
  ///
  /// - Parameters:
  ///   - rates: for each rank what a unit of cost takes it, in any common unit of time.
  package func assignment(rates: [Double]) -> [[Int]] {
    var loads = Array(repeating: 0.0, count: rates.count)
    var assigned = Array(repeating: [Int](), count: rates.count)
    for unit in units.indices.sorted(by: { (costs[$0], $1) > (costs[$1], $0) }) {
      let end = { (rank: Int) in (loads[rank] + costs[unit]) * rates[rank] }
      let rank = loads.indices.min { (end($0), $0) < (end($1), $1) } ?? 0
      loads[rank] += costs[unit]
      assigned[rank].append(unit)
    }
    return assigned
  }

  /// Fills a work unit with the groups of one of the plan's units.
  package func fill(_ workUnit: inout WorkUnit, with unit: Int, from groups: some PromptGroups) {
    workUnit.removeAll()
    for slot in units[unit] { groups.add(examples[slot], slot: slot, to: &workUnit) }
  }
}

/// Tokens and cost of one prompt group.
private struct PackedSize {
  let tokens: Int
  let cost: Double

  init(_ size: GroupSize, _ cost: WorkCost) {
    tokens = size.tokens
    self.cost = Double(size.tokens) * cost.perToken + Double(size.predictions) * cost.perPrediction
  }
}

private struct Bin {
  var slots: [Int] = []
  var tokens = 0
  var cost = 0.0

  mutating func add(_ slot: Int, _ size: PackedSize) {
    slots.append(slot)
    tokens += size.tokens
    cost += size.cost
  }
}
