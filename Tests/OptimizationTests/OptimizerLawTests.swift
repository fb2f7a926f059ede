import AlignmentCore
import Optimization
import Testing

/// What every optimiser of the registry must obey.
@Suite struct OptimizerLawTests {
  static let arena = Arena.twoGroups
  static let groups = [
    GroupStep(learningRate: 1e-2, weightDecay: 0.1, gradientScale: 0.7),
    GroupStep(learningRate: 3e-3, weightDecay: 0.02, gradientScale: 1),
  ]

  /// A training on ranks that share nothing but what the trainer exchanges.
  private struct Ranks {
    let method: Method
    let sharding: Sharding
    let optimizers: [any Optimizer]
    var parameters: [Float]

    init(_ method: Method, _ count: Int, parameters: [Float], bucketBlocks: Int? = nil) throws {
      let sharding = Sharding(count: arena.count, ranks: count, bucketBlocks: bucketBlocks)
      self.method = method
      self.sharding = sharding
      self.parameters = parameters
      optimizers = try (0..<count).map {
        try method.make(shard: sharding.shard(ofRank: $0), runs: arena.runs, tensors: arena.tensors)
      }
    }

    /// Each rank updates its shard of its own copy, knowing only the gradients that it may read.
    mutating func step(_ step: Int, _ gradients: [Float], _ groups: [GroupStep]) throws {
      let before = parameters
      for (rank, optimizer) in optimizers.enumerated() {
        let shard = Set(sharding.shard(ofRank: rank).joined())
        let isWhole = try method.type.needsWholeGradients
        let known = gradients.enumerated().map { isWhole || shard.contains($0) ? $1 : .nan }
        let (own, input) = (try buffer(before), try buffer(known))
        optimizer.update(parameters: own.view, gradients: input.view, step: step, groups: groups)
        let after = own.values
        let isOutside = after.indices.contains { !shard.contains($0) && after[$0] != before[$0] }
        #expect(!isOutside, "rank \(rank) writes outside its shard")
        for index in shard { parameters[index] = after[index] }
      }
    }

    mutating func train(_ steps: Range<Int>) throws {
      for step in steps {
        var groups = OptimizerLawTests.groups
        groups[0].learningRate *= 1 - 0.2 * Double(step)
        try self.step(step, pseudoRandom(arena.count, seed: UInt64(step) + 2), groups)
      }
    }

    /// The state of all ranks: vectors over the arena, and what every rank has.
    func state() -> (sharded: [[Float]], replicated: [[[Float]]]) {
      let names = optimizers[0].shardedState.map(\.name)
      let sharded = names.indices.map { index in
        var whole = [Float](repeating: .nan, count: OptimizerLawTests.arena.count)
        for (rank, optimizer) in optimizers.enumerated() {
          let values = optimizer.shardedState[index].view.values
          for (value, position) in zip(values, sharding.shard(ofRank: rank).joined()) { whole[position] = value }
        }
        return whole
      }
      return (sharded, optimizers.map { $0.replicatedState.map(\.view.values) })
    }

    /// Sets the state from that of other ranks, as a checkpoint does.
    func restore(_ state: (sharded: [[Float]], replicated: [[[Float]]])) {
      for (rank, optimizer) in optimizers.enumerated() {
        let shard = sharding.shard(ofRank: rank).joined()
        for (entry, values) in zip(optimizer.shardedState, state.sharded) {
          for (index, position) in shard.enumerated() { entry.view.base[index] = values[position] }
        }
        for (entry, values) in zip(optimizer.replicatedState, state.replicated[0]) {
          for (index, value) in values.enumerated() { entry.view.base[index] = value }
        }
      }
    }
  }

  static let initial = pseudoRandom(arena.count, seed: 1)

  @Test(arguments: Method.all, [nil, 1, 2])
  func anyShardingGivesTheSameBits(method: Method, bucketBlocks: Int?) throws {
    var alone = try Ranks(method, 1, parameters: Self.initial)
    try alone.train(0..<3)
    #expect(alone.parameters.allSatisfy { $0.isFinite } && alone.parameters != Self.initial)
    let expected = alone.state()
    for count in [2, 3, 5, 9] {
      var ranks = try Ranks(method, count, parameters: Self.initial, bucketBlocks: bucketBlocks)
      try ranks.train(0..<3)
      #expect(ranks.parameters == alone.parameters, "\(count) ranks")
      let state = ranks.state()
      #expect(state.sharded == expected.sharded, "\(count) ranks")
      #expect(state.replicated.allSatisfy { $0 == expected.replicated[0] }, "\(count) ranks")
    }
  }

  @Test(arguments: Method.all)
  func stateContinuesOnOtherRanks(method: Method) throws {
    var whole = try Ranks(method, 2, parameters: Self.initial)
    try whole.train(0..<2)
    var continued = try Ranks(method, 3, parameters: whole.parameters, bucketBlocks: 1)
    continued.restore(whole.state())
    try whole.train(2..<4)
    try continued.train(2..<4)
    #expect(continued.parameters == whole.parameters)
    #expect(continued.state().sharded == whole.state().sharded)
    #expect(continued.state().replicated[0] == whole.state().replicated[0])
  }

