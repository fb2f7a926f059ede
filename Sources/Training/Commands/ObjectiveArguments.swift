import AlignmentCore
import Objectives

/// An objective as a command line describes it: a name, or several with commas between, and `key=value` settings.
struct ObjectiveArguments {
  private var values: [String: String] = [:]

  /// - Throws: ``Fault`` for what is no `key=value`.
  init(_ settings: [String]) throws {
    for setting in settings {
      let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else {
        throw Fault(.usage, "\"\(setting)\" is no option", hint: "options look like beta=0.1")
      }
      values[parts[0]] = parts[1]
    }
  }

  var isEmpty: Bool { values.isEmpty }

  /// Takes a setting that is none of the objective's.
  mutating func take(_ key: String) -> String? { values.removeValue(forKey: key) }

  /// The objective with the settings that are left; `weights` are those of a mixture.
  func loss(_ name: String) throws -> PreferenceLoss {
    var settings = values
    let weights = try (settings.removeValue(forKey: "weights") ?? "").split(separator: ",").map { text in
      guard let weight = Double(text) else { throw Fault(.usage, "weight \"\(text)\" is no number") }
      return weight
    }
    let names = name.split(separator: ",").map(String.init)
    if let policy = names.first(where: { PolicyObjectiveRegistry.type(named: $0) != nil }) {
      throw Fault(
        .usage, "\(policy) is no objective on preferences", hint: "its losses are those of samples; see adalign list")
    }
    return try PreferenceLoss(names, weights: weights, settings: settings)
  }
}
