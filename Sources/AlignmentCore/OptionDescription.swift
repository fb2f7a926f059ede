/// A setting that a method of a registry (an objective, an optimiser, …) can be given in a recipe.
package struct OptionDescription: Sendable {
  /// What values it takes.
  package enum Kind: Sendable {
    case number(default: Double, range: ClosedRange<Double>)
    case choice(default: String, of: [String])
  }

  package let name: String
  package let kind: Kind
  /// One phrase for `adalign list`.
  package let meaning: String

  /// A number.
  package init(_ name: String, default value: Double, in range: ClosedRange<Double>, _ meaning: String) {
    self.name = name
    kind = .number(default: value, range: range)
    self.meaning = meaning
  }

  /// One of an enumeration's raw values; `true` and `false` stand for `yes` and `no` where those are all there are.
  package init<Choice>(_ name: String, default value: Choice, _ meaning: String)
  where Choice: RawRepresentable<String> & CaseIterable {
    self.name = name
    kind = .choice(default: value.rawValue, of: Choice.allCases.map(\.rawValue))
    self.meaning = meaning
  }

  /// One of the names of a registry.
  package init(_ name: String, default value: String, of names: [String], _ meaning: String) {
    self.name = name
    kind = .choice(default: value, of: names)
    self.meaning = meaning
  }

  /// The default as a recipe spells it.
  package var defaultText: String {
    switch kind {
    case .number(let value, _): "\(value)"
    case .choice(let value, _): value
    }
  }

  /// What may be written, for messages.
  package var expectation: String {
    switch kind {
    case .number(_, let range): "a number from \(range.lowerBound) to \(range.upperBound)"
    case .choice(_, let names): "one of \(names.joined(separator: ", "))"
    }
  }
}

/// A value for every option that a method describes.
package struct OptionValues: Sendable {
  private var numbers: [String: Double] = [:]
  private var choices: [String: String] = [:]

  /// Takes the defaults and what the settings change.
  ///
  /// - Parameters:
  ///   - section: the recipe's section that the options stand in, for messages.
  /// - Throws: ``Fault`` that names the option, what it may be, and for an unknown one the options there are.
  package init(
    _ settings: [String: String], for descriptions: [OptionDescription], of owner: String, in section: String
  ) throws {
    for name in settings.keys.sorted() where !descriptions.contains(where: { $0.name == name }) {
      throw Fault(
        .configuration, "\(owner) has no option \"\(name)\"", at: "\(section).\(name)",
        hint: descriptions.isEmpty
          ? "it has none" : "its options are \(descriptions.map(\.name).joined(separator: ", "))")
    }
    for description in descriptions {
      let text = settings[description.name] ?? description.defaultText
      guard set(description, text) else {
        throw Fault(
          .configuration, "\"\(text)\" is not \(description.expectation)", at: "\(section).\(description.name)",
          hint: description.meaning)
      }
    }
  }

  private mutating func set(_ description: OptionDescription, _ text: String) -> Bool {
    switch description.kind {
    case .number(_, let range):
      guard let value = Double(text), range.contains(value) else { return false }
      numbers[description.name] = value
    case .choice(_, let names):
      let text = names == ["no", "yes"] ? ["false": "no", "true": "yes"][text] ?? text : text
      guard names.contains(text) else { return false }
      choices[description.name] = text
    }
    return true
  }

  /// The number of an option that the method describes.
  package subscript(name: String) -> Double {
    guard let value = numbers[name] else { preconditionFailure("number \(name) is not described") }
    return value
  }

  /// The name that was chosen for an option that the method describes.
  package func name(_ option: String) -> String {
    guard let value = choices[option] else { preconditionFailure("choice \(option) is not described") }
    return value
  }

  /// The choice of an option that the method describes.
  package func choice<Choice: RawRepresentable<String>>(_ name: String) -> Choice {
    guard let value = choices[name].flatMap(Choice.init) else { preconditionFailure("choice \(name) is not described") }
    return value
  }
}
