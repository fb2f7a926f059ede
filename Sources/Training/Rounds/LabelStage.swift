import Adaptation
import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Logging
import PreferenceData

/// Labels the responses of a round.
struct LabelStage {
  let settings: LabelSettings
  let labeller: Labeller
  /// Whether only what the expert was asked becomes a label.
  var asksExpertOnly = false
  let round: Int
  let communicator: any Communicator

  /// Writes the labels as rows of a preference file, and what became of all candidates beside them.
  ///
  /// - Throws: ``Fault`` where no label is left.
  func write(_ responses: [PromptResponses], labels path: String, statistics: String) throws {
    let groups = responses.enumerated().map { number, row in
      let own = row.responses.filter { settings.keepsUnfinished || $0.isFinished }
      return CandidateGroup(number: number, prompt: row.prompt, texts: own.map(\.text))
    }
    let labelled =
      asksExpertOnly
      ? try labeller.expertAnswers(of: groups, round: round) : try labeller.labels(of: groups, round: round)
    try communicator.doOnRankZero {
      log.notice("labels by \(labeller.identity): \(labelled.statistics.summary)")
      for answer in labelled.statistics.reusedAnswers {
        log.warning(
          "one answer was given to \(answer.prompts) prompts: \"\(answer.text.prefix(60))\"; look whether the judge is fooled"
        )
      }
      guard !labelled.labels.isEmpty else {
        throw Fault(
          .data, "no label is left: \(labelled.statistics.summary)", at: path,
          hint: "draw more samples, raise their temperature, or loosen the filter")
      }
      try AtomicFile.write(statistics, labelled.statistics.json.serialized(pretty: true))
      try LabelledRows(labels: labelled.labels, groups: groups).write(to: path)
    }
  }
}

/// Puts source examples and pseudo-labelled ones into one file.
struct MixStage {
  let plan: MixPlan
  /// Preference files of the source domain, weighed already.
  let source: [String]

  /// Writes the rows as they are but for their weights.
  ///
  /// - Returns: what both parts count for.
  @discardableResult
  func write(labels: [String], to path: String) throws -> ExampleMix {
    let sourceRows = try source.flatMap(Self.rows)
    let labelRows = try labels.flatMap(Self.rows)
    let mix = try plan.mix(
      sourceWeights: sourceRows.map(\.weight),
      pseudo: labelRows.map { (weight: $0.weight, confidence: $0.confidence) })
    try AtomicFile.write(path) { file in
      for (rows, part) in [(sourceRows, mix.source), (labelRows, mix.pseudo)] {
        for (place, weight) in zip(part.places, part.weights) { try file.append(rows[place].line(weight: weight)) }
      }
    }
    return mix
  }

  private static func rows(of path: String) throws -> [Row] {
    let reader = try RowReader(path: path)
    var rows: [Row] = []
    while let line = try reader.next() { rows.append(try Row(line.bytes.get(), at: "\(path):\(line.line)")) }
    return rows
  }

  /// A row of a preference file, and what its weight is made of.
  private struct Row {
    let object: JSONObject
    let weight: Double
    /// |2q − 1| as it was judged; 1 where the row does not say.
    let confidence: Double

    init(_ bytes: [UInt8], at place: String) throws {
      weight = try PreferenceRow(json: bytes, at: place).weight
      let json = try ModelSource.parse(bytes, place)
      object = json.objectValue ?? JSONObject()
      confidence = json["confidence"]?.doubleValue ?? 1
    }

    func line(weight: Double) -> [UInt8] {
      var object = object
      object["weight"] = .double(weight)
      return JSONValue.object(object).serialized() + [UInt8(ascii: "\n")]
    }
  }
}