  @Test(arguments: Method.all)
  func stateIsNamedOnceAndAsLongAsTheShard(method: Method) throws {
    let shard = [100..<5_000, 9_000..<9_001]
    let optimizer = try method.make(shard: shard, runs: Self.arena.runs, tensors: Self.arena.tensors)
    let names = (optimizer.shardedState + optimizer.replicatedState).map(\.name)
    #expect(Set(names).count == names.count && !names.contains("parameters"))
    for entry in optimizer.shardedState {
      #expect(entry.view.count == shard.joined().count && entry.view.values.allSatisfy { $0 == 0 })
    }
  }

  @Test(arguments: Method.all, [1, 3])
  func onlyTheGivenRunsDecay(method: Method, count: Int) throws {
    var ranks = try Ranks(method, count, parameters: Array(repeating: 2, count: Self.arena.count))
    try ranks.step(0, Array(repeating: 0, count: Self.arena.count), Self.groups)
    for run in Self.arena.runs {
      let values = Set(ranks.parameters[run.range])
      #expect(run.decays ? values.allSatisfy { $0 < 2 && $0 > 0 } : values == [2], "\(run)")
    }
  }

  @Test(arguments: Method.all)
  func withoutWeightDecayNothingDecays(method: Method) throws {
    var ranks = try Ranks(method, 1, parameters: Array(repeating: 2, count: Self.arena.count))
    let groups = Self.groups.map { GroupStep(learningRate: $0.learningRate, weightDecay: 0, gradientScale: 1) }
    try ranks.step(0, Array(repeating: 0, count: Self.arena.count), groups)
    #expect(ranks.parameters.allSatisfy { $0 == 2 })
  }

  @Test(arguments: Method.all)
  func onlyGroupsWithALearningRateMove(method: Method) throws {
    var ranks = try Ranks(method, 2, parameters: Self.initial)
    var groups = Self.groups
    groups[1].learningRate = 0
    try ranks.step(0, pseudoRandom(Self.arena.count, seed: 2), groups)
    for run in Self.arena.runs {
      let changes = zip(ranks.parameters[run.range], Self.initial[run.range]).count { $0 != $1 }
      // An update may be too small for a parameter.
      #expect(run.group == 1 ? changes == 0 : 10 * changes > 9 * run.range.count, "\(run)")
    }
  }

  /// Factors that are powers of two move no bits, so scaling by the factor or beforehand must agree.
  @Test(arguments: Method.all)
  func theGradientScaleOfAGroupMultipliesItsGradients(method: Method) throws {
    let gradients = pseudoRandom(Self.arena.count, seed: 3)
    var groups = Self.groups
    (groups[0].gradientScale, groups[1].gradientScale) = (0.25, 4)
    var scaled = try Ranks(method, 1, parameters: Self.initial)
    try scaled.step(0, gradients, groups)
    let factors = Self.arena.runs.flatMap { Array(repeating: Float($0.group == 0 ? 0.25 : 4), count: $0.range.count) }
    (groups[0].gradientScale, groups[1].gradientScale) = (1, 1)
    var beforehand = try Ranks(method, 1, parameters: Self.initial)
    try beforehand.step(0, zip(gradients, factors).map { $0 * $1 }, groups)
    #expect(scaled.parameters == beforehand.parameters)
  }
}

@Suite struct OptimizerRegistryTests {
  @Test func namesAreUniqueAndEveryMethodDescribesItself() {
    let names = OptimizerRegistry.all.map { $0.name }
    #expect(names == ["adamw", "adafactor", "lion", "rmsprop", "sgd"])
    for type in OptimizerRegistry.all {
      #expect(!type.summary.isEmpty && type.options.allSatisfy { !$0.meaning.isEmpty })
      #expect(throws: Never.self) { try OptimizerRegistry.options([:], for: type) }
    }
  }

  private func refusal(_ body: () throws -> Void) -> String {
    do {
      try body()
    } catch let fault as Fault { return "\(fault)" } catch {}
    Issue.record("nothing was refused")
    return ""
  }

  @Test func unknownNamesOptionsAndValuesAreRefused() {
    let name = refusal { _ = try OptimizerRegistry.type(named: "adam") }
    #expect(name.contains("optimizer.name") && name.contains("\"adam\"") && name.contains("adamw, adafactor, lion"))
    let option = refusal { _ = try OptimizerRegistry.options(["bta1": "0"], for: Lion.self) }
    #expect(option.contains("optimizer.bta1") && option.contains("beta1, beta2"))
    let value = refusal { _ = try OptimizerRegistry.options(["centered": "maybe"], for: RMSProp.self) }
    #expect(value.contains("optimizer.centered") && value.contains("one of no, yes"))
  }

  @Test func optionsOfOthersAreLeftAside() throws {
    let options = try OptimizerRegistry.options(["centered": "yes", "beta2": "0.5"], for: Lion.self)
    #expect(options["beta1"] == 0.9 && options["beta2"] == 0.5)
  }

  @Test(arguments: [["nesterov": "yes"], ["nesterov": "yes", "momentum": "0.9", "dampening": "0.1"]])
  func nesterovNeedsMomentumWithoutDampening(settings: [String: String]) {
    let message = refusal { _ = try Method("sgd", settings).make(shard: [], runs: [], tensors: []) }
    #expect(message.contains("optimizer.nesterov"))
  }
}
