import Foundation
import Testing

extension SystemTests {
  /// What the launchers ask of mpirun and srun, and what they make of signals and exit codes; nothing is trained here.
  @Suite struct Launchers {
    let workspace: Workspace
    let stub: StubLauncher

    init() throws {
      workspace = try Workspace()
      stub = try StubLauncher(workspace)
    }

    // MARK: Command lines

    @Test("local.sh hands everything to mpirun, and sets what each launch needs")
    func local() async throws {
      let outcome = try await run("local.sh", ["-n", "1", "-t", "1", "--", "train", "r.yaml", "run=a b"], endings: "0")
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(stub.arguments() == ["-n", "1", "adalign", "train", "r.yaml", "run=a b"])
      #expect(stub.variable("OPENBLAS_NUM_THREADS") == "1")
      #expect(stub.variable("OMPI_MCA_hwloc_base_binding_policy") == "none")
      let keepalive = ["time", "intvl", "probes"].map { stub.variable("OMPI_MCA_oob_tcp_keepalive_\($0)") }
      #expect(keepalive == ["15", "5", "3"])
    }

    @Test("local.sh tells mpirun when there are more ranks than cores, and only then")
    func oversubscribed() async throws {
      _ = try await run("local.sh", ["-n", "1000", "train"], endings: "0")
      #expect(stub.arguments().contains("--oversubscribe"))
    }

    @Test("what is set outside wins")
    func overridden() async throws {
      _ = try await run("local.sh", ["-n", "1", "train"], endings: "0", ["OMPI_MCA_oob_tcp_keepalive_time": "60"])
      #expect(stub.variable("OMPI_MCA_oob_tcp_keepalive_time") == "60")
    }

    @Test("ssh.sh passes on what remote ranks need, and never a key")
    func ssh() async throws {
      let hostfile = try workspace.write("hosts", lines: ["node1 slots=2"])
      let outcome = try await run(
        "ssh.sh", [hostfile, "-n", "2", "-x", "LANGUAGE", "--", "train", "r.yaml"], endings: "0",
        ["LANGUAGE": "en", "LD_LIBRARY_PATH": "/opt/lib", "ADALIGN_CACHE": ""])
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let exported = ["-x", "OPENBLAS_NUM_THREADS", "-x", "LD_LIBRARY_PATH", "-x", "LANGUAGE"]
      #expect(stub.arguments() == ["--hostfile", hostfile] + exported + ["-n", "2", "adalign", "train", "r.yaml"])
      #expect(stub.variable("ADALIGN_API_KEY") == "canary")
    }

    @Test(
      "wrong command lines are refused before anything starts",
      arguments: [
        ["local.sh"], ["local.sh", "-n", "0", "train"], ["local.sh", "-q", "train"], ["ssh.sh", "missing", "train"],
        ["ssh.sh", "/dev/null", "-x", "ADALIGN_API_KEY", "train"], ["ssh.sh", "/dev/null", "-x", "A=1", "train"],
      ])
    func refused(call: [String]) async throws {
      let outcome = try await run(call[0], Array(call.dropFirst()), endings: "0")
      #expect(outcome.status == 64)
      #expect(outcome.stderr.hasPrefix(call[0]), "\(outcome.stderr)")
      #expect(stub.attempts == 0)
    }

    // MARK: Exit codes and restarts

    @Test("an ending that no attempt can mend is passed on", arguments: [0, 1, 64, 73, 76])
    func final(status: Int) async throws {
      #expect(try await run("local.sh", ["-n", "1", "train"], endings: "\(status) 0").status == status)
      #expect(stub.attempts == 1)
    }

    @Test(
      "an ending that another attempt may mend gets one",
      arguments: ["74 0", "75 0", "137 0", "139 205 143 0", "began:1 1 0"])
    func restarted(endings: String) async throws {
      let outcome = try await run("local.sh", ["-n", "1", "train"], endings: endings)
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(stub.attempts == endings.split(separator: " ").count)
    }

    @Test("restarts have a limit, and the last exit code is told", arguments: [[], ["-r", "1"], ["-r", "0"]])
    func limited(option: [String]) async throws {
      let outcome = try await run("local.sh", option + ["-n", "1", "train"], endings: "137 139 143 205 0")
      let restarts = option.last.flatMap { Int($0) } ?? 3
      #expect(outcome.status == [137, 139, 143, 205][restarts])
      #expect(stub.attempts == restarts + 1)
    }

    @Test("commands that begin anew each time are not restarted")
    func notRestarted() async throws {
      #expect(try await run("local.sh", ["-n", "1", "score"], endings: "137 0").status == 137)
      #expect(stub.attempts == 1)
    }

    @Test("an mpirun that hangs is ended when the promised heartbeat stays away, and started again")
    func hanging() async throws {
      let outcome = try await run("local.sh", ["-n", "1", "train"], endings: "hang 0")
      #expect(outcome.status == 0)
      #expect(outcome.stderr.contains("no heartbeat"))
      #expect(outcome.stderr.contains("ended with 74"))
      #expect(stub.attempts == 2)
    }

