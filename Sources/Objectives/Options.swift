import AlignmentCore

/// A number that an objective can be given in a recipe.
package struct OptionDescription: Sendable {
  package let name: String
  package let defaultValue: Double
  package let range: ClosedRange<Double>
  /// One phrase for `adalign list`.
  package let meaning: String

  package init(_ name: String, default value: Double, in range: ClosedRange<Double>, _ meaning: String) {
    self.name = name
    defaultValue = value
    self.range = range
    self.meaning = meaning
  }
}

/// A value for every option that an objective describes.
package struct OptionValues: Sendable {
  private var values: [String: Double]

  /// Takes the defaults and what the settings change.
  ///
  /// - Throws: ``Fault`` that names the option, what it may be, and for an unknown one the options there are.
  package init(_ settings: [String: String], for descriptions: [OptionDescription], of owner: String) throws {
    values = Dictionary(uniqueKeysWithValues: descriptions.map { ($0.name, $0.defaultValue) })
    for (name, text) in settings {
      guard let description = descriptions.first(where: { $0.name == name }) else {
        throw Fault(
          .configuration, "\(owner) has no option \"\(name)\"", at: "objective.\(name)",
          hint: descriptions.isEmpty
            ? "it has none" : "its options are \(descriptions.map(\.name).joined(separator: ", "))")
      }
      guard let value = Double(text), description.range.contains(value) else {
        throw Fault(
          .configuration,
          "\"\(text)\" is no number from \(description.range.lowerBound) to \(description.range.upperBound)",
          at: "objective.\(name)", hint: description.meaning)
      }
      values[name] = value
    }
  }

  /// The value of an option that the objective describes.
  package subscript(name: String) -> Double {
    guard let value = values[name] else { preconditionFailure("option \(name) is not described") }
    return value
  }
}
