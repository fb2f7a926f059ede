import AlignmentCore
import JSON
import Objectives
import PreferenceData

/// The work of `adalign objective evaluate`: rows of log-probabilities become losses and derivatives, without a model.
package struct ObjectiveFile {
  private var loss: PreferenceLoss
  private let normalization: RunConfiguration.Normalization
  private let input: String

  /// - Parameters:
  ///   - name: an objective, or several with commas between.
  ///   - settings: `key=value` options and modifiers of the objective, `weights`, and `normalization`.
  package init(name: String, settings: [String], input: String) throws {
    var arguments = try ObjectiveArguments(settings)
    let choice = arguments.take("normalization") ?? "count"
    guard let normalization = RunConfiguration.Normalization(rawValue: choice) else {
      throw Fault(.usage, "normalization must be count or weight, not \"\(choice)\"")
    }
    self.normalization = normalization
    loss = try arguments.loss(name)
    try loss.checkDivisor(normalization)
    self.input = input
  }

  /// Calls `emit` with one line for each row, then with one for the batch.
  ///
  /// A token mean of a row is over that row's tokens, that of the batch over all.
  package func evaluate(_ emit: (JSONValue) -> Void) throws {
    let rows = try read()
    var loss = loss
    switch loss.objective.traits.survey {
    case .none: break
    case .own: loss.objective.prepare(for: rows.map(\.group))
    case .mismatched: loss.objective.prepare(for: try rows.map { try $0.mismatched() })
    }
    let groups = rows.map(\.weighedGroup)
    guard normalization == .count || groups.contains(where: { $0.weight > 0 }) else {
      throw Fault(.data, "no rows with positive weight", at: input)
    }
    let count = rows[rows.count - 1].line + 1
    for line in 0..<count { emit(try Self.result(rows.filter { $0.line == line }, loss)) }
    let total = PreferenceMetrics.loss(of: groups, objective: loss.objective, normalization: normalization)
    emit(
      .object(
        JSONObject([
          ("loss", .double(total)), ("batch", .bool(true)), ("rows", .integer(Int64(count))),
        ])))
  }

  /// What is told about the examples of one line.
  private static func result(_ rows: [ObjectiveRow], _ loss: PreferenceLoss) throws -> JSONValue {
    let results = try rows.map { try $0.result(loss) }
    return .object(
      JSONObject([
        ("loss", .double(results.reduce(0) { $0 + $1.loss })),
        ("gradients", .object(JSONObject(results.flatMap(\.gradients)))),
      ]))
  }

  private func read() throws -> [ObjectiveRow] {
    let reader = try RowReader(path: input)
    var (rows, lines) = ([ObjectiveRow](), 0)
    while let line = try reader.next() {
      let place = "\(input):\(line.line)"
      let json = try ModelSource.parse(line.bytes.get(), place)
      for side in Self.sides(of: json, loss.objective.traits.groupKind) {
        rows.append(try ObjectiveRow(json, side, at: place, line: lines, slot: rows.count, loss))
      }
      lines += 1
    }
    guard !rows.isEmpty else { throw Fault(.data, "no rows", at: input) }
    return rows
  }
}

extension ObjectiveFile {
  /// The examples of a line: a pair, a single completion, or the two sides of a pair on their own.
  fileprivate static func sides(of json: JSONValue, _ kind: GroupKind) -> [ObjectiveRow.Side] {
    let names = Set((json.objectValue?.members ?? []).map { $0.key.description })
    let has = { (name: String) in names.contains(name) || names.contains("\(name)_logps") }
    if kind == .pair { return [.pair] }
    if has("policy") { return [.single] }
    let isLabelled = kind == .labelled && !names.contains("label")
    return isLabelled && has("policy_rejected") ? [.chosen, .rejected] : [.chosen]
  }
}

/// One example of log-probabilities; TRL's `…_logps` spelling is understood too.
private struct ObjectiveRow {
  /// What of a line the example is.
  enum Side {
    case pair
    case single
    case chosen
    case rejected

