import AlignmentCore
import Checkpoints
import JSON

/// What weights were made of. Weights of other data, or for another policy, are stale.
package struct WeightFingerprint: Sendable, Equatable {
  /// Rows of the data.
  package var rows: Int
  /// Digest of the content of the data files, in order.
  package var data: String
  /// Digest of the policy that the weights lead to.
  package var model: String
  package var estimator: String
  package var settings: [Setting]
  /// Digests of the models that wrote the data.
  package var sourceModels: [String] = []
  package var rewardModel: String?
  /// Digest of the policy's samples.
  package var samples: String?
  /// Digest of the weights whose log-ratios were taken.
  package var stored: String?

  package struct Setting: Sendable, Equatable {
    package var key: String
    package var value: String
  }

  /// The digest of the content of data files.
  package static func digest(ofFiles files: [String]) throws -> String {
    let hash = SHA256()
    for file in files { hash.update(field: try SHA256.digest(ofFile: file).hex) }
    return hash.finish().hex
  }
}

// MARK: - Staleness

extension WeightFingerprint {
  /// - Throws: ``Fault`` if the weights are not of these files as they are now.
  func checkData(_ files: [String], at path: String) throws {
    guard try data != Self.digest(ofFiles: files) else { return }
    throw Fault(
      .data, "the weights are stale: they are of other data than \(files.joined(separator: ", "))", at: path,
      hint: "weigh these files, in this order, with adalign weigh")
  }

  /// - Throws: ``Fault`` if the weights lead to another policy.
  func checkModel(_ digest: String, at path: String) throws {
    guard model != digest else { return }
    throw Fault(
      .data, "the weights are stale: they are for another policy than the model that this begins with", at: path,
      hint: "run adalign weigh with this model (and adapter), or begin with the model that the weights were made for")
  }
}

// MARK: - As JSON

extension WeightFingerprint {
  private static let format = "adalign weights"
  private static let version = 1

  var json: JSONObject {
    let text = { (value: String) in JSONValue.string(ByteString(value)) }
    return JSONObject([
      ("format", text(Self.format)), ("version", .integer(Int64(Self.version))), ("rows", .integer(Int64(rows))),
      ("data", text(data)), ("model", text(model)), ("estimator", text(estimator)),
      ("settings", .object(JSONObject(settings.map { (ByteString($0.key), text($0.value)) }))),
      ("source_models", .array(sourceModels.map(text))), ("reward_model", rewardModel.map(text) ?? .null),
      ("samples", samples.map(text) ?? .null), ("stored", stored.map(text) ?? .null),
    ])
  }

  /// Reads what ``json`` gave.
  ///
  /// - Throws: ``Fault`` if it is anything else, or of another version.
  init(json: JSONValue, at place: String) throws {
    guard json["format"]?.stringValue == Self.format else {
      throw Fault(.data, "is no file of weights", at: place, hint: "name a weights.jsonl that adalign weigh wrote")
    }
    guard json["version"]?.intValue == Self.version else {
      throw Fault(.data, "the weights have another format than this version reads", at: place, hint: "weigh again")
    }
    guard let rows = json["rows"]?.intValue, let data = json["data"]?.stringValue,
      let model = json["model"]?.stringValue, let estimator = json["estimator"]?.stringValue,
      let settings = json["settings"]?.objectValue, let sources = json["source_models"]?.arrayValue
    else { throw Fault(.data, "the first line is damaged", at: place, hint: "weigh again") }
    self.init(
      rows: rows, data: data, model: model, estimator: estimator,
      settings: settings.members.map { Setting(key: $0.key.description, value: $0.value.stringValue ?? "") },
      sourceModels: sources.compactMap(\.stringValue), rewardModel: json["reward_model"]?.stringValue,
      samples: json["samples"]?.stringValue, stored: json["stored"]?.stringValue)
  }
}
