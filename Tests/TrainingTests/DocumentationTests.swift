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

  @Test(
    "a row of README names each method",
    arguments: [
      ObjectiveRegistry.names, OptimizerRegistry.all.map { $0.name }, RunConfiguration.RewardSettings.names,
      LearningRateSchedule.Shape.allCases.map(\.rawValue),
    ].joined())
  func method(name: String) throws {
    let rows = try Self.text("README.md").split(separator: "\n").filter { $0.hasPrefix("|") }
    #expect(rows.contains { $0.contains("`\(name)`") })
  }

  @Test("README names each modifier", arguments: PreferenceLoss.modifiers.map(\.name))
  func modifier(name: String) throws {
    #expect(try Self.text("README.md").contains("`\(name)`"))
  }

  @Test("README explains every key that a recipe can have", arguments: recipes)
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
