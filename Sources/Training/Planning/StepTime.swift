import AlignmentCore
import PreferenceData
import Transformer

/// The seconds of an average optimiser step, by what they are spent on: a pure function of an outline, of rates and of the speed of units.
package struct StepTime: Sendable, Equatable {
  /// Drawing samples.
  package var sampling = 0.0
  /// Forward and backward passes.
  package var compute = 0.0
  /// Adding gradients of units into the sums.
  package var sums = 0.0
  /// Exchanging sums and parameters; nil where no rate of the link is known.
  package var exchange: Double? = 0
  /// Norm, optimiser, merging of adapters.
  package var update = 0.0

  package var total: Double { sampling + compute + sums + update + (exchange ?? 0) }
  /// The part of the step that the exchange takes if none of it is hidden.
  package var exchangeShare: Double { (exchange ?? 0) / total }
}

/// How much a step moves, and between whom.
package struct StepTraffic: Sendable, Equatable {
  package var trained: Int
  /// Parameters of the model, where adapters are merged into it.
  package var merged: Int
  /// Bytes of the optimiser's state on a rank.
  package var optimizerState: Int
  /// Bytes of a sum: 8 of exact ones, 4 of fast ones.
  package var sumBytes: Int
  package var hosts: Int
  package var ranksPerHost: Int

  package init(
    trained: Int, merged: Int, optimizerState: Int, sumBytes: Int, hosts: Int, ranksPerHost: Int
  ) {
    self.trained = trained
    self.merged = merged
    self.optimizerState = optimizerState
    self.sumBytes = sumBytes
    self.hosts = hosts
    self.ranksPerHost = ranksPerHost
  }

  private var ranks: Int { hosts * ranksPerHost }

  /// Elements of a message of the ring.
  private static let pieceCount = 1 << 20

  /// Seconds of a reduce-scatter of the sums and an all-gather of the parameters around a ring: each rank sends (n − 1)/n of either
  /// (Patarasuk and Yuan 2009, §3); nil without a rate of the links.
  package func exchange(_ rates: MachineRates) -> Double? {
    guard ranks > 1 else { return 0 }
    guard let link = hosts > 1 ? slower(rates.remote, ranksPerHost > 1 ? rates.local : nil) : rates.local else {
      return nil
    }
    let share = Double(ranks - 1) / Double(ranks) * Double(trained)
    let pieces = Double((trained / ranks + Self.pieceCount - 1) / Self.pieceCount)
    let messages = 2 * Double(ranks - 1) * max(pieces, 1)
    // What arrives is added to what is there: two read, one written.
    let adding = 3 * share * Double(sumBytes) / rates.memoryBandwidth
    return share * Double(sumBytes + 4) / link.bandwidth + messages * link.latency + adding
  }

  /// A ring is as fast as its slowest link; a link whose rate is not known is taken to be no slower than the other.
  private func slower(_ remote: MachineRates.Link?, _ local: MachineRates.Link?) -> MachineRates.Link? {
    guard let remote, let local else { return remote }
    return MachineRates.Link(
      latency: max(remote.latency, local.latency), bandwidth: min(remote.bandwidth, local.bandwidth))
  }

  /// Seconds to add the gradient of a unit into the sums: the gradient read, the sum read and written.
  package func sums(_ rates: MachineRates) -> Double {
    Double(trained * (4 + 2 * sumBytes)) / rates.memoryBandwidth
  }

  /// Seconds behind the exchange, and to clear the sums: sums to gradients, the norm, the optimiser on the own shard; with adapters the
  /// whole model, made of base and adapters.
  package func update(_ rates: MachineRates) -> Double {
    let shard = trained / ranks
    let clearing = trained * sumBytes
    let own = shard * (sumBytes + 4) + shard * 4 + shard * 12 + 2 * optimizerState
    return Double(clearing + own + 12 * merged) / rates.memoryBandwidth
  }
}

extension StepTime {
  /// What a step of an outlined run takes.
  init(_ outline: RunOutline, _ rates: MachineRates, _ speed: UnitSpeed) {
    let traffic = outline.traffic
    let c = outline.source.configuration
    let trainingRate = rates.products * speed.training
    let scoringRate = rates.products * speed.scoring
    for pass in outline.passes {
      let slowest = { (seconds: (UnitWork) -> Double) in
        pass.frequency * (pass.ranks.map { $0.reduce(0) { $0 + seconds($1) } }.max() ?? 0)
      }
      switch pass.kind {
      case .training:
        compute += slowest { $0.training(c, head: outline.head, trained: outline.trained) / trainingRate }
        sums += slowest { _ in traffic.sums(rates) }
      case .scoring(let models): compute += slowest { Double(models) * $0.forward(c, head: outline.head) / scoringRate }
      }
    }
    exchange = traffic.exchange(rates)
    update = traffic.update(rates)
    sampling = outline.sampling.map { Self.sampling($0, outline, rates, speed) } ?? 0
  }

  /// Samples that all go on to the limit of their length: every step of decoding reads the weights once for all samples of a unit.
  private static func sampling(
    _ sampling: SamplingOutline, _ outline: RunOutline, _ rates: MachineRates, _ speed: UnitSpeed
  ) -> Double {
    let c = outline.source.configuration
    let weights = 4 * ParameterLayout(c).count
    let decoding =
      Double(sampling.settings.maxNewTokens) * Double(weights) / (rates.memoryBandwidth * speed.decoding)
    let prompts = sampling.requests.reduce(0.0) { sum, request in
      sum + Double(request.prompt.count) * WorkCost(c).perToken
    }
    let unit = decoding + prompts / (rates.products * speed.scoring)
    let unitsPerRank = (sampling.units + outline.world.ranks - 1) / outline.world.ranks
    let stepsPerRollout = sampling.epochs * sampling.prompts / outline.configuration.batch.size
    return Double(unitsPerRank) * unit / Double(max(stepsPerRollout, 1))
  }
}

extension RunOutline {
  var traffic: StepTraffic {
    StepTraffic(
      trained: trained.count,
      merged: trained.isComplete ? 0 : ParameterLayout(source.configuration, head: head).count,
      optimizerState: arenas.filter { $0.purpose == "optimiser state" }.reduce(0) { $0 + $1.bytes },
      sumBytes: configuration.reduction == .exact ? 8 : 4, hosts: world.hosts, ranksPerHost: world.ranksPerHost)
  }
}
