import AlignmentCore
import Checkpoints
import JSON

/// What a run's rounds follow from, as its directory remembers it: settings, and digests of what they name.
struct AdaptationRecord {
  private let run: String
  private let settings: ResolvedSettings
  private let fields: [(key: String, value: String)]

  /// Keys that may change between a run and its continuation without changing what it computes.
  private static let freeKeys: Set = ["run", "model", "rounds", "threads", "cache"]
  private static let freeEndings = [
    ".threads", ".cache", ".watchdog", ".checkpoint.every", ".checkpoint.keep", ".checkpoint.asynchronous",
    ".check.every",
    ".on_nonfinite", ".max_skips",
  ]

  init(_ configuration: AdaptationConfiguration, model: String, prompts: String) throws {
    run = configuration.run
    settings = configuration.settings
    let source = try configuration.data.source.map { try SHA256.digest(ofFile: $0).hex }
    fields =
      settings.entries.filter { entry in
        !Self.freeKeys.contains(entry.key) && !entry.key.hasPrefix("data.source")
          && !entry.key.hasPrefix("data.prompts.")
          && entry.key != "data.prompts" && !Self.freeEndings.contains { entry.key.hasSuffix($0) }
      } + [
        ("digest of the model", model), ("digest of the prompts", prompts),
        ("digest of the source data", source.joined(separator: " ")),
      ]
  }

  /// Writes the record of a new run, or refuses to go on with one of other settings.
  func check() throws {
    let path = "\(run)/adaptation.json"
    guard FileSystem.exists(path) else {
      let json = JSONValue.object(JSONObject(fields.map { (ByteString($0.key), .string(ByteString($0.value))) }))
      try AtomicFile.write("\(run)/config.yaml", Array(settings.yaml.utf8))
      return try AtomicFile.write(path, json.serialized(pretty: true))
    }
    let saved = try ModelSource.parse(try FileSystem.readWhole(path), path)
    let changes = fields.filter { saved[ByteString($0.key)]?.stringValue != $0.value }.map { key, value in
      "\(key) is \(value), was \(saved[ByteString(key)]?.stringValue ?? "not set")"
    }
    guard !changes.isEmpty else { return try AtomicFile.write("\(run)/config.yaml", Array(settings.yaml.utf8)) }
    throw Fault(
      .configuration, "the rounds are of a run with other settings: \(changes.joined(separator: "; "))",
      at: run, hint: "set it back to continue, or choose another run directory")
  }
}
