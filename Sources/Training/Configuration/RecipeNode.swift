import AlignmentCore
import Yams

/// A recipe as a tree of text, before anybody knows what its keys mean.
indirect enum RecipeNode: Equatable {
  case null
  case scalar(String)
  case list([RecipeNode])
  case table([String: RecipeNode])

  /// Parses YAML.
  ///
  /// - Throws: ``Fault`` with the line of the problem.
  static func parse(_ text: String, path: String) throws -> RecipeNode {
    do {
      guard let node = try Yams.compose(yaml: text) else { return .table([:]) }
      return try RecipeNode(node, path: path)
    } catch let error as YamlError {
      let message = "\(error)".split(separator: "\n").joined(separator: " ")
      throw Fault(.configuration, "not valid YAML: \(message)", at: path, hint: "see the recipes folder for examples")
    }
  }

  private init(_ node: Node, path: String) throws {
    switch node {
    case .scalar(let scalar):
      let isNull = scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
      self = isNull ? .null : .scalar(scalar.string)
    case .sequence(let items):
      self = .list(try items.map { try RecipeNode($0, path: path) })
    case .mapping(let mapping):
      var table: [String: RecipeNode] = [:]
      for (key, value) in mapping {
        guard let name = key.string else { throw Fault(.configuration, "a key is not text", at: path) }
        table[name] = try RecipeNode(value, path: path)
      }
      self = .table(table)
    case .alias:
      throw Fault(.configuration, "YAML aliases are not supported", at: path, hint: "write the value out")
    }
  }

  /// This recipe with another's values where it has none of its own; tables are completed key by key.
  ///
  /// A key without a value, as `label:` or `label=`, takes away what the other one has.
  func completed(by defaults: RecipeNode) -> RecipeNode {
    guard case .table(let own) = self, case .table(let other) = defaults else { return self }
    return .table(own.merging(other) { $0.completed(by: $1) }.filter { $0.value != .null })
  }

  /// The value of a key of a table; null if it has none.
  subscript(key: String) -> RecipeNode {
    if case .table(let table) = self { return table[key] ?? .null }
    return .null
  }

  /// Sets the value that a dotted key names, making tables on the way.
  mutating func set(_ keys: ArraySlice<String>, to value: RecipeNode) {
    guard let first = keys.first else {
      self = value
      return
    }
    var table: [String: RecipeNode] = [:]
    if case .table(let existing) = self { table = existing }
    var child = table[first] ?? .table([:])
    child.set(keys.dropFirst(), to: value)
    table[first] = child
    self = .table(table)
  }

  /// Applies `key.path=value` arguments in order; values are YAML.
  ///
  /// `steps` and `epochs` exclude each other: either takes the other one's place in the recipe and in arguments before it;
  /// in a recipe alone `steps` win, as with the trainers of transformers.
  mutating func apply(overrides: [String]) throws {
    for argument in overrides {
      guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
        throw Fault(.usage, "\"\(argument)\" is no override", hint: "overrides look like optimizer.learning_rate=1e-5")
      }
      let keys = argument[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      guard !keys.contains("") else { throw Fault(.usage, "\"\(argument)\" has an empty key") }
      let text = String(argument[argument.index(after: equals)...])
      set(keys[...], to: try RecipeNode.parse(text, path: argument).orNull)
      guard let other = Self.otherLength[keys[keys.count - 1]], !text.isEmpty else { continue }
      let place = keys.dropLast() + [other]
      if self[path: place.joined(separator: ".")] != .null { set(place, to: .null) }
    }
  }

  private static let otherLength = ["steps": "epochs", "epochs": "steps"]

  private var orNull: RecipeNode { self == .table([:]) ? .null : self }
}
