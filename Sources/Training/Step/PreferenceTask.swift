import AlignmentCore
import Objectives
import PreferenceData
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// A dataset and what an objective needs to know about it beside its tokens.
package struct ObjectiveData {
  package let dataset: TokenizedDataset
  package let reference: ReferenceTable

  package init(dataset: TokenizedDataset, reference: ReferenceTable) {
    self.dataset = dataset
    self.reference = reference
  }
}

/// Learning from preferences: an objective on the examples of a dataset.
package final class PreferenceTask: TrainingTask {
  package let data: ObjectiveData
  package private(set) var loss: PreferenceLoss
  package let groups: any PromptGroups
  package let needsLiveReference: Bool
  private let normalization: RunConfiguration.Normalization
  private let weighting: (any StepWeighting)?
  private(set) var domains: RobustDomains?
  private let contextLength: Int
  private let completions: Int
  /// The group that is being evaluated.
  private var group = ObjectiveGroup()
  /// The groups of the survey and of the batch as shared tables give them.
  private var surveyed: [ObjectiveGroup] = []
  package private(set) var batch: [ObjectiveGroup] = []
  private var examples: [Int] = []
  private var examplesPerToken = 1.0

  /// - Parameters:
  ///   - needsLiveReference: whether the reference moves, so that stored log-probabilities are of no use.
  ///   - weighting: what the policy makes of each example's weight; nil where a model is only looked at.
  ///   - domains: group DRO over the domains of the data.
  package init(
    _ loss: PreferenceLoss, data: ObjectiveData, normalization: RunConfiguration.Normalization, contextLength: Int,
    needsLiveReference: Bool = false, weighting: (any StepWeighting)? = nil, domains: RobustDomains? = nil
  ) {
    self.loss = loss
    self.data = data
    self.normalization = normalization
    self.contextLength = contextLength
    self.needsLiveReference = needsLiveReference
    self.weighting = weighting
    self.domains = domains
    completions = loss.objective.traits.groupKind == .pair ? 2 : 1
    groups = loss.objective.traits.output == .score ? ScoredGroups(data.dataset) : data.dataset
  }

  /// Loss, then policy and reference of each completion, and the weight where the step determines it.
  package var columns: Int { weightColumn + (weighting == nil ? 0 : 1) }
  private var weightColumn: Int { 1 + 2 * completions }

  package var magnitude: Double {
    let largestLogWeight = weighting?.largestLogWeight(completions: completions) ?? 0
    return loss.objective.magnitude * (largestLogWeight.isFinite ? exp(largestLogWeight) : 1)
  }

  package func normalizer(of examples: [Int]) -> Double {
    examples.reduce(0) { $0 + amount(data.dataset.example($1)) }
  }

  /// What an example adds to the divisor, as far as the data say.
  private func amount(_ record: ExampleRecord) -> Double { normalization == .weight ? record.weight : 1 }

  package func begin(_ examples: [Int], normalizer: Double) {
    self.examples = examples
    domains?.begin()
    var tokens = 0.0
    for index in examples {
      let record = data.dataset.example(index)
      let length = Double(data.dataset.completion(0, of: record).length)
      tokens += amount(record) * length
      domains?.add(record, amount: amount(record), length: length)
    }
    examplesPerToken = normalizer / tokens
    domains?.finish(normalizer: normalizer)
  }

  /// What the objective has learned in earlier steps; of training, also the weights of the domains. Part of a checkpoint.
  package var state: [Double] {
    get { loss.objective.state + (domains?.state ?? []) }
    set {
      let own = loss.objective.state.count
      loss.objective.state = Array(newValue.prefix(own))
      domains?.state = Array(newValue.dropFirst(own))
    }
  }

  /// Goes on with what the objective of another task has learned.
  func adoptObjective(of other: PreferenceTask) { loss.objective.state = other.loss.objective.state }
}

// MARK: - Survey

extension PreferenceTask {
  package func survey(of examples: [Int]) -> BatchSurvey? {
    switch loss.objective.traits.survey {
    case .none: return nil
    case .own: return BatchSurvey(groups: groups, indices: examples, examples: examples, needsReference: false)
    case .mismatched:
      let groups = MismatchedGroups(examples, of: data.dataset, contextLength: contextLength)
      return BatchSurvey(
        groups: groups, indices: Array(0..<groups.count), examples: groups.examples, needsReference: true)
    }
  }

