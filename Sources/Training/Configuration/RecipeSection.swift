import AlignmentCore

/// One table of a recipe, read key by key; whatever was not read in the end is an error.
final class RecipeSection {
  let path: String
  private var entries: [String: RecipeNode]
  private var known: [String] = []
  private let settings: ResolvedSettings

  init(_ node: RecipeNode, path: String = "", into settings: ResolvedSettings) throws {
    guard case .table(let table) = node else {
      throw Fault(.configuration, "expected keys and values", at: path.isEmpty ? "recipe" : path)
    }
    self.path = path
    self.settings = settings
    entries = table
  }

  /// A nested table; an absent one reads as empty.
  func section(_ name: String) throws -> RecipeSection {
    let node = take(name) ?? .table([:])
    return try RecipeSection(node == .null ? .table([:]) : node, path: full(name), into: settings)
  }

  /// A nested table as it stands, for somebody else to read.
  func tree(_ name: String) throws -> RecipeNode {
    let node = take(name) ?? .table([:])
    guard case .table = node == .null ? .table([:]) : node else {
      throw Fault(.configuration, "expected keys and values", at: full(name))
    }
    return node == .null ? .table([:]) : node
  }

  /// Whether a key holds a table.
  func isTable(_ name: String) -> Bool {
    if case .table = entries[name] { return true }
    return false
  }

  func string(_ name: String, default fallback: String) throws -> String {
    try optionalString(name) ?? record(name, fallback)
  }

  func string(_ name: String, hint: String) throws -> String {
    guard let value = try optionalString(name) else {
      throw Fault(.configuration, "is missing", at: full(name), hint: hint)
    }
    return value
  }

  func optionalString(_ name: String) throws -> String? {
    guard let node = take(name), node != .null else { return nil }
    guard case .scalar(let text) = node else { throw wrong(name, "a single value") }
    return record(name, text)
  }

  /// One string or a list of them.
  func strings(_ name: String, default fallback: String? = nil) throws -> [String] {
    guard let node = take(name), node != .null else { return fallback.map { [record(name, $0)] } ?? [] }
    let items: [RecipeNode]
    if case .list(let list) = node { items = list } else { items = [node] }
    return try items.enumerated().map { index, item in
      guard case .scalar(let text) = item else { throw wrong(name, "a single value or a list of them") }
      settings.add(items.count == 1 ? full(name) : "\(full(name)).\(index)", text)
      return text
    }
  }

  /// One number or a list of them.
  func numbers(_ name: String, in range: ClosedRange<Double>) throws -> [Double] {
    try strings(name).map { text in
      guard let value = Double(text), range.contains(value) else {
        throw wrong(name, "numbers from \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }
  }

  func integer(_ name: String, default fallback: Int, in range: ClosedRange<Int>) throws -> Int {
    try optionalInteger(name, in: range)
      ?? {
        settings.add(full(name), String(fallback))
        return fallback
      }()
  }

  func optionalInteger(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
    guard let text = try optionalString(name) else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw wrong(
        name, "an integer from \(range.lowerBound)\(range.upperBound == .max ? " up" : " to \(range.upperBound)")")
    }
    return value
  }

  func number(_ name: String, default fallback: Double, in range: ClosedRange<Double>) throws -> Double {
    guard let text = try optionalString(name) else {
      settings.add(full(name), "\(fallback)")
      return fallback
    }
    guard let value = Double(text), range.contains(value) else {
      throw wrong(name, "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func optionalNumber(_ name: String, in range: ClosedRange<Double>) throws -> Double? {
    guard let text = try optionalString(name) else { return nil }
    guard let value = Double(text), range.contains(value) else {
      throw wrong(name, "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func boolean(_ name: String, default fallback: Bool) throws -> Bool {
    let text = try string(name, default: fallback ? "true" : "false")
    switch text.lowercased() {
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    default: throw wrong(name, "true or false")
    }
  }

  /// One of an enumeration's raw values.
  func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, default fallback: Choice) throws -> Choice
  where Choice.RawValue == String {
    try choice(name, of: string(name, default: fallback.rawValue))
  }

  /// One of an enumeration's raw values, or nil for `auto`, which is the default.
  func automaticChoice<Choice: RawRepresentable & CaseIterable>(_ name: String) throws -> Choice?
  where Choice.RawValue == String {
    let text = try string(name, default: "auto")
    return text == "auto" ? nil : try choice(name, of: text, besides: ["auto"])
  }

  private func choice<Choice: RawRepresentable & CaseIterable>(
    _ name: String, of text: String, besides others: [String] = []
  ) throws -> Choice where Choice.RawValue == String {
    guard let value = Choice(rawValue: text) else {
      throw wrong(name, "one of \((others + Choice.allCases.map(\.rawValue)).joined(separator: ", "))")
    }
    return value
  }

  /// All keys that nobody has read, as single values; ``note`` the ones that count.
  func remaining() throws -> [String: String] {
    var values: [String: String] = [:]
    for name in entries.keys.sorted() {
      guard let node = take(name), node != .null else { continue }
      guard case .scalar(let text) = node else { throw wrong(name, "a single value") }
      values[name] = text
    }
    return values
  }

  /// Notes the value of a key among the settings.
  func note(_ name: String, _ text: String) { settings.add(full(name), text) }

  /// Everything that was read so far, here and in other sections of the recipe.
  var recorded: [(key: String, value: String)] { settings.entries }

  /// Leaves all keys aside.
  func discard() { entries.removeAll() }

  /// Refuses keys that nobody has read.
  func finish() throws {
    guard let unknown = entries.keys.sorted().first else { return }
    let nearest = known.min { editDistance($0, unknown) < editDistance($1, unknown) }
    let hint = nearest.map { "did you mean \(full($0))? known here: \(known.sorted().joined(separator: ", "))" } ?? ""
    throw Fault(.configuration, "unknown key \"\(unknown)\"", at: full(unknown), hint: hint)
  }

  private func take(_ name: String) -> RecipeNode? {
    known.append(name)
    return entries.removeValue(forKey: name)
  }

  private func record(_ name: String, _ text: String) -> String {
    settings.add(full(name), text)
    return text
  }

  private func full(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

  private func wrong(_ name: String, _ expected: String) -> Fault {
    Fault(.configuration, "must be \(expected)", at: full(name))
  }
}

/// Levenshtein's distance: insertions, deletions and substitutions between two words.
func editDistance(_ a: String, _ b: String) -> Int {
  let (a, b) = (Array(a.utf8), Array(b.utf8))
  var row = Array(0...b.count)
  for i in 0..<a.count {
    var diagonal = row[0]
    row[0] = i + 1
    for j in 0..<b.count {
      let substitution = diagonal + (a[i] == b[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
    }
  }
  return row[b.count]
}
