import Adaptation
import AlignmentCore
import Checkpoints
import JSON

/// Labels as rows of a preference file.
struct LabelledRows {
  let labels: [PseudoLabel]
  let groups: [CandidateGroup]

  /// `{prompt, chosen, rejected, q, weight, …}` for a pair, `{prompt, completion, label, q, weight, …}` for a response.
  func row(_ index: Int, weight: Double? = nil) -> [UInt8] {
    let label = labels[index]
    let group = groups[label.group]
    var members: [(ByteString, JSONValue)] = [("prompt", .string(ByteString(group.prompt)))]
    let text = { (place: Int) in JSONValue.string(ByteString(group.texts[place])) }
    if let second = label.second {
      members += [("chosen", text(label.first)), ("rejected", text(second))]
    } else {
      members.append(("completion", text(label.first)))
      if label.kind == .response { members.append(("label", .bool(label.isDesirable))) }
    }
    if label.kind != .imitation { members.append(("q", .double(likelihood(label)))) }
    members += [("weight", .double(weight ?? label.weight)), ("confidence", .double(label.confidence))]
    members.append(("labelled_by", .string(ByteString(label.source.rawValue))))
    if !label.scores.isEmpty { members.append(("label_scores", .array(label.scores.map(JSONValue.double)))) }
    if let bias = label.positionBias { members.append(("position_bias", .double(bias))) }
    members.append(("generator", .string("policy")))
    return JSONValue.object(JSONObject(members)).serialized() + [UInt8(ascii: "\n")]
  }

  /// Of a single response, q is the probability that its label is right.
  private func likelihood(_ label: PseudoLabel) -> Double {
    label.kind == .response && !label.isDesirable ? 1 - label.q : label.q
  }

  /// Writes all labels; the file appears when it is complete.
  func write(to path: String) throws {
    try AtomicFile.write(path) { file in
      for index in labels.indices { try file.append(row(index)) }
    }
  }
}

extension LabelStatistics {
  /// For people, in a line.
  var summary: String {
    let reasons = DropReason.allCases.compactMap { reason in dropped[reason].map { "\($0) \(reason.rawValue)" } }
    return "\(kept) of \(proposed) pairs kept"
      + (reasons.isEmpty ? "" : "; dropped: \(reasons.joined(separator: ", "))")
  }

  /// Name and value, for the log of a step.
  var metrics: [(name: String, value: Double)] {
    [("labels/kept", Double(kept)), ("labels/proposed", Double(proposed))]
      + [
        ("labels/confidence", meanConfidence), ("labels/longer_wins", longerWins),
        ("labels/consistency", judge.consistency),
      ]
      .compactMap { name, value in value.map { (name, $0) } }
  }

  var json: JSONValue {
    let number = { (value: Double?) in value.map(JSONValue.double) ?? .null }
    let count = { (value: Int) in JSONValue.integer(Int64(value)) }
    return .object(
      JSONObject([
        ("groups", count(groups)), ("responses", count(responses)), ("proposed", count(proposed)),
        ("kept", count(kept)),
        (
          "dropped",
          .object(
            JSONObject(
              DropReason.allCases.compactMap { reason in
                dropped[reason].map { (ByteString(reason.rawValue), count($0)) }
              }))
        ),
        ("judged", count(judged)), ("scored", count(scored)), ("abstentions", count(judge.abstentions)),
        ("mean_confidence", number(meanConfidence)), ("consistency", number(judge.consistency)),
        ("position_bias", number(judge.meanPositionBias)), ("flip_rate", number(judge.flipRate)),
        ("longer_wins", number(longerWins)), ("requests", count(judge.cost.requests)),
        ("prompt_tokens", count(judge.cost.promptTokens)), ("completion_tokens", count(judge.cost.completionTokens)),
        ("money", .double(judge.cost.money)),
        (
          "reused_answers",
          .array(
            reusedAnswers.map { answer in
              .object(
                JSONObject([
                  ("text", .string(ByteString(answer.text))), ("prompts", count(answer.prompts)),
                  ("win_rate", number(answer.winRate)), ("contradictions", number(answer.contradictions)),
                ]))
            })
        ),
      ]))
  }
}
