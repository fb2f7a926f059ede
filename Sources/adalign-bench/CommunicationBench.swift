import AlignmentCore
import ArgumentParser
import Collectives
import JSON
import Kernels

/// `mpirun -n N adalign-bench communication`: what the exchange of a step costs beside a computation.
struct CommunicationBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "communication",
    abstract:
      "Time the exchange of gradients and parameters beside a computation, in every mode, on the launched ranks.",
    discussion: """
      A step computes for the given time, a third of it forward and two thirds backward, in equal layers, each of which \
      waits for its parameters and then hands its gradients over. Sums and parameters are verified. One JSON line for \
      each mode: seconds of a step, how many of them the computation waits, and the share of communication that is hidden.
      """)

  @Option(help: "Parameters of the model.")
  var parameters = 15_000_000

  @Option(help: "Layers that compute and communicate in turn.")
  var layers = 12

  @Option(help: "Seconds of computation in a step; 0 takes what the ring takes to communicate, so that each is half.")
  var compute = 0.0

  @Option(help: "Steps to time in each mode.")
  var count = 8

  func run() throws {
    guard parameters > 0, (1...parameters).contains(layers), compute >= 0, count > 0 else {
      throw Fault(.usage, "--parameters, --layers and --count must be positive, and layers no more than parameters")
    }
    let communicator: any Communicator = try launchedRanks()
    BLAS.threads = 1
    let work = try BusyWork()
    let seconds = try compute > 0 ? compute : ringSeconds(communicator, work)
    var ring = 0.0
    for mode in [CommunicationMode.allreduce, .ring, .overlapped] {
      let course = try ExchangeCourse(mode, parameters: parameters, layers: layers, over: communicator)
      let result = try course.run(steps: count, computing: seconds, work)
      if mode == .ring { ring = result.step }
      if communicator.rank == 0 { emit(row(mode, seconds, result, ring: ring, ranks: communicator.size)) }
    }
    (communicator as? MPICommunicator)?.finalize()
  }

  /// What a step takes the ring when nothing is computed.
  private func ringSeconds(_ communicator: any Communicator, _ work: BusyWork) throws -> Double {
    try ExchangeCourse(.ring, parameters: parameters, layers: layers, over: communicator)
      .run(steps: max(2, count / 2), computing: 0, work).wait
  }

  private func row(
    _ mode: CommunicationMode, _ seconds: Double, _ result: ExchangeCourse.Result, ring: Double, ranks: Int
  ) -> [(String, JSONValue)] {
    [
      ("benchmark", .string("communication")), ("mode", .string(ByteString(mode.rawValue))),
      ("overlapped", .bool(result.isOverlapped)), ("ranks", .integer(Int64(ranks))),
      ("parameters", .integer(Int64(parameters))), ("compute_seconds", .double(seconds)),
      ("step_seconds", .double(result.step)), ("wait_seconds", .double(result.wait)),
      ("communication_seconds", .double(result.communication)), ("overlap", .double(result.overlap)),
      ("speed_over_ring", ring > 0 ? .double(ring / result.step) : .null), ("verified", .bool(true)),
    ]
  }
}

/// Matrix products that take as long as they are told to on an idle core.
private struct BusyWork {
  private static let side = 192
  private let memory: FloatBuffer
  private let secondsPerProduct: Double

  init() throws {
    let count = Self.side * Self.side
    let memory = try FloatBuffer(count: 3 * count, purpose: "products")
    for i in 0..<2 * count { memory.view.base[i] = Float(i % 13) * 0.01 }
    self.memory = memory
    secondsPerProduct = measure { Self.multiply(memory) }.percentile(0.5)
  }

  private static func multiply(_ memory: FloatBuffer) {
    let count = side * side
    let matrices = (0..<3).map { Matrix(memory.view[$0 * count..<($0 + 1) * count], rows: side, columns: side) }
    Product.multiply(matrices[0], matrices[1], into: matrices[2])
  }

  /// Does a fixed amount of work, so that whoever takes the core away is seen.
  func run(seconds: Double) {
    for _ in 0..<Int((seconds / secondsPerProduct).rounded()) { Self.multiply(memory) }
  }
}

