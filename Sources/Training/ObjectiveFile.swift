import AlignmentCore
import JSON
import Objectives
import PreferenceData

/// The work of `adalign objective evaluate`: rows of log-probabilities become losses and derivatives, without a model.
package struct ObjectiveFile {
  private let objective: any Objective
  private let normalization: RunConfiguration.Normalization
  private let input: String

  /// - Parameters:
  ///   - settings: `key=value` options of the objective, and `normalization`.
  package init(name: String, settings: [String], input: String) throws {
    var values: [String: String] = [:]
    for setting in settings {
      let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else {
        throw Fault(.usage, "\"\(setting)\" is no option", hint: "options look like beta=0.1")
      }
      values[parts[0]] = parts[1]
    }
    let choice = values.removeValue(forKey: "normalization") ?? "count"
    guard let normalization = RunConfiguration.Normalization(rawValue: choice) else {
      throw Fault(.usage, "normalization must be count or weight, not \"\(choice)\"")
    }
    self.normalization = normalization
    objective = try ObjectiveRegistry.make(name, settings: values)
    self.input = input
  }

  /// Calls `emit` with one line for each row, then with one for the batch.
  package func evaluate(_ emit: (JSONValue) -> Void) throws {
    let reader = try RowReader(path: input)
    var (total, normalizer, rows) = (0.0, 0.0, 0)
    while let line = try reader.next() {
      let place = "\(input):\(line.line)"
      let row = ObjectiveRow(json: try ModelSource.parse(line.bytes.get(), place), place: place)
      let weight = try row.number(["weight"], default: 1, in: 0...Double.greatestFiniteMagnitude)
      let group = try row.group(for: objective)
      var derivatives = Array(repeating: 0.0, count: group.completions.count)
      let loss = objective.evaluate(group, derivatives: &derivatives)
      guard loss.isFinite else { throw Fault(.nonFinite, "the loss of the row is \(loss)", at: place) }
      let gradients = zip(ObjectiveRow.completionNames, derivatives).map { ($0, JSONValue.double($1 * weight)) }
      emit(
        .object(JSONObject([("loss", .double(loss * weight)), ("gradients", .object(JSONObject(Array(gradients))))])))
      let amount = type(of: objective).normalizationUnit == .examples ? 1 : Double(group.completions[0].tokens)
      total += loss * weight
      normalizer += normalization == .weight ? amount * weight : amount
      rows += 1
    }
    guard rows > 0, normalizer > 0 else { throw Fault(.data, "no rows with positive weight", at: input) }
    emit(
      .object(
        JSONObject([("loss", .double(total / normalizer)), ("batch", .bool(true)), ("rows", .integer(Int64(rows)))])))
  }
}

/// One row of log-probabilities; TRL's `…_logps` spelling is understood too.
private struct ObjectiveRow {
  static let completionNames: [ByteString] = ["policy_chosen", "policy_rejected"]

  let json: JSONValue
  let place: String

  func group(for objective: any Objective) throws -> ObjectiveGroup {
    let sides = type(of: objective).groupKind == .pair ? ["chosen", "rejected"] : ["chosen"]
    let completions = try sides.map { side in
      let needsReference = type(of: objective).needsReference
      return CompletionLogProbability(
        policy: try number(["policy_\(side)", "policy_\(side)_logps"]),
        reference: try number(["reference_\(side)", "reference_\(side)_logps"], default: needsReference ? nil : 0),
        tokens: Int(try number(["\(side)_tokens"], default: 1, in: 1...1e9)))
    }
    return ObjectiveGroup(
      completions: completions, softLabel: try number(["q"], default: 1, in: 0...1),
      margin: try number(["margin"], default: 0))
  }

  /// The first of several spellings that the row has.
  func number(
    _ names: [String], default fallback: Double? = nil,
    in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
  ) throws -> Double {
    for name in names {
      guard let value = json[ByteString(name)] else { continue }
      guard let number = value.doubleValue else { throw Fault(.data, "\(name) must be a number", at: place) }
      guard range.contains(number) else {
        throw Fault(.data, "\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(number)", at: place)
      }
      return number
    }
    guard let fallback else {
      throw Fault(.data, "the row has no \(names[0])", at: place, hint: "rows look like {\"policy_chosen\": -10, …}")
    }
    return fallback
  }
}
