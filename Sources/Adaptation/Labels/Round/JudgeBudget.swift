import AlignmentCore

/// How many comparisons of a round a dear judge is asked for, and which; the others are labelled by scores.
///
/// Comparisons whose answers are stored count like others, so that a round that is run again chooses the same ones.
package struct JudgeBudget: Sendable, Equatable {
  package enum Amount: Sendable, Equatable {
    /// Of the comparisons that there are.
    case share(Double)
    case comparisons(Int)
  }

  package enum Choice: String, Sendable, CaseIterable {
    case random
    /// Those first of which the scores say least.
    case uncertain
  }

  /// What is chosen as one.
  package enum Unit: String, Sendable, CaseIterable {
    case comparison
    /// All comparisons of a prompt, or none; by their mean where the choice is `uncertain`.
    case prompt
  }

  /// A comparison that the judge may be asked for.
  package struct Candidate: Sendable, Equatable {
    /// The number of its prompt.
    package var prompt: Int
    /// The number of the prompt's comparisons before it.
    package var order: Int
    /// |2q − 1| by scores.
    package var confidence: Double

    package init(prompt: Int, order: Int, confidence: Double) {
      self.prompt = prompt
      self.order = order
      self.confidence = confidence
    }
  }

  package var amount: Amount
  package var choice: Choice
  package var unit: Unit

  /// - Throws: ``Fault`` for an amount that is out of range.
  package init(_ amount: Amount, choice: Choice = .random, by unit: Unit = .comparison) throws {
    let isValid =
      switch amount {
      case .share(let share): (0...1).contains(share)
      case .comparisons(let count): count >= 0
      }
    guard isValid else {
      throw Fault(
        .configuration, "a budget of \(amount)", at: "labels.budget",
        hint: "a share is from 0 to 1, a number of comparisons 0 or more")
    }
    (self.amount, self.choice, self.unit) = (amount, choice, unit)
  }

  /// The places of the comparisons to ask for, ascending.
  ///
  /// - Parameters:
  ///   - used: comparisons asked for before, of a budget that is a number.
  ///   - round: of the adaptation.
  package func places(among candidates: [Candidate], used: Int = 0, seed: UInt64, round: Int) -> [Int] {
    var left =
      switch amount {
      case .share(let share): Int((share * Double(candidates.count)).rounded())
      case .comparisons(let count): max(0, count - used)
      }
    let units = units(of: candidates)
    let priorities = units.map { unit in priority(of: unit.map { candidates[$0] }, seed: seed, round: round) }
    var chosen: [Int] = []
    for unit in units.indices.sorted(by: { (priorities[$0], $0) < (priorities[$1], $1) })
    where units[unit].count <= left {
      chosen += units[unit]
      left -= units[unit].count
    }
    return chosen.sorted()
  }

  /// The comparisons that are chosen together, in order of appearance.
  private func units(of candidates: [Candidate]) -> [[Int]] {
    guard unit == .prompt else { return candidates.indices.map { [$0] } }
    var units: [[Int]] = []
    var places: [Int: Int] = [:]
    for (index, candidate) in candidates.enumerated() {
      let place = places[candidate.prompt, default: units.count]
      if place == units.count {
        places[candidate.prompt] = place
        units.append([])
      }
      units[place].append(index)
    }
    return units
  }

  /// The lower, the sooner.
  private func priority(of unit: [Candidate], seed: UInt64, round: Int) -> Double {
    switch choice {
    case .random: RandomStream(seed: seed, purpose: .judging, unit[0].prompt, round).uniform(at: unit[0].order)
    case .uncertain: unit.map(\.confidence).mean
    }
  }
}