    fileprivate var suffixes: [String] {
      switch self {
      case .pair: ["_chosen", "_rejected"]
      case .single: [""]
      case .chosen: ["_chosen"]
      case .rejected: ["_rejected"]
      }
    }
  }

  /// Which line of the file it is of.
  let line: Int
  private(set) var group = ObjectiveGroup()
  private let fields: RowNumbers
  /// Names of the policy's fields, and their tokens where the row lists them.
  private var names: [String] = []
  /// What the policy makes of the row's weight.
  private var stepWeight = 1.0
  private var tokens: [(policy: [Double], reference: [Double])] = []

  init(_ json: JSONValue, _ side: Side, at place: String, line: Int, slot: Int, _ loss: PreferenceLoss) throws {
    self.line = line
    fields = RowNumbers(json: json, place: place)
    let traits = loss.objective.traits
    for suffix in side.suffixes { try add(suffix, traits) }
    group.softLabel = try fields.number(["q"], default: 1, in: 0...1)
    group.margin = try fields.number(["margin", "score"], default: 0)
    group.weight = try fields.number(["weight"], default: 1, in: 0...Double.greatestFiniteMagnitude)
    group.isDesirable = try fields.flag("label", default: side != .rejected)
    group.slot = slot
    if let weighting = loss.weighting { stepWeight = try weight(weighting, side) }
    try reduce(loss.reduction)
    group.examplesPerToken = 1 / Double(group.completions[0].tokens)
  }

  private mutating func add(_ side: String, _ traits: ObjectiveTraits) throws {
    let policy = try fields.numbers(["policy\(side)", "policy\(side)_logps"])
    let reference = try fields.numbers(
      ["reference\(side)", "reference\(side)_logps"],
      default: traits.needsReference ? nil : Array(repeating: 0, count: policy.count))
    guard policy.count == reference.count else {
      throw Fault(.data, "policy\(side) and reference\(side) differ in length", at: fields.place)
    }
    names.append("policy\(side)")
    tokens.append((policy, reference))
    let key = side.isEmpty ? "tokens" : "\(side.dropFirst())_tokens"
    group.completions.append(ScoredCompletion(policy: 0, tokens: try length(key, of: "policy\(side)", policy.count)))
  }

  /// The number of tokens that a field gives, which must be that of a list.
  private func length(_ key: String, of name: String, _ listed: Int) throws -> Int {
    let given = try fields.number([key], default: Double(listed), in: 1...1e9)
    guard let count = Int(exactly: given) else {
      throw Fault(.data, "\(key) must be a whole number, not \(given)", at: fields.place)
    }
    guard count == listed || !fields.isList(name) else {
      throw Fault(.data, "\(key) is \(count), but \(name) lists \(listed) tokens", at: fields.place)
    }
    return count
  }

  /// The factor of a weighting, from sums of what the row says of each token.
  private func weight(_ weighting: any StepWeighting, _ side: Side) throws -> Double {
    let logWeight = try side.suffixes.enumerated().reduce(0) { sum, side in
      let (policy, reference) = tokens[side.offset]
      let count = group.completions[side.offset].tokens
      return try sum
        + weighting.logWeight(
          of: TokenSums(
            policy: policy.reduce(0, +), reference: reference.reduce(0, +),
            entropy: weighting.entropyOrder.map { try entropy(side.element, $0, count) } ?? 0, tokens: count))
    }
    return weighting.weight(logWeight, completions: names.count)
  }

  /// The sum of the entropies that a row gives for a completion.
  private func entropy(_ side: String, _ order: RenyiOrder, _ count: Int) throws -> Double {
    let name = "entropy\(side)"
    guard fields.has(name) else {
      throw Fault(
        .data, "the row has no \(name)", at: fields.place,
        hint:
          "the weights need \(order == .two ? "-log sum p^2" : "-log max p") of each token's distribution, or the sum")
    }
    let values = try fields.numbers([name])
    guard !fields.isList(name) || values.count == count else {
      throw Fault(.data, "\(name) lists \(values.count) tokens of \(count)", at: fields.place)
    }
    return values.reduce(0, +)
  }

