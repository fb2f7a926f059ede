import AlignmentCore
import Checkpoints
import Objectives
import PreferenceData
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// What a rank of a run will hold and compute, found out without weights: from the recipe, the model's config.json and a sample of the
/// data.
///
/// The arenas are those that the run itself would make, reserved but never touched, so that no second account of them can go
/// wrong.
package struct RunOutline {
  /// How many ranks there will be.
  package struct World: Equatable {
    package var hosts: Int
    package var ranksPerHost: Int
    var ranks: Int { hosts * ranksPerHost }

    package init(hosts: Int, ranksPerHost: Int) {
      self.hosts = hosts
      self.ranksPerHost = ranksPerHost
    }
  }

  /// Units that all ranks compute before they meet again.
  struct Pass {
    enum Kind {
      /// Forward and backward.
      case training
      /// Forward, so many times.
      case scoring(Int)
    }

    let kind: Kind
    /// The units of each rank.
    let ranks: [[UnitWork]]
    /// How often it happens in an optimiser step, on average.
    let frequency: Double
  }

  let configuration: RunConfiguration
  let source: ModelSource
  let world: World
  let head: ModelHead
  let trained: TrainedParameters
  /// What a rank allocates for training; shared ones once for a host.
  package let arenas: [MemoryLedger.Entry]
  /// The passes of an average step.
  let passes: [Pass]
  /// A unit of the data, for measurements.
  let unit: WorkUnit
  let sampling: SamplingOutline?
  /// Optimiser steps of the run.
  let steps: Int
  /// Bytes of tokenised data, about.
  let dataBytes: Int
  /// Bytes of the tokenizer and of what else comes with the model.
  let tokenizerBytes: Int
  /// Units of an average batch.
  let unitsPerStep: Double

  /// Outlines a run on a number of ranks.
  package init(_ configuration: RunConfiguration, on world: World) throws {
    self.configuration = configuration
    self.world = world
    guard configuration.online == nil else {
      throw Fault(
        .configuration, "answers that are drawn and judged at every step cannot be planned", at: "online",
        hint: "plan the same recipe without it: the training itself takes as much")
    }
    let before = ProcessMemory.resident
    let source = try ModelSource(configuration.model, readsWeights: false)
    tokenizerBytes = max(0, ProcessMemory.resident - before)
    self.source = source
    let directory = try ScratchDirectory()
    let sample = try OutlinedData(configuration, source, directory.path)
    head = sample.head
    let plan = try TrainedPlan(configuration, source, head)
    trained = plan.trained
    let communicator = MirrorCommunicator(hosts: world.hosts, ranksPerHost: world.ranksPerHost)
    let (_, training) = try MemoryLedger.reserving {
      try TrainingSetup.trainer(
        configuration, source, plan, sample.capacity, needsReference: sample.needsReference, totalSteps: 1 << 20,
        communicator)
    }
    let (_, others) = try MemoryLedger.reserving { try sample.allocateOthers(configuration, source, communicator) }
    arenas = training + others
    sampling = sample.sampling
    let packer = PassPacker(
      cost: WorkCost(source.configuration, head: head), unitTokens: configuration.batch.unitTokens, ranks: world.ranks)
    passes = sample.passes(configuration, packer)
    unit = packer.firstUnit(of: sample.batches[0], sample.groups)
    unitsPerStep =
      Double(sample.batches.reduce(0) { $0 + packer.plan($1, sample.groups).units.count })
      / Double(sample.batches.count)
    steps = sample.steps
    dataBytes = sample.bytes
  }
}

/// Cuts batches into units and deals those, as training does.
struct PassPacker {
  let cost: WorkCost
  let unitTokens: Int
  let ranks: Int

  func plan(_ examples: [Int], _ groups: any PromptGroups) -> UnitPlan {
    UnitPlan.balanced(examples, of: groups, tokens: unitTokens, cost: cost)
  }

  /// One pass over each batch.
  func passes(
    _ kind: RunOutline.Pass.Kind, _ batches: [[Int]], _ groups: any PromptGroups, frequency: Double
  ) -> [RunOutline.Pass] {
    batches.map { batch in
      let plan = plan(batch, groups)
      let ranks = plan.assignment(ranks: ranks).map { units in
        units.map { index in
          var unit = WorkUnit()
          plan.fill(&unit, with: index, from: groups)
          return UnitWork(unit)
        }
      }
      return RunOutline.Pass(kind: kind, ranks: ranks, frequency: frequency / Double(batches.count))
    }
  }

  func firstUnit(of batch: [Int], _ groups: any PromptGroups) -> WorkUnit {
    var unit = WorkUnit()
    plan(batch, groups).fill(&unit, with: 0, from: groups)
    return unit
  }
}

/// A directory of temporary files that goes away with this object.
final class ScratchDirectory {
  let path: String

  init() throws {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    path = "\(parent)/adalign-plan-\(getpid())-\(UInt64(MonotonicClock.seconds * 1e9))"
    try FileSystem.makeDirectory(path)
  }

  deinit { try? FileSystem.removeTree(path) }
}