  package func recordSurvey(_ group: UnitGroup, into table: inout StepTable) {
    collect(group, isOwn: loss.objective.traits.survey == .own)
    record(slot: group.span.slot, loss: 0, weight: 0, into: &table)
  }

  package func finishSurvey(_ table: StepTable, of examples: [Int]) {
    gather(table, of: examples, into: &surveyed)
    loss.objective.prepare(for: surveyed)
  }

  package func observe(_ table: StepTable) {
    gather(table, of: examples, into: &batch)
    loss.objective.observe(batch)
    domains?.observe(table, examples, of: data.dataset)
  }

  /// Rebuilds groups from a shared table.
  private func gather(_ table: StepTable, of examples: [Int], into batch: inout [ObjectiveGroup]) {
    batch.removeAll(keepingCapacity: true)
    for slot in 0..<table.rows {
      var group = ObjectiveGroup()
      for index in 0..<completions {
        group.completions.append(
          ScoredCompletion(policy: table[slot, 1 + 2 * index], reference: table[slot, 2 + 2 * index], tokens: 1))
      }
      describe(&group, example: examples[slot], slot: slot)
      batch.append(group)
    }
  }
}

// MARK: - Losses

extension PreferenceTask {
  package func evaluate(_ group: UnitGroup, writesDerivatives: Bool, into table: inout StepTable) throws {
    collect(group, isOwn: true)
    let (stepWeight, result) = (stepWeight(group), loss.objective.loss(of: self.group))
    guard (stepWeight * result.value).isFinite else {
      throw notFinite(group.span.example, stepWeight * result.value)
    }
    let weight = self.group.weight * stepWeight
    record(slot: group.span.slot, loss: weight * result.value, weight: weight, into: &table)
    guard writesDerivatives else { return }
    let factor = weight * (domains?.share(of: data.dataset.example(group.span.example)) ?? 1)
    for (index, completion) in group.span.completions.enumerated() {
      write(factor * result.derivatives[index], for: group.unit.completions[completion], offset: index, group)
    }
  }

  private func notFinite(_ example: Int, _ loss: Double) -> Fault {
    let row = data.dataset.example(example).rowIndex
    return Fault(
      .nonFinite, "the loss of example \(example) (row \(row) of the data) is \(loss)",
      hint: "lower the learning rate or look at that row; the weights are those before this step")
  }

  private func record(slot: Int, loss: Double, weight: Double, into table: inout StepTable) {
    table[slot, 0] = loss
    if weighting != nil { table[slot, weightColumn] = weight }
    for (index, completion) in group.completions.enumerated() {
      table[slot, 1 + 2 * index] = completion.policy
      table[slot, 2 + 2 * index] = completion.reference
    }
  }

  /// Fills ``group`` from what the model says.
  ///
  /// - Parameters:
  ///   - isOwn: whether the completions are the example's own, whose reference may be stored.
  private func collect(_ source: UnitGroup, isOwn: Bool) {
    describe(&group, example: source.span.example, slot: source.span.slot)
    group.completions.removeAll()
    for (offset, index) in source.span.completions.enumerated() {
      let span = source.unit.completions[index]
      var completion = ScoredCompletion(policy: 0, tokens: span.tokenCount)
      if loss.reduction.isPlain {
        completion.policy = source.model.output(of: span)
        completion.reference = reference(source, span, offset, isOwn: isOwn)
      } else {
        let policy = UnsafeBufferPointer(rebasing: source.model.tokenLogProbabilities[span.rows])
        withReference(source, span, offset, isOwn: isOwn) {
          (completion.policy, completion.reference) = loss.reduction.reduce(
            policy: policy, reference: $0, shorter: shortest(source))
        }
      }
      group.completions.append(completion)
    }
  }

  /// Sets everything but what the model says of the completions.
  func describe(_ group: inout ObjectiveGroup, example: Int, slot: Int) {
    let record = data.dataset.example(example)
    group.softLabel = record.q
    let first = data.dataset.completion(0, of: record)
    group.margin = loss.objective.traits.groupKind == .scored ? first.score ?? 0 : record.margin
    group.weight = record.weight
    group.isDesirable = first.role.isDesirable
    group.examplesPerToken = domains?.examplesPerToken(of: record) ?? examplesPerToken
    group.slot = slot
    for index in group.completions.indices where index < record.completionCount {
      group.completions[index].tokens = data.dataset.completion(index, of: record).length
    }
  }