    @Test("a restart leaves out a host that does not answer")
    func lostHost() async throws {
      let hostfile = try workspace.write(
        "hosts", lines: ["# three", "localhost slots=2", "node2 slots=4", "  node3  slots=3 max_slots=3"])
      let outcome = try await run(
        "ssh.sh", [hostfile, "-n", "8", "train"], endings: "205 0", ["STUB_DEAD": "node2"])
      #expect(outcome.status == 0, "\(outcome.stderr)")
      #expect(stub.hosts(ofAttempt: 2) == ["localhost slots=2", "node3  slots=3 max_slots=3"])
      #expect(stub.arguments(ofAttempt: 2).contains(["-n", "5"]))
    }

    // MARK: Signals

    @Test("each request to stop becomes USR1 for mpirun", arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1])
    func polite(signal: Int32) async throws {
      let running = try await start("local.sh", ["-n", "1", "train"], endings: "wait 0")
      running.send(signal)
      #expect(try await running.outcome(within: 10).status == 75)
      #expect(stub.signals == ["USR1"])
      #expect(stub.attempts == 1)
    }

    @Test("the second TERM ends an mpirun that does not save")
    func impatient() async throws {
      let running = try await start("local.sh", ["-n", "1", "train"], endings: "deaf 0")
      running.send(SIGTERM)
      try await eventually("USR1") { stub.signals == ["USR1"] }
      running.send(SIGTERM)
      let outcome = try await running.outcome(within: 5)
      #expect(outcome.status == 128 + SIGTERM)
      #expect(stub.signals == ["USR1", "TERM"])
      #expect(stub.attempts == 1)
    }

    @Test("a request between two attempts is heard at once")
    func betweenAttempts() async throws {
      let running = try await start(
        "local.sh", ["-n", "1", "train"], endings: "137 0", ["ADALIGN_RESTART_DELAY": "100"])
      try await Task.sleep(for: .milliseconds(300))
      running.send(SIGTERM)
      #expect(try await running.outcome(within: 5).status == 75)
      #expect(stub.attempts == 1)
    }

    @Test("mpirun does not outlive its launcher")
    func killed() async throws {
      let running = try await start("local.sh", ["-n", "1", "train"], endings: "wait")
      let children = running.ranks
      running.send(SIGKILL)
      _ = try await running.outcome(within: 5)
      try await eventually("the end of mpirun", within: 5) { children.allSatisfy { kill($0, 0) != 0 } }
    }

    // MARK: Batch systems

    @Test("Slurm starts ranks by srun where it has PMIx, else by mpirun", arguments: ["pmix", "pmi2"])
    func slurm(plugins: String) async throws {
      let outcome = try await batch("slurm.sbatch", endings: "0", ["STUB_MPI": plugins, "SLURM_CPUS_PER_TASK": "2"])
      #expect(outcome.status == 0, "\(outcome.stderr)")
      let srun = ["--mpi=pmix", "--cpus-per-task=2", "--wait=5"]
      #expect(stub.arguments() == (plugins == "pmix" ? srun : []) + ["adalign", "train", "r.yaml"])
      #expect(stub.requests == [])
    }

    @Test(
      "a Slurm job that saved is queued again unless it was cancelled, others only when Slurm ended them",
      arguments: [
        ("75", "RUNNING", true), ("75", "COMPLETING", false), ("0", "RUNNING", false), ("65", "RUNNING", false),
      ])
    func requeued(ending: String, state: String, again: Bool) async throws {
      let outcome = try await batch("slurm.sbatch", endings: ending, ["STUB_STATE": state])
      #expect(outcome.status == Int32(ending))
      #expect(stub.requests == (again ? ["requeue 7"] : []))
      #expect(stub.attempts == 1)
    }

    @Test(
      "a Slurm job restarts its ranks, but not in the time that a preempted one has to end", arguments: [true, false])
    func preempted(isPreempted: Bool) async throws {
      let time = isPreempted ? "PreemptTime=2026-01-01T00:00:00" : "PreemptTime=None"
      let outcome = try await batch("slurm.sbatch", endings: "205 0", ["STUB_PREEMPTED": time])
      #expect(outcome.status == (isPreempted ? 75 : 0))
      #expect(stub.attempts == (isPreempted ? 1 : 2))
      #expect(stub.requests == (isPreempted ? ["requeue 7"] : []))
    }

    @Test("PBS: the job's hosts, ssh, and a clock for the walltime")
    func pbs() async throws {
      let nodes = try workspace.write("nodes", lines: ["node2", "node2", "node1"])
      let outcome = try await batch("pbs.sh", endings: "wait 0", ["PBS_NODEFILE": nodes, "PBS_WALLTIME": "0:00:02"])
      #expect(outcome.status == 75, "\(outcome.stderr)")
      let expected = ["-x", "OPENBLAS_NUM_THREADS", "-x", "ADALIGN_CACHE", "adalign", "train", "r.yaml"]
      #expect(Array(stub.arguments().dropFirst(2)) == expected)
      #expect(stub.hosts(ofAttempt: 1) == ["node2 slots=2", "node1 slots=1"])
      #expect(stub.variable("OMPI_MCA_plm_rsh_agent") == "ssh")
      #expect(stub.signals == ["USR1"])
      #expect(stub.attempts == 1)
    }

