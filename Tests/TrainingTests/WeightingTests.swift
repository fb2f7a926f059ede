import AlignmentCore
import Foundation
import Objectives
import PreferenceData
import Testing
import Training
import Transformer

/// Weights that are found in the step, and weights of domains.
@Suite struct WeightingTests {
  static let weightings: [[String]] = [
    ["objective.weighting=wpo", "objective.wpo_alignment=plain"],
    ["objective.weighting=wpo", "objective.wpo_clamp=no"],
    ["objective.weighting=wpo", "objective.wpo_alignment=greedy", "objective.name=simpo"],
    ["objective.weighting=wpo", "objective.name=kto", "objective.kl=zero"],
    ["objective.weighting=is_daa", "objective.is_daa_epsilon=2", "objective.name=ipo"],
  ]
  static let batch = [3, 1, 4, 7, 0, 10]
  static let allRows = Array(0..<12)

  /// The total weights of a batch as the last step left them.
  private func weights(_ trainer: Trainer, _ task: PreferenceTask) -> [Double] {
    (0..<trainer.table.rows).map { trainer.table[$0, task.columns - 1] }
  }

  /// The parameters after a step on data whose weights are given.
  private func parameters(
    _ model: String, _ settings: [String], weights: [Double], batch: [Int]
  ) throws -> (parameters: [Float], norm: Double) {
    let byExample = Dictionary(uniqueKeysWithValues: zip(batch, weights))
    let setup = try TrainerSetup(model, settings, weight: { byExample[$0] ?? 1 })
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    let norm = try trainer.step(0, trainer.plan(batch, of: task), of: task).gradientNorm
    return (trainer.weights.trained.values, norm)
  }

  private func withoutWeighting(_ settings: [String]) -> [String] {
    settings.filter { !$0.contains("weighting") && !$0.contains("wpo") && !$0.contains("is_daa") }
  }

  // MARK: Weights of the step

  /// What the policy says of one example, on its own.
  private func weight(_ setup: TrainerSetup, _ example: Int, _ trainer: Trainer, _ reference: [Double]) throws -> Double
  {
    let weighting = try #require(try setup.configuration.preferenceLoss.weighting)
    let record = setup.dataset.example(example)
    var unit = WorkUnit()
    setup.dataset.add(example, slot: 0, to: &unit)
    let capacity = UnitCapacity(tokens: unit.tokens.count, predictions: unit.targets.count, sequence: 64)
    let model = try LanguageModel(
      setup.fixture.configuration, capacity: capacity, trained: nil, entropyOrder: weighting.entropyOrder)
    model.score(unit, parameters: trainer.weights.model.view)
    let logWeight = unit.completions.enumerated().reduce(0.0) { sum, completion in
      let rows = completion.element.rows
      let sums = TokenSums(
        policy: rows.reduce(0) { $0 + model.tokenLogProbabilities[$1] },
        reference: reference[record.firstCompletion + completion.offset],
        entropy: weighting.entropyOrder == nil ? 0 : rows.reduce(0) { $0 + model.tokenEntropies[$1] },
        tokens: rows.count)
      return sum + weighting.logWeight(of: sums)
    }
    return record.weight * weighting.weight(logWeight, completions: unit.completions.count)
  }

  // Sums of up to thirteen Float32 log-probabilities near 4, alone or in a unit with others.
  static let tolerance = 1e-5

  @Test(arguments: weightings)
  func theStepWeighsByThePolicyItStartsFrom(settings: [String]) throws {
    let setup = try TrainerSetup("llama-gqa", settings)
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    for step in 0..<2 {
      let expected = try Self.batch.map { try weight(setup, $0, trainer, task.data.reference.sums) }
      _ = try trainer.step(step, trainer.plan(Self.batch, of: task), of: task)
      for (found, expected) in zip(weights(trainer, task), expected) {
        #expect(abs(found / expected - 1) <= Self.tolerance)
      }
    }
  }

