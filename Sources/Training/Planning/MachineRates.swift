import AlignmentCore
import JSON

/// How fast a cluster is, as `adalign doctor` measures it and `adalign plan` reads it.
package struct MachineRates: Sendable, Equatable {
  /// A host that took part.
  package struct Host: Sendable, Equatable {
    package var name: String
    package var ranks: Int
    package var cores: Int
    /// Bytes of memory, and of what was available.
    package var memory: Int
    package var available: Int

    package init(name: String, ranks: Int, cores: Int, memory: Int, available: Int) {
      self.name = name
      self.ranks = ranks
      self.cores = cores
      self.memory = memory
      self.available = available
    }
  }

  /// What passes between two ranks, in both directions at once.
  package struct Link: Sendable, Equatable {
    /// Seconds that the shortest message takes.
    package var latency: Double
    /// Bytes a second each way.
    package var bandwidth: Double

    package init(latency: Double, bandwidth: Double) {
      self.latency = latency
      self.bandwidth = bandwidth
    }
  }

  /// What a directory takes, from all ranks at once.
  package struct Disk: Sendable, Equatable {
    package var directory: String
    /// Bytes a second of files that are synchronised with the disk.
    package var bandwidth: Double
    /// Seconds that a file of one byte takes.
    package var latency: Double

    package init(directory: String, bandwidth: Double, latency: Double) {
      self.directory = directory
      self.bandwidth = bandwidth
      self.latency = latency
    }
  }

  package var hosts: [Host]
  /// BLAS threads of a rank.
  package var threads: Int
  /// Operations a second of matrix products of one rank while the others wait, and of the slowest while all compute.
  package var productsAlone: Double
  package var products: Double
  /// Bytes a second that the slowest rank reads and writes while all do.
  package var memoryBandwidth: Double
  /// The share of ``products`` that a small training unit reaches.
  package var unitEfficiency: Double
  /// Bytes of a rank beside its arenas: program, libraries, MPI, buffers of BLAS.
  package var process: Int
  /// Between ranks of one host, all in a ring; nil if no host had two.
  package var local: Link?
  /// Between hosts, one rank of each in a ring; nil if there was one host.
  package var remote: Link?
  package var disk: Disk?

  package init(
    hosts: [Host], threads: Int, productsAlone: Double, products: Double, memoryBandwidth: Double,
    unitEfficiency: Double, process: Int, local: Link? = nil, remote: Link? = nil, disk: Disk? = nil
  ) {
    self.hosts = hosts
    self.threads = threads
    self.productsAlone = productsAlone
    self.products = products
    self.memoryBandwidth = memoryBandwidth
    self.unitEfficiency = unitEfficiency
    self.process = process
    self.local = local
    self.remote = remote
    self.disk = disk
  }
}

// MARK: - JSON

extension MachineRates {
  package var json: JSONValue {
    .record([
      ("hosts", .array(hosts.map(\.json))), ("threads", .integer(Int64(threads))),
      ("sgemm_gflops_alone", .double(productsAlone / 1e9)), ("sgemm_gflops", .double(products / 1e9)),
      ("memory_gbs", .double(memoryBandwidth / 1e9)), ("unit_efficiency", .double(unitEfficiency)),
      ("process_bytes", .integer(Int64(process))), ("local", local?.json ?? .null), ("remote", remote?.json ?? .null),
      ("disk", disk?.json ?? .null),
    ])
  }

  /// Reads what ``json`` wrote.
  ///
  /// - Throws: ``Fault`` that names what is missing.
  package init(json: JSONValue, path: String) throws {
    let number = { (name: ByteString) throws -> Double in
      guard let value = json[name]?.doubleValue, value > 0, value.isFinite else {
        throw Fault(
          .data, "has no rate '\(name)'", at: path, hint: "write it anew: adalign doctor --output \(path)")
      }
      return value
    }
    hosts = (json["hosts"]?.arrayValue ?? []).map(Host.init)
    threads = Int(try number("threads"))
    productsAlone = try number("sgemm_gflops_alone") * 1e9
    products = try number("sgemm_gflops") * 1e9
    memoryBandwidth = try number("memory_gbs") * 1e9
    unitEfficiency = try number("unit_efficiency")
    process = Int(try number("process_bytes"))
    local = json["local"].flatMap(Link.init)
    remote = json["remote"].flatMap(Link.init)
    disk = json["disk"].flatMap(Disk.init)
  }
}

extension MachineRates.Host {
  fileprivate var json: JSONValue {
    .record([
      ("name", .string(ByteString(name))), ("ranks", .integer(Int64(ranks))), ("cores", .integer(Int64(cores))),
      ("memory_bytes", .integer(Int64(memory))), ("available_bytes", .integer(Int64(available))),
    ])
  }

  fileprivate init(_ json: JSONValue) {
    self.init(
      name: json["name"]?.stringValue ?? "", ranks: json["ranks"]?.intValue ?? 1, cores: json["cores"]?.intValue ?? 1,
      memory: json["memory_bytes"]?.intValue ?? 0, available: json["available_bytes"]?.intValue ?? 0)
  }
}

extension MachineRates.Link {
  fileprivate var json: JSONValue {
    .record([("latency_us", .double(latency * 1e6)), ("bandwidth_gbs", .double(bandwidth / 1e9))])
  }

  fileprivate init?(_ json: JSONValue) {
    guard let latency = json["latency_us"]?.doubleValue, let bandwidth = json["bandwidth_gbs"]?.doubleValue else {
      return nil
    }
    self.init(latency: latency / 1e6, bandwidth: bandwidth * 1e9)
  }
}

extension MachineRates.Disk {
  fileprivate var json: JSONValue {
    .record([
      ("directory", .string(ByteString(directory))), ("write_mbs", .double(bandwidth / 1e6)),
      ("sync_ms", .double(latency * 1e3)),
    ])
  }

  fileprivate init?(_ json: JSONValue) {
    guard let bandwidth = json["write_mbs"]?.doubleValue, let latency = json["sync_ms"]?.doubleValue else { return nil }
    self.init(
      directory: json["directory"]?.stringValue ?? "", bandwidth: bandwidth * 1e6, latency: latency / 1e3)
  }
}

extension JSONValue {
  /// An object with these members.
  static func record(_ members: [(ByteString, JSONValue)]) -> JSONValue { .object(JSONObject(members)) }
}

// MARK: - For people

extension MachineRates {
  package var text: String {
    var lines = [
      "sgemm      \((productsAlone / 1e9).brief) GFLOP/s for a rank alone, \((products / 1e9).brief) for each of all at once",
      "memory     \((memoryBandwidth / 1e9).brief) GB/s for each of all at once; a rank without arenas takes \(process >> 20) MiB",
      "step       a small training unit reaches \((100 * unitEfficiency).brief) % of sgemm",
    ]
    if let local { lines.append("one host   \(local.text)") }
    if let remote { lines.append("hosts      \(remote.text)") }
    if let disk {
      lines.append(
        "disk       \((disk.bandwidth / 1e6).brief) MB/s written and synchronised, \((disk.latency * 1e3).brief) ms for the smallest file, in \(disk.directory)"
      )
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension MachineRates.Link {
  fileprivate var text: String { "\((latency * 1e6).brief) µs, \((bandwidth / 1e9).brief) GB/s each way between ranks" }
}