  /// The reference's log-probability of a completion.
  private func reference(_ source: UnitGroup, _ span: CompletionSpan, _ offset: Int, isOwn: Bool) -> Double {
    source.reference.isEmpty || (isOwn && !needsLiveReference)
      ? storedReference(source.span.example, offset) : source.reference[span.rows].reduce(0, +)
  }

  private func storedReference(_ example: Int, _ offset: Int) -> Double {
    guard !data.reference.sums.isEmpty else { return 0 }
    return data.reference.sums[data.dataset.example(example).firstCompletion + offset]
  }

  /// The reference's log-probability of each token of a completion; empty if there is none.
  private func withReference(
    _ source: UnitGroup, _ span: CompletionSpan, _ offset: Int, isOwn: Bool,
    _ body: (UnsafeBufferPointer<Double>) -> Void
  ) {
    if !source.reference.isEmpty, needsLiveReference || !isOwn {
      return body(UnsafeBufferPointer(rebasing: source.reference[span.rows]))
    }
    let completion = data.dataset.example(source.span.example).firstCompletion + offset
    data.reference.withTokens(ofCompletion: completion, body)
  }

  private func shortest(_ source: UnitGroup) -> Int {
    source.span.completions.reduce(.max) { min($0, source.unit.completions[$1].tokenCount) }
  }

  /// Writes the derivative of a completion's number into the rows of the model's head.
  private func write(_ derivative: Double, for span: CompletionSpan, offset: Int, _ source: UnitGroup) {
    let model = source.model
    if model.head == .score {
      model.scalarDerivatives.base[span.rows.lowerBound] = Float(derivative)
    } else if loss.reduction.isPlain {
      for row in span.rows { model.tokenDerivatives.base[row] = Float(derivative) }
    } else {
      let shorter = shortest(source)
      withReference(source, span, offset, isOwn: true) { reference in
        for (token, row) in span.rows.enumerated() {
          let slope = loss.reduction.slope(
            policy: model.tokenLogProbabilities[row], reference: reference.isEmpty ? 0 : reference[token], token: token,
            shorter: shorter)
          model.tokenDerivatives.base[row] = Float(derivative * slope)
        }
      }
    }
  }
}

// MARK: - Weights

extension PreferenceTask {
  /// The factor that the policy gives a group; 1 without a weighting.
  private func stepWeight(_ source: UnitGroup) -> Double {
    guard let weighting else { return 1 }
    var logWeight = 0.0
    for (offset, index) in source.span.completions.enumerated() {
      let span = source.unit.completions[index]
      let sums = TokenSums(
        policy: source.model.output(of: span), reference: reference(source, span, offset, isOwn: true),
        entropy: source.model.entropy(of: span), tokens: span.tokenCount)
      logWeight += weighting.logWeight(of: sums)
    }
    return weighting.weight(logWeight, completions: source.span.completions.count)
  }

  /// Without weights in the divisor it is the number of examples, or that of their weights in the data.
  package func normalizer(_ expected: Double, for table: StepTable) -> Double {
    weighting != nil && normalization == .weight ? table.sum(ofColumn: weightColumn) : expected
  }

  /// The loss that a shared table shows; with group DRO, of the weights that the domains had.
  package func meanLoss(_ table: StepTable, of examples: [Int]) -> Double {
    let normalizer = normalizer(normalizer(of: examples), for: table)
    guard let domains else { return table.sum(ofColumn: 0) / normalizer }
    let sum = examples.indices.reduce(0) {
      $0 + domains.share(of: data.dataset.example(examples[$1])) * table[$1, 0]
    }
    return sum / normalizer
  }

  /// What the weights of a step come to: their mean, the share of the examples that are effectively learned from (Kish
  /// 1965, "Survey sampling", §11.7), and the weight of each domain.
  package func weightMetrics(_ table: StepTable) -> [(name: String, value: Double)] {
    var values: [(name: String, value: Double)] = []
    if weighting != nil {
      let (sum, count) = (table.sum(ofColumn: weightColumn), Double(table.rows))
      let squares = (0..<table.rows).reduce(0) { $0 + table[$1, weightColumn] * table[$1, weightColumn] }
      values = [("weights/mean", sum / count), ("weights/ess", squares > 0 ? sum * sum / (count * squares) : 0)]
    }
    guard let domains else { return values }
    return values + zip(domains.names, domains.weights).map { ("group_dro/\($0)", $1) }
  }
}
