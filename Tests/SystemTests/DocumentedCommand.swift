import Foundation
import Testing

/// A command with a recipe that the documentation tells people to type: a recipe with the arguments of its first line, or
/// a variant of it in README.
struct DocumentedCommand: Sendable, CustomTestStringConvertible {
  /// File name of the recipe.
  let recipe: String
  /// Arguments of the recipe's first line, with placeholders such as `MODEL_DIR`.
  let given: [String]
  /// What README adds.
  let overrides: [String]

  var testDescription: String { ([recipe] + overrides).joined(separator: " ") }

  static let folder = #filePath.components(separatedBy: "/Tests/")[0] + "/recipes"

  /// The words of weighing and labelling in README, from the command on, placeholders included.
  static let readmeCommands: [[String]] = {
    let readme = (try? String(contentsOfFile: "\(folder)/../README.md", encoding: .utf8)) ?? ""
    return readme.matches(of: /\n    (?:mpirun -n \d+ )?adalign ((?:weigh|label) [^\n\[]+)(?=\n)/).map {
      $0.1.split(separator: " ").map(String.init)
    }
  }()

  /// All recipes, and all their variants in README, but those of the demo, which belong together.
  static let all: [DocumentedCommand] = recipes + variants

  static let recipes: [DocumentedCommand] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.sorted().filter { $0.hasSuffix(".yaml") && !$0.hasPrefix("demo-") }.map { name in
      DocumentedCommand(recipe: name, given: arguments(ofRecipe: name), overrides: [])
    }
  }()

  /// Code in README that begins with a recipe and changes it.
  private static let variants: [DocumentedCommand] = {
    let readme = (try? String(contentsOfFile: "\(folder)/../README.md", encoding: .utf8)) ?? ""
    return readme.matches(of: /`recipes\/([-+a-z0-9]+\.yaml) ([^`]+)`/).map { match in
      let name = String(match.1)
      let overrides = match.2.split(separator: " ").map(String.init).map { $0.replacing("'", with: "") }
      return DocumentedCommand(recipe: name, given: arguments(ofRecipe: name), overrides: overrides)
    }
  }()

  /// What follows the recipe in the command of its first line; empty if that is none.
  private static func arguments(ofRecipe name: String) -> [String] {
    let text = (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)) ?? ""
    let words = text.prefix { $0 != "\n" }.split(separator: " ").map(String.init)
    guard words.starts(with: ["#", "mpirun"]), let place = words.firstIndex(of: "recipes/\(name)"),
      words[place - 1] == (text.contains("\npreset:") ? "adapt" : "train")
    else { return [] }
    return Array(words[(place + 1)...])
  }

  /// Whether it is one of rounds.
  var isAdaptation: Bool { text.contains("\npreset:") }

  /// The recipe.
  var text: String { (try? String(contentsOfFile: "\(Self.folder)/\(recipe)", encoding: .utf8)) ?? "" }

  /// The arguments of the program with files for placeholders.
  func arguments(_ files: [String: String]) -> [String] {
    // Another reward needs no reward model.
    let reward = overrides.last { $0.hasPrefix("reward.name=") }
    let hasModel = reward?.contains("model") ?? true
    let all = given.filter { hasModel || !$0.hasPrefix("reward.model=") } + overrides
    return [isAdaptation ? "adapt" : "train", "\(Self.folder)/\(recipe)"]
      + all.map { argument in files.reduce(argument) { $0.replacing($1.key, with: $1.value) } }
  }
}