  // Bit for bit the step of data that have these weights: they are constants to the derivative.
  @Test(arguments: weightings)
  func theDerivativeTakesWeightsAsGiven(settings: [String]) throws {
    let setup = try TrainerSetup("llama-gqa", settings)
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    let before = trainer.weights.trained.values
    let norm = try trainer.step(0, trainer.plan(Self.batch, of: task), of: task).gradientNorm
    // Of a labelled row each half is an example; their weights are asked for by row elsewhere.
    guard task.columns == 6 else { return }
    let frozen = try parameters(
      "llama-gqa", withoutWeighting(settings), weights: weights(trainer, task), batch: Self.batch)
    #expect(trainer.weights.trained.values == frozen.parameters && norm == frozen.norm)
    #expect(trainer.weights.trained.values != before)
  }

  // The divisor is known after the sums, which were scaled by another power of two: one rounding of 2⁻⁵².
  @Test(arguments: weightings.filter { !$0.contains("objective.name=kto") })
  func weightsCanBeDividedOut(settings: [String]) throws {
    let normalized = settings + ["objective.normalization=weight"]
    let setup = try TrainerSetup("llama-gqa", normalized)
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    let norm = try trainer.step(0, trainer.plan(Self.batch, of: task), of: task).gradientNorm
    let totals = weights(trainer, task)
    let frozen = try parameters("llama-gqa", withoutWeighting(normalized), weights: totals, batch: Self.batch)
    #expect(abs(norm / frozen.norm - 1) <= 1e-7)
    let losses = Self.batch.indices.map { trainer.table[$0, 0] }
    let mean = losses.reduce(0, +) / totals.reduce(0, +)
    #expect(abs(task.meanLoss(trainer.table, of: Self.batch) - mean) <= 1e-12 * abs(mean))
  }

  @Test func aWeightOfOneChangesNothing() throws {
    let settings = ["objective.weighting=is_daa", "objective.is_daa_epsilon=0"]
    let step = { (settings: [String]) throws -> [Float] in
      let setup = try TrainerSetup("qwen3", settings)
      let far = ReferenceTable(sums: (0..<setup.dataset.totalCompletions).map { -900 - Double($0) })
      let (trainer, task) = (try setup.trainer(), try setup.preferenceTask(reference: far))
      _ = try trainer.step(0, trainer.plan(Self.batch, of: task), of: task)
      return trainer.weights.trained.values
    }
    #expect(try step(settings) == step([]))
  }

