import Foundation

/// A call of the program, alone or under mpirun.
struct Command {
  var arguments: [String]
  /// Number of ranks; nil runs without mpirun.
  var ranks: Int?
  /// Working directory, which also holds the captured output.
  var directory: String
  /// What the environment holds besides; a key for an API it never has by itself.
  var variables: [String: String] = [:]
  /// What is called.
  var executable = Command.program

  /// The release build: beside this test bundle, or else in the package.
  static let program: String = {
    let beside = (CommandLine.arguments[0] as NSString).deletingLastPathComponent
    let package = #filePath.components(separatedBy: "/Tests/")[0]
    return "\(beside.hasSuffix("/release") ? beside : "\(package)/.build/release")/adalign"
  }()

  /// Runs to the end.
  func run(within seconds: Double = 180) async throws -> Outcome {
    try await start().outcome(within: seconds)
  }

  /// Starts without waiting for the end.
  func start() throws -> RunningCommand {
    let capture = "\(directory)/\(UUID().uuidString)"
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = launcher + [executable] + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try Self.emptyFile("\(capture).out")
    process.standardError = try Self.emptyFile("\(capture).err")
    try unblockingSignals { try process.run() }
    return RunningCommand(process, arguments: arguments, capture: capture)
  }

  private var launcher: [String] {
    guard let ranks else { return [] }
    return ["mpirun", "-n", "\(ranks)", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1"]
  }

  private var environment: [String: String] {
    let fixed = [
      "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OPENBLAS_NUM_THREADS": "1",
      "ADALIGN_CACHE": "\(directory)/cache",
    ]
    var inherited = ProcessInfo.processInfo.environment
    inherited["ADALIGN_API_KEY"] = nil
    return inherited.merging(fixed) { $1 }.merging(variables) { $1 }
  }

  /// Tests run on threads that block signals, and a child would inherit that.
  private func unblockingSignals(_ body: () throws -> Void) rethrows {
    var (none, saved) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &saved)
    defer { pthread_sigmask(SIG_SETMASK, &saved, nil) }
    try body()
  }

  private static func emptyFile(_ path: String) throws -> FileHandle {
    try Data().write(to: URL(fileURLWithPath: path))
    return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
  }
}

/// How a command ended.
struct Outcome {
  /// Exit code, or 128 + signal as a shell shows it.
  let status: Int32
  let stdout: String
  let stderr: String
  let seconds: Double

  /// The lines in which the program tells why it ended, without those of mpirun.
  var faults: [String] { stderr.split(separator: "\n").map(String.init).filter { $0.hasPrefix("adalign") } }

  /// The lines of stdout.
  var lines: [String] { stdout.split(separator: "\n").map(String.init) }
}

/// Why a test cannot go on.
struct Failure: Error, CustomStringConvertible {
  let description: String
}

/// A command that was started.
final class RunningCommand {
  private let process: Process
  private let arguments: [String]
  private let capture: String
  private let started = ContinuousClock.now

  init(_ process: Process, arguments: [String], capture: String) {
    self.process = process
    self.arguments = arguments
    self.capture = capture
  }

  /// Whether it has not ended yet.
  var isRunning: Bool { process.isRunning }

  /// Sends a signal to the process that was started: mpirun, or the program if there is no mpirun.
  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// The processes of the ranks, which are mpirun's children or the program itself.
  var ranks: [pid_t] {
    let children = children(of: process.processIdentifier)
    return children.isEmpty ? [process.processIdentifier] : children
  }

  /// Waits for the end; kills the command and throws after a time.
  func outcome(within seconds: Double = 180) async throws -> Outcome {
    do {
      try await eventually("the end of \(arguments)", within: seconds) { !process.isRunning }
    } catch {
      for rank in ranks { kill(rank, SIGKILL) }
      send(SIGKILL)
      throw Failure(description: "\(error); stderr: \(text("err"))")
    }
    let status = process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
    return Outcome(
      status: status, stdout: text("out"), stderr: text("err"), seconds: (ContinuousClock.now - started) / .seconds(1))
  }

  private func text(_ stream: String) -> String {
    String(decoding: (try? Data(contentsOf: URL(fileURLWithPath: "\(capture).\(stream)"))) ?? Data(), as: UTF8.self)
  }

  private func children(of parent: pid_t) -> [pid_t] {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(parent)/task")) ?? []
    return threads.flatMap { thread in
      let list = try? String(contentsOfFile: "/proc/\(parent)/task/\(thread)/children", encoding: .utf8)
      return (list ?? "").split(separator: " ").compactMap { pid_t($0) }
    }
  }
}

/// Waits until a condition holds.
func eventually(_ what: String, within seconds: Double = 30, _ condition: () throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while try !condition() {
    guard ContinuousClock.now < deadline else { throw Failure(description: "waited \(seconds) s for \(what)") }
    try await Task.sleep(for: .milliseconds(2))
  }
}
