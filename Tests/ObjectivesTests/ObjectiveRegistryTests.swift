import AlignmentCore
import Objectives
import Testing

@Suite struct ObjectiveRegistryTests {
  @Test func anUnknownNameListsTheKnownOnes() throws {
    let fault = try #require(fault { _ = try ObjectiveRegistry.make("dpo2") })
    #expect(fault.location == "objective.name" && fault.what.contains("dpo2"))
    for type in ObjectiveRegistry.all { #expect(fault.hint.contains(type.name)) }
  }

  @Test(arguments: ObjectiveRegistry.all.map { $0.name })
  func anUnknownOptionIsNamed(name: String) throws {
    let fault = try #require(fault { _ = try ObjectiveRegistry.make(name, settings: ["bta": "0.1"]) })
    #expect(fault.location == "objective.bta" && fault.what.contains(name))
  }

  @Test func theHintOfAnUnknownOptionListsTheKnownOnes() throws {
    let fault = try #require(fault { _ = try ObjectiveRegistry.make("dpo", settings: ["bta": "0.1"]) })
    #expect(fault.hint.contains("beta") && fault.hint.contains("label_smoothing"))
  }

  @Test(arguments: [
    ("beta", "0"), ("beta", "-0.1"), ("beta", "1e4"), ("beta", "nan"), ("beta", "inf"), ("beta", "much"), ("beta", ""),
    ("beta", "0.1 "), ("label_smoothing", "0.51"), ("label_smoothing", "-0.01"),
  ])
  func valuesOutsideTheRangeAreRefused(option: String, value: String) throws {
    let fault = try #require(fault { _ = try ObjectiveRegistry.make("dpo", settings: [option: value]) })
    #expect(fault.location == "objective.\(option)" && fault.what.contains("\"\(value)\""))
  }

  @Test(arguments: [("beta", "1e-6"), ("beta", "1000"), ("label_smoothing", "0"), ("label_smoothing", "0.5")])
  func theEndsOfTheRangeAreAllowed(option: String, value: String) throws {
    _ = try ObjectiveRegistry.make("dpo", settings: [option: value])
  }

  @Test func optionsOfAnotherObjectiveAreLeftAside() throws {
    let objective = try ObjectiveRegistry.make("sft", settings: ["beta": "0.1", "label_smoothing": "rubbish"])
    #expect(type(of: objective).name == "sft")
  }

  @Test func everyNameMakesItsObjective() throws {
    for type in ObjectiveRegistry.all {
      #expect(Swift.type(of: try ObjectiveRegistry.make(type.name)).name == type.name)
    }
  }
}
