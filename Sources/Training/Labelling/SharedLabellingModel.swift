import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Judges
import Logging

/// A model behind an API for all ranks: rank 0 asks, with as many requests at a time as the settings allow, and tells the
/// others.
final class SharedLabellingModel: LabellingModel {
  let identity: String
  private let model: APILabellingModel?
  private let communicator: any Communicator

  /// - Throws: on every rank, what rank 0 finds wrong with settings, key or store.
  init(_ settings: APISettings, storeDirectory: String, over communicator: any Communicator) throws {
    var settings = settings
    if !settings.storePath.hasPrefix("/") { settings.storePath = "\(storeDirectory)/\(settings.storePath)" }
    var opened: APILabellingModel?
    identity = try communicator.onRankZero {
      try APILabellingModel.check(settings)
      try FileSystem.makeDirectory(FileSystem.parent(of: settings.storePath))
      let model = try APILabellingModel(settings: settings, onProgress: Self.tell)
      opened = model
      return model.identity
    }
    model = opened
    self.communicator = communicator
  }

  func answers(to prompts: [JudgePrompt]) throws -> [JudgeAnswer] {
    let text = try Watchdog.during(.judge) {
      FaultInjection.reach(.judge)
      return try communicator.onRankZeroAtLength { [model] in
        guard let model else { preconditionFailure("rank 0 has the model") }
        let answers = try model.answers(to: prompts)
        for remark in model.report.remarks { log.warning("\(model.identity): \(remark)") }
        return JSONValue.array(answers.map(\.json)).text
      }
    }
    return try (ModelSource.parse(Array(text.utf8), identity).arrayValue ?? []).map(JudgeAnswer.init)
  }

  /// A line every hundred questions.
  private static let tell: @Sendable (Int, Int) -> Void = { done, total in
    if done % 100 == 0 || done == total { log.info("\(done) of \(total) questions answered") }
  }
}

extension JSONValue {
  fileprivate var text: String { String(decoding: serialized(), as: UTF8.self) }
}

extension JudgeAnswer {
  fileprivate var json: JSONValue {
    .object(
      JSONObject([
        ("probabilities", probabilities.map { .array($0.map(JSONValue.double)) } ?? .null),
        ("evidence", .string(ByteString(evidence.rawValue))),
        ("absence", absence.map { .string(ByteString($0.rawValue)) } ?? .null),
        ("texts", .array(texts.map { .string(ByteString($0)) })),
        ("requests", .integer(Int64(cost.requests))), ("prompt_tokens", .integer(Int64(cost.promptTokens))),
        ("completion_tokens", .integer(Int64(cost.completionTokens))), ("money", .double(cost.money)),
      ]))
  }

  /// What ``json`` wrote.
  fileprivate init(_ json: JSONValue) {
    var cost = JudgementCost()
    cost.requests = json["requests"]?.intValue ?? 0
    cost.promptTokens = json["prompt_tokens"]?.intValue ?? 0
    cost.completionTokens = json["completion_tokens"]?.intValue ?? 0
    cost.money = json["money"]?.doubleValue ?? 0
    self.init(
      probabilities: json["probabilities"]?.arrayValue?.compactMap(\.doubleValue),
      evidence: json["evidence"]?.stringValue.flatMap(Evidence.init) ?? .votes,
      absence: json["absence"]?.stringValue.flatMap(Absence.init) ?? .unreadable,
      texts: json["texts"]?.arrayValue?.compactMap(\.stringValue) ?? [], cost: cost)
  }
}
