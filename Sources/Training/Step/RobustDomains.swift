import AlignmentCore
import Objectives
import PreferenceData

/// Group DRO over the domains of a dataset: what every example of a batch counts.
package struct RobustDomains {
  /// Named domains in the order of their first rows; rows without one are a domain of their own.
  let names: [String]
  /// Examples of the data in each.
  let sizes: [Int]
  private static let unnamed = "(none)"
  /// The group of each domain of the dataset, and of no domain at the end.
  private let groups: [Int]
  private var dro: GroupDRO
  /// Of each group in the batch: what its losses are divided by, the same counted in tokens, and what an example counts.
  private var amounts: [Double]
  private var tokens: [Double]
  private var shares: [Double]
  private var losses: [Double]
  /// q as it was when the batch began.
  private(set) var weights: [Double]

  /// - Throws: ``Fault`` if there is one domain only.
  package init(_ settings: RunConfiguration.GroupDROSettings, _ dataset: TokenizedDataset) throws {
    var counts = [Int](repeating: 0, count: dataset.domains.count + 1)
    for index in 0..<dataset.count { counts[Self.place(dataset.example(index), counts.count)] += 1 }
    let present = counts.indices.filter { counts[$0] > 0 }
    guard present.count > 1 else {
      throw Fault(
        .configuration, "all rows of the data are of one domain", at: "objective.group_dro",
        hint: "give rows a 'domain', or leave it out")
    }
    names = present.map { (dataset.domains + [Self.unnamed])[$0] }
    sizes = present.map { counts[$0] }
    groups = counts.indices.map { place in present.firstIndex(of: place) ?? 0 }
    dro = GroupDRO(sizes: sizes, step: settings.step, adjustment: settings.adjustment)
    let zeros = [Double](repeating: 0, count: present.count)
    (amounts, tokens, shares, losses, weights) = (zeros, zeros, zeros, zeros, zeros)
  }

  /// For people: how many rows of each domain there are, and how many a batch holds on average.
  func summary(batch: Int) -> String {
    let total = Double(sizes.reduce(0, +))
    let parts = zip(names, sizes).map { name, size in
      "\(name) (\(size.grouped) rows, \((Double(batch) * Double(size) / total).brief) of a batch)"
    }
    return "group DRO over \(parts.joined(separator: ", "))"
  }

  /// log q; part of a checkpoint.
  var state: [Double] {
    get { dro.logWeights }
    set {
      precondition(newValue.count == dro.logWeights.count, "\(newValue.count) weights for \(names.count) domains")
      dro.logWeights = newValue
    }
  }

  private static func place(_ record: ExampleRecord, _ count: Int) -> Int {
    record.domain >= 0 ? record.domain : count - 1
  }

  private func group(_ record: ExampleRecord) -> Int { groups[Self.place(record, groups.count)] }

  // MARK: A batch

  /// Begins a batch; its examples are to be added.
  mutating func begin() {
    for group in weights.indices {
      (amounts[group], tokens[group], weights[group]) = (0, 0, dro.weight(ofGroup: group))
    }
  }

  /// Adds an example of the batch.
  ///
  /// - Parameters:
  ///   - amount: what it adds to the divisor of its group's mean loss.
  ///   - length: tokens of its first completion.
  mutating func add(_ record: ExampleRecord, amount: Double, length: Double) {
    amounts[group(record)] += amount
    tokens[group(record)] += amount * length
  }

  /// Turns means over groups into factors on losses that are divided by the normaliser of the batch.
  mutating func finish(normalizer: Double) {
    for group in shares.indices {
      shares[group] = amounts[group] > 0 ? weights[group] * normalizer / amounts[group] : 0
    }
  }

  /// The factor on an example: q_g / n_g relative to 1 / n.
  func share(of record: ExampleRecord) -> Double { shares[group(record)] }

  /// Examples of a group in the batch divided by its tokens.
  func examplesPerToken(of record: ExampleRecord) -> Double {
    tokens[group(record)] > 0 ? amounts[group(record)] / tokens[group(record)] : 0
  }

  // MARK: After a step

  /// Moves q by the losses of a batch.
  mutating func observe(_ table: StepTable, _ examples: [Int], of dataset: TokenizedDataset) {
    for group in losses.indices { losses[group] = 0 }
    for slot in 0..<table.rows { losses[group(dataset.example(examples[slot]))] += table[slot, 0] }
    for group in losses.indices { losses[group] = amounts[group] > 0 ? losses[group] / amounts[group] : .nan }
    dro.update(losses)
  }
}