/// Steps of an exchange whose gradients are known.
private final class ExchangeCourse {
  struct Result {
    /// Seconds of the slowest rank, for a step.
    var step: Double
    var wait: Double
    var communication: Double
    let isOverlapped: Bool
    var overlap: Double { communication > 0 ? max(0, communication - wait) / communication : 0 }
  }

  private let communicator: any Communicator
  private let sharding: Sharding
  private let layers: [Range<Int>]
  private let parameters: FloatBuffer
  private let gradients: FloatBuffer
  private let unit: FloatBuffer
  private let reduction: GradientReduction
  private let exchange: StepExchange

  init(_ mode: CommunicationMode, parameters count: Int, layers: Int, over communicator: any Communicator) throws {
    self.communicator = communicator
    sharding = .interleaved(count: count, ranks: communicator.size)
    self.layers = (0..<layers).map { count * $0 / layers..<count * ($0 + 1) / layers }
    parameters = try FloatBuffer(count: count, purpose: "parameters")
    gradients = try FloatBuffer(count: count, purpose: "gradients")
    unit = try FloatBuffer(count: count, purpose: "gradients")
    for i in 0..<count { unit.view.base[i] = Self.term(i) * Float(communicator.rank + 1) }
    reduction = try GradientReduction(.exact, sharding, rank: communicator.rank)
    exchange = try StepExchange(
      mode, reduction, sharding,
      StepExchange.Arenas(parameters: parameters, gradients: gradients, gathersGradients: false),
      order: self.layers.reversed(), over: communicator)
  }

  /// The gradient of rank 0; every other has a multiple. Sums are exact in Float32.
  private static func term(_ index: Int) -> Float { Float(index % 127 - 63) * 0x1p-12 }

  /// One step for warm-up, which is verified, and the timed ones.
  func run(steps: Int, computing seconds: Double, _ work: BusyWork) throws -> Result {
    try step(seconds, work)
    try verify()
    try communicator.barrier()
    let (waited, communicated, begin) = (exchange.waitSeconds, exchange.communicationSeconds, now())
    for _ in 0..<steps { try step(seconds, work) }
    try exchange.settle()
    let slowest = { (seconds: Double) in try self.communicator.allReduce(.maximum, seconds) / Double(steps) }
    return Result(
      step: try slowest(now() - begin), wait: try slowest(exchange.waitSeconds - waited),
      communication: try slowest(exchange.communicationSeconds - communicated), isOverlapped: exchange.isOverlapped)
  }

  private func step(_ seconds: Double, _ work: BusyWork) throws {
    let share = seconds / Double(3 * layers.count)
    exchange.begin()
    reduction.begin(scale: 1, terms: communicator.size)
    for layer in layers {
      exchange.wait(for: layer)
      work.run(seconds: share)
    }
    for layer in layers.reversed() {
      work.run(seconds: 2 * share)
      guard reduction.add(unit.view, layer) else { throw Fault(.nonFinite, "a gradient was refused") }
      exchange.release(layer)
    }
    try exchange.reduce()
    reduction.means(normalizer: 1, into: gradients.view)
    for piece in sharding.shard(ofRank: communicator.rank) {
      Elementwise.addScaled(
        gradients.view[piece].base, by: 1, into: parameters.view[piece].base, count: piece.count)
    }
    try exchange.gatherParameters()
  }

  /// After one step every parameter is the sum of all ranks' gradients.
  private func verify() throws {
    try exchange.settle()
    let total = Float(communicator.size * (communicator.size + 1) / 2)
    let wrong = (0..<parameters.count).first { parameters.view.base[$0] != Self.term($0) * total }
    let isWrong = try communicator.allReduce(.maximum, wrong == nil ? 0 : 1) > 0
    guard isWrong else { return }
    let place = wrong.map { "parameter \($0) is \(parameters.view.base[$0])" } ?? "another rank's sums are wrong"
    throw Fault(.environment, place, at: "rank \(communicator.rank)", hint: "do not train over this network")
  }
}