  // A policy that finds everything e¹⁰⁰⁰ times less likely than its reference.
  @Test(arguments: ["count", "weight"])
  func weightsThatVanishAreRefusedAsADivisor(normalization: String) throws {
    let setup = try TrainerSetup(
      "llama-gqa", ["objective.weighting=is_daa", "objective.normalization=\(normalization)"])
    let near = ReferenceTable(sums: (0..<setup.dataset.totalCompletions).map { _ in 1000 })
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask(reference: near))
    let before = trainer.weights.trained.values
    let step = { try trainer.step(0, trainer.plan(Self.batch, of: task), of: task) }
    if normalization == "count" {
      #expect(try step().gradientNorm == 0)
    } else {
      #expect(fault(.data) { _ = try step() }.contains("objective.normalization"))
    }
    #expect(trainer.weights.trained.values == before)
  }

  @Test func theLogSaysWhatWeightsComeTo() throws {
    let setup = try TrainerSetup("llama-gqa", Self.weightings[0])
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    _ = try trainer.step(0, trainer.plan(Self.batch, of: task), of: task)
    let totals = weights(trainer, task)
    let (sum, squares) = (totals.reduce(0, +), totals.reduce(0) { $0 + $1 * $1 })
    let found = task.weightMetrics(trainer.table)
    #expect(found.map(\.name) == ["weights/mean", "weights/ess"])
    for (value, expected) in zip(found.map(\.value), [sum / 6, sum * sum / squares / 6]) {
      #expect(abs(value / expected - 1) <= 1e-12)
    }
    #expect(found[1].value > 0 && found[1].value < 1)
  }

  // MARK: Domains

  static let dro = ["objective.group_dro=true", "objective.group_dro_step=2", "objective.group_dro_adjustment=0.5"]

  /// The domain of each row of the test's data, in the order of their first rows and none at the end.
  private func domain(_ row: Int) -> Int { [2, 0, 1][row % 3] }

  // q_g/n_g for each of the n_g examples of a domain, instead of 1/n.
  @Test(arguments: [[], ["objective.normalization=weight"]], [allRows, batch, [0, 3, 1]])
  func everyDomainCountsByItsWeight(settings: [String], batch: [Int]) throws {
    let setup = try TrainerSetup("llama-gqa", Self.dro + settings)
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    let amount = { (row: Int) in settings.isEmpty ? 1 : setup.dataset.example(row).weight }
    let total = batch.reduce(0) { $0 + amount($1) }
    let q = task.state.map { exp($0) }
    let shared = batch.map { row in
      let own = batch.filter { domain($0) == domain(row) }.reduce(0) { $0 + amount($1) }
      return setup.dataset.example(row).weight * (q[domain(row)] * total / own)
    }
    let norm = try trainer.step(0, trainer.plan(batch, of: task), of: task).gradientNorm
    // Divided by the number of examples, which is what `total` is for.
    let scale = Double(batch.count) / total
    let frozen = try parameters("llama-gqa", [], weights: shared.map { $0 * scale }, batch: batch)
    if settings.isEmpty { #expect(trainer.weights.trained.values == frozen.parameters && norm == frozen.norm) }
    #expect(abs(norm / frozen.norm - 1) <= 1e-6)
  }

  // q ∝ q·exp(η·(ℓ̄ + C/√n)) with four rows in each domain, from the losses that the table shows.
  @Test func weightsOfDomainsFollowTheirLosses() throws {
    let setup = try TrainerSetup("llama-gqa", Self.dro)
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    var q = [1.0, 1, 1].map { $0 / 3 }
    for step in 0..<3 {
      _ = try trainer.step(step, trainer.plan(Self.allRows, of: task), of: task)
      let losses = (0..<3).map { domain in
        Self.allRows.filter { self.domain($0) == domain }.reduce(0) { $0 + trainer.table[$1, 0] } / 4
      }
      // What is reported is the loss that was learned from: of the weights before.
      let robust = zip(q, losses).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(task.meanLoss(trainer.table, of: Self.allRows) - robust) <= 1e-12 * abs(robust))
      let logged = task.weightMetrics(trainer.table)
      #expect(logged.map(\.name) == ["group_dro/a", "group_dro/b", "group_dro/(none)"])
      #expect(zip(logged, q).allSatisfy { abs($0.value - $1) <= 1e-12 })
      q = zip(q, losses).map { $0 * exp(2 * ($1 + 0.5 / 2)) }
      q = q.map { $0 / q.reduce(0, +) }
      #expect(zip(task.state, q).allSatisfy { abs(exp($0) - $1) <= 1e-12 })
    }
    let worst = try #require(q.indices.max { q[$0] < q[$1] })
    #expect(q[worst] > 1 / 3)
  }

  /// Eight rows of one domain prefer a completion, two of another its rival: losses of both after some steps, and log q.
  private func quarrel(_ settings: [String]) throws -> (losses: [Double], state: [Double]) {
    let (likes, dislikes) = (#""chosen": "yes", "rejected": "no""#, #""chosen": "no", "rejected": "yes""#)
    let rows = (0..<10).map { #"{"prompt": "p", \#($0 < 8 ? likes : dislikes), "domain": "\#($0 < 8 ? "a" : "b")"}"# }
    let descent = ["optimizer.name=sgd", "optimizer.learning_rate=0.02", "objective.name=simpo", "objective.gamma=0"]
    let setup = try TrainerSetup("llama-gqa", descent + settings)
    let data = try dataset(setup.directory, rows)
    let task = PreferenceTask(
      try setup.configuration.preferenceLoss, data: ObjectiveData(dataset: data, reference: .none),
      normalization: .count, contextLength: 64,
      domains: try setup.configuration.groupDRO.map { try RobustDomains($0, data) })
    let trainer = try setup.trainer()
    for step in 0..<60 { _ = try trainer.step(step, trainer.plan(Array(0..<10), of: task), of: task) }
    try trainer.evaluate(Array(0..<10), of: task)
    return ([trainer.table[0, 0], trainer.table[9, 0]], task.state)
  }

  // Everybody agrees with the eight; weighed by losses, the two domains have the same in the end.
  @Test func theWorseDomainIsHeard() throws {
    let (plain, robust) = (try quarrel([]), try quarrel(["objective.group_dro=true", "objective.group_dro_step=0.5"]))
    #expect(plain.state.isEmpty && plain.losses[1] > 2 * plain.losses[0])
    #expect(robust.losses[1] < plain.losses[1] && robust.losses[1] < 1.5 * robust.losses[0])
    print("DEBUG", plain, robust)
  }

  private func dataset(_ directory: TemporaryDirectory, _ rows: [String]) throws -> TokenizedDataset {
    let file = try directory.write("domains.jsonl", rows.joined(separator: "\n"))
    var options = EncodingOptions(contextLength: 64, endOfSequence: 2)
    options.selection = .pairs
    return try TokenizedDataset.prepare(
      files: [file], encoder: FoldingEncoder(), encoderDigest: "folding", options: options,
      cacheDirectory: "\(directory.path)/domains"
    ).dataset
  }

  @Test func dataOfOneDomainAreRefused() throws {
    let rows = (0..<4).map { #"{"prompt": "p\#($0)", "chosen": "c", "rejected": "r", "domain": "a"}"# }
    let data = try dataset(try TemporaryDirectory(), rows)
    let settings = try #require(try configuration(["objective.group_dro=true"]).groupDRO)
    #expect(fault(.configuration) { _ = try RobustDomains(settings, data) }.hasPrefix("objective.group_dro:"))
  }

  // MARK: What does not go together

  @Test(arguments: [
    (["objective.group_dro=true", "objective.name=aot"], "objective.group_dro"),
    (["objective.group_dro=true", "objective.name=grpo", "reward.name=gold"], "objective.group_dro"),
    (
      ["objective.group_dro=true", "objective.weighting=wpo", "objective.normalization=weight"], "objective.group_dro"
    ),
    (["objective.weighting=wpo", "objective.normalization=weight", "objective.nll=1"], "objective.weighting"),
    (["objective.weighting=wpo", "objective.normalization=weight", "objective.name=cpo"], "objective.weighting"),
    (["objective.weighting=wpo", "objective.name=sft"], "objective.weighting"),
    (["objective.weighting=is_daa", "objective.name=simpo"], "objective.weighting"),
    (["objective.group_dro=perhaps"], "objective.group_dro"),
    (["objective.group_dro=true", "objective.group_dro_step=-1"], "objective.group_dro_step"),
  ])
  func theKeyIsNamed(settings: [String], key: String) {
    let message = fault(.configuration) { _ = try configuration(settings) }
    #expect(message.hasPrefix("\(key):"), "\(message)")
  }

  @Test(arguments: [
    ["objective.weighting=wpo", "objective.nll=1"],
    [
      "objective.weighting=wpo", "objective.normalization=weight", "objective.name=orpo", "objective.average=sequences",
    ],
    ["objective.weighting=wpo", "objective.group_dro=true"], ["objective.group_dro=true", "objective.name=kto"],
    ["objective.group_dro=true", "objective.name=bradley_terry", "objective.normalization=weight"],
  ])
  func othersGoTogether(settings: [String]) throws { _ = try configuration(settings) }
}