  private mutating func reduce(_ reduction: TokenReduction) throws {
    let shorter = tokens.reduce(.max) { min($0, $1.policy.count) }
    for (index, side) in tokens.enumerated() {
      guard reduction.isPlain || fields.isList(names[index]) else {
        throw Fault(
          .data, "\(names[index]) must list the log-probability of each token", at: fields.place,
          hint: "ld_alpha and humanline act on tokens")
      }
      side.policy.withUnsafeBufferPointer { policy in
        side.reference.withUnsafeBufferPointer { reference in
          let sums = reduction.reduce(policy: policy, reference: reference, shorter: shorter)
          (group.completions[index].policy, group.completions[index].reference) = (sums.policy, sums.reference)
        }
      }
    }
  }

  /// The completion of another prompt behind this one.
  func mismatched() throws -> ObjectiveGroup {
    var other = group
    other.completions = [
      ScoredCompletion(
        policy: try fields.number(["policy_mismatched"]), reference: try fields.number(["reference_mismatched"]),
        tokens: 1)
    ]
    return other
  }

  /// The group as it counts in the batch.
  var weighedGroup: ObjectiveGroup {
    var group = group
    group.weight *= stepWeight
    return group
  }

  /// Loss and derivatives, weights included.
  func result(_ loss: PreferenceLoss) throws -> (loss: Double, gradients: [(ByteString, JSONValue)]) {
    let value = loss.objective.loss(of: group)
    guard value.value.isFinite else {
      throw Fault(.nonFinite, "the loss of the row is \(value.value)", at: fields.place)
    }
    let weight = weighedGroup.weight
    let gradients = names.indices.map { index in
      (ByteString(names[index]), gradient(weight * value.derivatives[index], index, loss.reduction))
    }
    return (weight * value.value, gradients)
  }

  private func gradient(_ derivative: Double, _ index: Int, _ reduction: TokenReduction) -> JSONValue {
    guard fields.isList(names[index]) else { return .double(derivative) }
    let shorter = tokens.reduce(.max) { min($0, $1.policy.count) }
    let side = tokens[index]
    return .array(
      side.policy.indices.map { token in
        let slope = reduction.slope(
          policy: side.policy[token], reference: side.reference[token], token: token, shorter: shorter)
        return .double(derivative * slope)
      })
  }
}

/// The numbers of a row, under one of several spellings.
private struct RowNumbers {
  let json: JSONValue
  let place: String

  func isList(_ name: String) -> Bool {
    (json[ByteString(name)] ?? json[ByteString("\(name)_logps")])?.arrayValue != nil
  }

  func has(_ name: String) -> Bool { json[ByteString(name)] != nil }

  /// A number, or a list of numbers.
  func numbers(_ names: [String], default fallback: [Double]? = nil) throws -> [Double] {
    for name in names {
      guard let value = json[ByteString(name)] else { continue }
      let values = (value.arrayValue ?? [value]).map(\.doubleValue)
      guard !values.isEmpty, values.allSatisfy({ $0?.isFinite ?? false }) else {
        throw Fault(.data, "\(name) must be a number or a list of numbers", at: place)
      }
      return values.compactMap { $0 }
    }
    guard let fallback else {
      throw Fault(.data, "the row has no \(names[0])", at: place, hint: "rows look like {\"policy_chosen\": -10, …}")
    }
    return fallback
  }

  func number(
    _ names: [String], default fallback: Double? = nil,
    in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
  ) throws -> Double {
    let values = try numbers(names, default: fallback.map { [$0] })
    guard values.count == 1 else { throw Fault(.data, "\(names[0]) must be a number", at: place) }
    guard range.contains(values[0]) else {
      throw Fault(
        .data, "\(names[0]) must be from \(range.lowerBound) to \(range.upperBound), not \(values[0])", at: place)
    }
    return values[0]
  }

  func flag(_ name: String, default fallback: Bool) throws -> Bool {
    guard let value = json[ByteString(name)] else { return fallback }
    if let flag = value.boolValue { return flag }
    if let number = value.doubleValue, number == 0 || number == 1 { return number == 1 }
    throw Fault(.data, "\(name) must be true or false", at: place)
  }
}
