import Foundation

/// A directory with stand-ins for mpirun, srun, ssh and the commands of batch systems, which record how they are called.
///
/// What an attempt does is said by a word of `STUB_ENDINGS`: a number is its exit code; `began:N` shows a heartbeat
/// first; `wait` lasts until USR1 and exits with 75; `deaf` lasts until TERM; `hang` promises a heartbeat each second,
/// which never comes, and ignores everything but KILL.
struct StubLauncher {
  static let cluster = #filePath.components(separatedBy: "/Tests/")[0] + "/cluster"

  let workspace: Workspace

  init(_ workspace: Workspace) throws {
    self.workspace = workspace
    try FileManager.default.createDirectory(atPath: workspace("bin"), withIntermediateDirectories: true)
    try install("mpirun", Self.mpirun)
    try install("srun", "[[ $1 == --mpi=list ]] && echo \"$STUB_MPI\" && exit\n" + Self.mpirun)
    try install("ssh", #"[[ "$*" != *"$STUB_DEAD"* ]]"#)
    try install("squeue", #"echo "$STUB_STATE""#)
    try install("scontrol", #"[[ $* == *show* ]] && echo " $STUB_PREEMPTED " || echo "$@" >>"$STUB/scontrol""#)
    try install("adalign", "exit 99")
  }

  /// A launcher's call; `endings` are those of the attempts, one after the other.
  func call(
    _ script: String, _ arguments: [String], endings: String, _ variables: [String: String] = [:]
  ) -> Command {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let stubs = [
      "PATH": "\(workspace("bin")):\(path)", "STUB": workspace.path, "STUB_ENDINGS": endings, "STUB_MPI": "pmix",
      "STUB_DEAD": "nobody", "STUB_STATE": "RUNNING", "STUB_PREEMPTED": "PreemptTime=None",
      "ADALIGN_PROGRAM": workspace("bin/adalign"),
      "ADALIGN_RESTART_DELAY": "0", "ADALIGN_API_KEY": "canary",
    ]
    return Command(
      arguments: arguments, directory: workspace.path, variables: stubs.merging(variables) { $1 },
      executable: "\(Self.cluster)/\(script)")
  }

  /// Arguments of mpirun or srun in an attempt, without the program's path.
  func arguments(ofAttempt number: Int = 1) -> [String] {
    lines("arguments.\(number)").map { $0 == workspace("bin/adalign") ? "adalign" : $0 }
  }

  /// What the environment of an attempt says.
  func variable(_ name: String, ofAttempt number: Int = 1) -> String? {
    lines("environment.\(number)").first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.count + 1)) }
  }

  /// The hosts that an attempt was given.
  func hosts(ofAttempt number: Int) -> [String] { lines("hosts.\(number)") }

  /// How often mpirun or srun was started.
  var attempts: Int { lines("attempts").count }

  /// The signals that it received.
  var signals: [String] { lines("signals") }

  /// What was asked of Slurm.
  var requests: [String] { lines("scontrol") }

  private func lines(_ name: String) -> [String] {
    let text = try? String(contentsOfFile: workspace(name), encoding: .utf8)
    return (text ?? "").split(separator: "\n").map(String.init)
  }

  private func install(_ name: String, _ body: String) throws {
    try workspace.write("bin/\(name)", lines: ["#!/usr/bin/env bash", body])
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: workspace("bin/\(name)"))
  }

  private static let mpirun = #"""
    trap 'echo USR1 >>"$STUB/signals"; [[ $ending == wait ]] && exit 75' USR1
    trap 'echo TERM >>"$STUB/signals"; [[ $ending == deaf ]] && exit 1' TERM
    number=$(($(cat "$STUB/attempts" 2>/dev/null | wc -l) + 1))
    printf '%s\n' "$@" >"$STUB/arguments.$number"
    env >"$STUB/environment.$number"
    if [[ $1 == --hostfile ]]; then cp "$2" "$STUB/hosts.$number"; fi
    ending=$(cut -d ' ' -f "$number" <<<"$STUB_ENDINGS")
    echo "$number" >>"$STUB/attempts"
    case $ending in
      [0-9]*) exit "$ending" ;;
      began:*) echo '600 1' >"$ADALIGN_HEARTBEAT" && exit "${ending#began:}" ;;
      hang) echo '1 1' >"$ADALIGN_HEARTBEAT" ;;
    esac
    while :; do sleep 0.05; done
    """#
}
