import Adaptation
import Foundation
import Objectives
import Optimization
import Testing
import Training

/// README and the recipes speak of everything that can be chosen.
@Suite struct DocumentationTests {
  private static let package = #filePath.components(separatedBy: "/Tests/")[0]

  private static func text(_ path: String) throws -> String {
    try String(contentsOfFile: "\(package)/\(path)", encoding: .utf8)
  }

  private static let recipes: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(package)/recipes")) ?? []
    return names.filter { $0.hasSuffix(".yaml") }.map { "recipes/\($0)" }.sorted()
  }()

  private static let adaptations = recipes.filter { $0.hasPrefix("recipes/adapt-") }
  private static let trainings = recipes.filter { !$0.contains("adapt") }

  @Test("every recipe of rounds can be read, and goes by a preset of its name", arguments: adaptations)
  func adaptation(recipe: String) throws {
    let text = try Self.text(recipe)
    let preset = String(recipe.dropFirst("recipes/adapt-".count).dropLast(".yaml".count)).replacing("-", with: "_")
    #expect(text.contains("\npreset: \(preset)\n"))
    let named = text.prefix { $0 != "\n" }.split(separator: " ").drop { $0 != recipe }.dropFirst().map(String.init)
    let configuration = try AdaptationConfiguration(recipe: text, path: recipe, overrides: named)
    #expect(configuration.settings.entries.contains { $0.key == "preset" && $0.value == preset })
    #expect(!configuration.settings.entries.contains { $0.value == "." }, "a place that rounds fill in is shown")
  }

  @Test("every preset has a recipe", arguments: AdaptationPreset.all.map(\.name))
  func preset(name: String) {
    #expect(Self.adaptations.contains("recipes/adapt-\(name.replacing("_", with: "-")).yaml"))
  }

  @Test(
    "a row of README names each method",
    arguments: [
      ObjectiveRegistry.names, OptimizerRegistry.all.map { $0.name }, RunConfiguration.RewardSettings.names,
      LearningRateSchedule.Shape.allCases.map(\.rawValue), DensityRegistry.names,
      AdaptationPreset.all.map(\.name), JudgeConfiguration.names, PairingRegistry.names,
      StepWeightingRegistry.all.map { $0.name },
    ].joined())
  func method(name: String) throws {
    let rows = try Self.text("README.md").split(separator: "\n").filter { $0.hasPrefix("|") }
    #expect(rows.contains { $0.contains("`\(name)`") })
  }

  @Test("README names each modifier", arguments: PreferenceLoss.modifiers.map(\.name))
  func modifier(name: String) throws {
    #expect(try Self.text("README.md").contains("`\(name)`"))
  }

  @Test("README explains every setting of weights but those of single estimators")
  func weights() throws {
    let readme = try Self.text("README.md")
    let own = DensityRegistry.optionNames.subtracting(["alpha"])
    for key in try WeighingSettings.keys where !own.contains(key) {
      #expect(readme.contains("`\(key)`"), "\(key)")
    }
  }

  @Test("README explains every key that a recipe can have", arguments: trainings)
  func keys(recipe: String) throws {
    let overrides = ["model=m", "data.train=t", "data.eval=e", "reward.model=r"]
    let configuration = try RunConfiguration(recipe: Self.text(recipe), path: recipe, overrides: overrides)
    let readme = try Self.text("README.md")
    let known = Set(
      ObjectiveRegistry.all.flatMap { $0.options.map(\.name) }
        + PolicyObjectiveRegistry.all.flatMap { $0.options.map(\.name) } + OptimizerRegistry.optionNames)
    for (key, _) in configuration.settings.entries {
      let keys = key.split(separator: ".").filter { Int($0) == nil }
      let name = keys[keys.count - 1]
      if known.contains(String(name)) { continue }
      let spellings = ["`\(keys.joined(separator: "."))`", "`.\(name)`", "`\(name)`"]
      #expect(spellings.contains { readme.contains($0) }, "\(key)")
    }
  }
}