    @Test("LSF: the job's hosts, blaunch, and 75 for its queue", arguments: [SIGUSR1, SIGUSR2, SIGINT])
    func lsf(signal: Int32) async throws {
      let hosts = try workspace.write("nodes", lines: ["node1", "node2"])
      let running = try await startBatch("lsf.sh", endings: "wait 0", ["LSB_DJOB_HOSTFILE": hosts])
      running.send(signal)
      #expect(try await running.outcome(within: 10).status == 75)
      #expect(stub.hosts(ofAttempt: 1) == ["node1 slots=1", "node2 slots=1"])
      #expect(stub.variable("OMPI_MCA_plm_rsh_agent") == "blaunch")
    }

    @Test("Grid Engine: its own hosts, and 99 to be queued again", arguments: [SIGUSR1, SIGUSR2])
    func gridEngine(signal: Int32) async throws {
      let running = try await startBatch("sge.sh", endings: "wait 0", ["NSLOTS": "6"])
      running.send(signal)
      #expect(try await running.outcome(within: 10).status == 99)
      #expect(stub.arguments().starts(with: ["-n", "6"]))
    }

    @Test("batch systems restart crashes within a job and pass on the rest", arguments: ["pbs.sh", "lsf.sh", "sge.sh"])
    func batchRestarts(script: String) async throws {
      #expect(try await batch(script, endings: "137 76").status == 76)
      #expect(stub.attempts == 2)
    }

    @Test("the MPIJob keeps the rules of its operator and ours, and one that gives workers the key does not")
    func kubernetes() async throws {
      let manifest = "\(StubLauncher.cluster)/kubernetes/mpijob.yaml"
      let good = try await validate(manifest)
      guard !good.stdout.contains("SKIPPED"), good.status != 127 else { return print("SKIPPED: \(good.stdout)") }
      #expect(good.status == 0, "\(good.stdout)")
      let text = try String(contentsOfFile: manifest, encoding: .utf8)
      let key = "env: [{name: KEY, valueFrom: {secretKeyRef: {name: judge-api, key: key}}}]"
      let leaking = text.replacing("- name: worker\n", with: "- name: worker\n              \(key)\n")
      let bad = try await validate(workspace.write("bad.yaml", leaking.utf8))
      #expect(bad.status == 1)
      #expect(bad.stdout.contains("Worker: has a secret"))
    }

    private func validate(_ manifest: String) async throws -> Outcome {
      let script = "\(StubLauncher.cluster)/../Tests/cluster/validate-mpijob.py"
      return try await Command(arguments: [manifest], directory: workspace.path, executable: script).run()
    }

    private func run(
      _ script: String, _ arguments: [String], endings: String, _ variables: [String: String] = [:]
    ) async throws -> Outcome {
      try await stub.call(script, arguments, endings: endings, variables).run(within: 20)
    }

    /// Starts a launcher and waits for its first attempt.
    private func start(
      _ script: String, _ arguments: [String], endings: String, _ variables: [String: String] = [:]
    ) async throws -> RunningCommand {
      let running = try stub.call(script, arguments, endings: endings, variables).start()
      do {
        try await eventually("mpirun") { stub.attempts == 1 }
      } catch {
        running.send(SIGKILL)
        throw error
      }
      return running
    }

    private func batch(_ script: String, endings: String, _ variables: [String: String] = [:]) async throws -> Outcome {
      try await run(script, batchArguments(script), endings: endings, batchVariables.merging(variables) { $1 })
    }

    private func startBatch(
      _ script: String, endings: String, _ variables: [String: String]
    ) async throws -> RunningCommand {
      try await start(script, batchArguments(script), endings: endings, batchVariables.merging(variables) { $1 })
    }

    /// PBS and LSF cannot give a script arguments.
    private func batchArguments(_ script: String) -> [String] {
      script == "pbs.sh" || script == "lsf.sh" ? [] : ["train", "r.yaml"]
    }

    private var batchVariables: [String: String] {
      let root = (StubLauncher.cluster as NSString).deletingLastPathComponent
      return [
        "ADALIGN_ARGUMENTS": "train r.yaml", "SLURM_SUBMIT_DIR": root, "SLURM_JOB_ID": "7", "PBS_O_WORKDIR": root,
        "PBS_NODEFILE": "/dev/null", "PBS_WALLTIME": "", "LS_SUBCWD": root, "LSB_DJOB_HOSTFILE": "/dev/null",
        "SGE_O_WORKDIR": root, "NSLOTS": "1",
      ]
    }
  }
}
