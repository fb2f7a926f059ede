import AlignmentCore

/// A training recipe inside another recipe, which lacks what a round fills in: the run, its model and its data.
struct TrainingTemplate {
  /// A key and what a round puts there.
  typealias Filling = (key: String, values: [String])

  /// Where the template stands, for messages.
  let section: String
  /// The recipe with dots for what is missing.
  let outline: RunConfiguration
  private let node: RecipeNode
  private static let filledKeys = ["run", "model", "reference", "seed", "data.train", "data.weights"]

  /// Takes over a section and notes all of its settings.
  ///
  /// - Parameters:
  ///   - optional: keys that the rounds fill in where the section does not say them.
  /// - Throws: ``Fault`` that names the key, also for one that belongs to the rounds.
  init(_ recipe: RecipeSection, _ name: String, filling optional: [String] = []) throws {
    section = recipe.path.isEmpty ? name : "\(recipe.path).\(name)"
    node = try recipe.tree(name)
    for key in Self.filledKeys where node[path: key] != .null {
      throw Fault(
        .configuration, "is filled in by the rounds", at: "\(section).\(key)",
        hint: "leave it out; model, reference, seed and data stand at the top of the recipe")
    }
    let missing = optional.filter { [node] key in node[path: key] == .null }
    outline = try Self.configuration(node, (["run", "model", "data.train"] + missing).map { ($0, ["."]) }, section)
    for (key, value) in outline.settings.entries where !(Self.filledKeys + missing).contains(key) {
      recipe.note("\(name).\(key)", value)
    }
  }

  /// The recipe with the round's values.
  func configuration(_ filling: [Filling]) throws -> RunConfiguration {
    try Self.configuration(node, filling, section)
  }

  private static func configuration(_ node: RecipeNode, _ filling: [Filling], _ section: String) throws
    -> RunConfiguration
  {
    var node = node
    for (key, values) in filling {
      node[path: key] = values.count == 1 ? .scalar(values[0]) : .list(values.map(RecipeNode.scalar))
    }
    do {
      return try RunConfiguration(node)
    } catch let fault as Fault where fault.kind == .configuration {
      throw Fault(fault.kind, fault.what, at: "\(section).\(fault.location)", hint: fault.hint)
    }
  }

  /// Whether the template says anything about a key.
  func says(_ key: String) -> Bool { node[path: key] != .null }
}

extension RecipeNode {
  /// The value of a dotted key; null if there is none.
  subscript(path path: String) -> RecipeNode {
    get { path.split(separator: ".").reduce(self) { $0[String($1)] } }
    set { set(path.split(separator: ".").map(String.init)[...], to: newValue) }
  }
}
