import AlignmentCore
import Collectives
import Foundation
import Objectives
import Optimization
import Testing
import Training
import Transformer

@Suite struct RunConfigurationTests {
  private static let recipe = """
    run: runs/a
    model: models/b
    data:
      train: c.jsonl
    """

  private func parse(_ recipe: String = Self.recipe, _ overrides: String...) throws -> RunConfiguration {
    try RunConfiguration(recipe: recipe, path: "some.yaml", overrides: overrides)
  }

  /// The message of the fault that a recipe or an override causes.
  private func refusal(
    _ recipe: String = Self.recipe, _ overrides: String..., kind: Fault.Kind = .configuration,
    sourceLocation: SourceLocation = #_sourceLocation
  ) -> String {
    fault(kind, sourceLocation: sourceLocation) {
      _ = try RunConfiguration(recipe: recipe, path: "some.yaml", overrides: overrides)
    }
  }

  @Test func fillsInDefaults() throws {
    let c = try parse()
    #expect(c.run == "runs/a" && c.model == .directory("models/b") && c.reference == nil && c.seed == 0)
    #expect(c.length == .epochs(1) && c.data.train == ["c.jsonl"] && c.data.evaluation.isEmpty && c.data.shuffle)
    #expect(c.data.maxLength == nil && c.data.boundary == .joined && c.data.onError == .fail && c.data.keep == .end)
    #expect(
      c.batch.size == 32 && c.normalization == .count && c.optimizer.decay == .matrices
        && c.optimizer.maxGradientNorm == 1)
    #expect(
      type(of: (try c.preferenceLoss).objective).name == "dpo" && c.reduction == .exact && c.threads == 1
        && c.evaluation.every == 0)
    let options = c.optimizer.options
    #expect(c.optimizer.type == AdamW.self && c.optimizer.learningRate == 1e-5)
    #expect(options["beta1"] == 0.9 && options["beta2"] == 0.999 && options["epsilon"] == 1e-8)
    #expect(c.optimizer.weightDecay == 0 && c.schedule.shape == .constant && c.schedule.warmup == 0)
    #expect(c.schedule.minimum == 0 && c.schedule.decay == 0.1 && c.schedule.decayCurve == .linear)
  }

  @Test func readsEveryKeyThatScriptsRelyOn() throws {
    let c = try parse(
      """
      run: r
      model: m
      reference: base
      seed: 7
      steps: 12
      data: {train: [a.jsonl, b.jsonl.gz], eval: e.jsonl, shuffle: false, max_length: 99, max_prompt_length: 50,
             boundary: separate, keep_prompt: start, on_error: skip}
      batch: {size: 3, unit_tokens: 111}
      objective: {name: sft, normalization: weight}
      optimizer: {name: adamw, learning_rate: 3e-4, beta1: 0.8, beta2: 0.95, epsilon: 1e-6, weight_decay: 0.2, decay: all,
                  max_grad_norm: 0}
      schedule: {name: cosine, warmup: 0.25}
      checkpoint: {every: 4, keep: 5}
      eval: {every: 6}
      reduction: fast
      threads: 2
      """)
    #expect(
      c.reference == "base" && c.seed == 7 && c.length == .steps(12) && c.data.train == ["a.jsonl", "b.jsonl.gz"])
    #expect(
      c.data.evaluation == ["e.jsonl"] && !c.data.shuffle && c.data.maxLength == 99 && c.data.maxPromptLength == 50)
    #expect(c.data.boundary == .separate && c.data.keep == .start && c.data.onError == .skip)
    #expect(c.batch.size == 3 && c.batch.unitTokens == 111 && c.normalization == .weight && c.optimizer.decay == .all)
    #expect(
      type(of: (try c.preferenceLoss).objective).name == "sft" && c.optimizer.maxGradientNorm == 0
        && c.reduction == .fast && c.threads == 2)
    #expect(c.optimizer.learningRate == 3e-4 && c.optimizer.weightDecay == 0.2)
    let options = c.optimizer.options
    #expect(options["beta1"] == 0.8 && options["beta2"] == 0.95 && options["epsilon"] == 1e-6)
    #expect(c.schedule.shape == .cosine && c.schedule.warmup == 0.25)
    #expect(c.checkpoint.every == 4 && c.checkpoint.keep == 5 && c.evaluation.every == 6)
  }

  @Test(
    arguments: [
      ([], .steps(12)), (["epochs=3"], .epochs(3)), (["steps=7"], .steps(7)), (["epochs=3", "steps=7"], .steps(7)),
      (["steps=7", "epochs=3"], .epochs(3)), (["steps="], .epochs(1)),
    ] as [([String], RunConfiguration.Length)])
  func theLengthGivenLastCounts(overrides: [String], length: RunConfiguration.Length) throws {
    let text = "run: r\nmodel: m\ndata: {train: t.jsonl}\nsteps: 12\n"
    #expect(try RunConfiguration(recipe: text, path: "r.yaml", overrides: overrides).length == length)
  }

  @Test func theLengthGivenLastCountsInSections() throws {
    let text = """
      preset: iterative_dpo
      run: r
      model: m
      data: {source: s.jsonl, prompts: p.jsonl}
      label: {judge: {name: gold}}
      policy: {steps: 12}
      """
    let settings = try AdaptationConfiguration(recipe: text, path: "r.yaml", overrides: ["policy.epochs=3"]).settings
    #expect(settings.entries.contains { $0.key == "policy.epochs" && Double($0.value) == 3 })
    #expect(!settings.entries.contains { $0.key == "policy.steps" })
  }

  @Test func overridesReplaceAndAddInOrder() throws {
    let c = try parse(
      Self.recipe, "run=elsewhere", "batch.size=4", "batch.size=5", "data.train=[x.jsonl, 'y z.jsonl']",
      "objective.beta=0.3", "optimizer.learning_rate=1e-3", "reference=")
    #expect(c.run == "elsewhere" && c.batch.size == 5 && c.data.train == ["x.jsonl", "y z.jsonl"])
    #expect(c.optimizer.learningRate == 1e-3 && c.reference == nil)
    let reward = (try c.preferenceLoss).objective.reward(ScoredCompletion(policy: -1, reference: -2, tokens: 1))
    #expect(reward == 0.3)
    // What was a name becomes a table.
    let initialized = try parse(
      Self.recipe, "model.initialize.hidden_size=32", "model.initialize.heads=2", "model.initialize.seed=3")
    guard case .initialized(let shape, let seed) = initialized.model else {
      Issue.record("the model is not initialised")
      return
    }
    #expect(shape.hiddenSize == 32 && shape.heads == 2 && seed == 3)
  }

  @Test(arguments: ["size", "=5", "batch..size=5", ".size=5", "batch.=5"])
  func malformedOverridesAreRefused(override: String) {
    #expect(refusal(Self.recipe, override, kind: .usage).contains("\"\(override)\""))
  }

  @Test(arguments: [
    ("rnu=x", "rnu", "run"), ("optimizer.learning_rat=1", "optimizer.learning_rat", "optimizer.learning_rate"),
    ("batch.sise=1", "batch.sise", "batch.size"), ("schedule.warm_up=1", "schedule.warm_up", "schedule.warmup"),
    ("data.boundry=joined", "data.boundry", "data.boundary"),
    ("checkpoint.evry=1", "checkpoint.evry", "checkpoint.every"),
    ("memory.logits=1", "memory.logits", "memory.logits_mb"), ("eval.evry=1", "eval.evry", "eval.every"),
    ("model.initialize.hiden_size=8", "model.initialize.hiden_size", "model.initialize.hidden_size"),
  ])
  func unknownKeysSuggestTheNearest(override: String, key: String, suggestion: String) {
    let message = refusal(Self.recipe, override)
    #expect(message.hasPrefix("\(key):") && message.contains("did you mean \(suggestion)?"), "\(message)")
  }

  @Test func unknownOptionsOfTheObjectiveAreNamed() {
    #expect(refusal(Self.recipe, "objective.bta=1").contains("objective.bta"))
    #expect(refusal(Self.recipe, "objective.name=dpoo").contains("dpo"))
    #expect(refusal(Self.recipe, "optimizer.name=adam").contains("adamw"))
  }

  @Test(arguments: [
    ("batch.size=many", "batch.size"), ("batch.size=0", "batch.size"), ("batch.size=1.5", "batch.size"),
    ("seed=-1", "seed"), ("steps=0", "steps"), ("epochs=0", "epochs"), ("epochs=nan", "epochs"),
    ("optimizer.learning_rate=-1", "optimizer.learning_rate"),
    ("optimizer.learning_rate=nan", "optimizer.learning_rate"),
    ("optimizer.beta1=1", "optimizer.beta1"), ("optimizer.decay=some", "optimizer.decay"),
    ("data.shuffle=maybe", "data.shuffle"), ("reduction=exakt", "reduction"), ("schedule.name=step", "schedule.name"),
    ("threads=0", "threads"), ("objective.beta=x", "objective.beta"),
    ("objective.normalization=sum", "objective.normalization"),
    ("data.max_length=1", "data.max_length"), ("checkpoint.keep=0", "checkpoint.keep"),
    // A table where a value belongs, a value where a table belongs, a list where one value belongs.
    ("batch.size={a: 1}", "batch.size"), ("batch=3", "batch"), ("run=[a, b]", "run"),
    ("objective.beta=[1, 2]", "objective.beta"),
    ("data.train={a: b}", "data.train"), ("data.train=[[a]]", "data.train"), ("objective=dpo", "objective"),
  ])
  func wrongValuesNameTheirKey(override: String, key: String) {
    let message = refusal(Self.recipe, override)
    #expect(message.hasPrefix("\(key):"), "\(message)")
  }

  @Test(arguments: ["run", "model", "data.train"])
  func missingKeysAreNamed(key: String) {
    let message = refusal(Self.recipe, "\(key)=null")
    #expect(message.hasPrefix("\(key): is missing"), "\(message)")
  }

  @Test func recipesThatAreNoTablesAreRefused() {
    #expect(refusal("- a\n- b\n").contains("expected keys and values"))
    #expect(refusal("just text").contains("expected keys and values"))
    #expect(refusal("").contains("run: is missing"))
  }

  @Test func invalidYAMLNamesItsLine() {
    let unclosed = refusal("run: a\nmodel: b\ndata: [c\nbatch:\n  size: 3\n")
    #expect(unclosed.hasPrefix("some.yaml: ") && unclosed.contains("not valid YAML"))
    let tab = refusal("run: a\nmodel: b\ndata:\n\ttrain: c\n")
    #expect(tab.contains("not valid YAML") && tab.contains("4:"), "\(tab)")
  }

  @Test func duplicateKeysAreRefused() {
    let message = refusal("run: a\nmodel: b\nrun: c\ndata:\n  train: d\n")
    #expect(message.hasPrefix("some.yaml: ") && message.contains("run"), "\(message)")
    #expect(refusal("run: a\nmodel: b\ndata:\n  train: d\n  train: e\n").contains("train"))
  }

  @Test func aliasesStandForTheirValue() throws {
    #expect(try parse("run: &a x\nmodel: *a\ndata:\n  train: d\n").model == .directory("x"))
    #expect(refusal("run: *nowhere\nmodel: b\ndata:\n  train: d\n").contains("nowhere"))
  }
}

@Suite struct ResolvedSettingsTests {
  private func parse(_ recipe: String, _ overrides: [String] = []) throws -> RunConfiguration {
    try RunConfiguration(recipe: recipe, path: "some.yaml", overrides: overrides)
  }

  /// Whether a configuration's text reads back to the same settings.
  private func expectRoundTrip(_ configuration: RunConfiguration, sourceLocation: SourceLocation = #_sourceLocation)
    throws
  {
    let again = try parse(configuration.settings.yaml)
    #expect(
      again.settings.entries.map { "\($0.key)=\($0.value)" }
        == configuration.settings.entries.map { "\($0.key)=\($0.value)" }, sourceLocation: sourceLocation)
    #expect(again.settings.yaml == configuration.settings.yaml, sourceLocation: sourceLocation)
    #expect(again.run == configuration.run && again.model == configuration.model, sourceLocation: sourceLocation)
    #expect(
      again.data.train == configuration.data.train && again.length == configuration.length,
      sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    [], ["steps=3", "reference=base", "data.max_length=9"], ["epochs=2.5", "data.eval=e.jsonl"],
    ["data.train=[a.jsonl, b.jsonl, c.jsonl]", "data.eval=[d, e]"], ["data.train=[only.jsonl]"],
    ["objective.name=sft", "objective.beta=0.5"], ["objective.name=[dpo, sft]", "objective.weights=[1, 0.25]"],
    ["objective.name=kto", "objective.kl=zero", "data.control.desirable=<good>"],
    ["objective.label_smoothing=0.1", "objective.beta=1e-3"],
    ["model.initialize.layers=2", "model.initialize.heads=2", "model.initialize.hidden_size=16"],
    ["optimizer.learning_rate=1e-6", "optimizer.weight_decay=0.1", "schedule.warmup=0.03"],
  ])
  func readBackToTheSame(overrides: [String]) throws {
    try expectRoundTrip(parse("run: a\nmodel: b\ndata:\n  train: c.jsonl\n", overrides))
  }

  @Test(arguments: [
    "two words", "a: b", "# no comment", "it's", "\"quoted\"", "back\\slash", "größe/日本", "{a}", "[a]", "*a", "&a",
    "!a",
    "%a", "@a", "`a`", "a,b", "~/runs", "~", "null", "Null", "NULL", "true", "no", "-", "--", "-x", "...", "---", "1",
    "1e3",
    "0x10", "a#b", "a #b", " leading", "trailing ", "?", "? a", "|", ">", "a:", ":a", "tab\there", "line\nbreak",
    "a\n\nb",
    "carriage\rreturn", "nul\u{1}control", "\u{85}", "\u{2028}", "=", "<<", ".", "..", "/", "+",
  ])
  func anyTextReadsBack(text: String) throws {
    // In double quotes every character can be written by its number.
    let quoted = "\"" + text.unicodeScalars.map { String(format: "\\U%08x", $0.value) }.joined() + "\""
    let configuration = try parse("run: \(quoted)\nmodel: \(quoted)\ndata:\n  train: [\(quoted), \(quoted)]\n")
    try #require(configuration.run == text && configuration.data.train == [text, text])
    try expectRoundTrip(configuration)
  }

  @Test func includeTheDefaults() throws {
    let entries = try parse("run: a\nmodel: b\ndata:\n  train: c.jsonl\n").settings.entries
    let settings = Dictionary(entries.map { ($0.key, $0.value) }) { first, _ in first }
    #expect(settings.count == entries.count, "a key is recorded twice")
    for (key, value) in [
      ("run", "a"), ("seed", "0"), ("epochs", "1.0"), ("batch.size", "32"), ("objective.name", "dpo"),
      ("objective.normalization", "count"), ("optimizer.decay", "matrices"), ("reduction", "exact"), ("threads", "1"),
    ] { #expect(settings[key] == value, "\(key)") }
    // The objective's own options too: a later version with other defaults must not change a run that goes on.
    #expect(settings["objective.beta"].flatMap(Double.init) == 0.1)
    #expect(settings["objective.label_smoothing"].flatMap(Double.init) == 0)
  }
}

/// The recipes of single runs that come with the program; those of rounds are read by `DocumentationTests`.
@Suite struct RecipeFileTests {
  static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "recipes").path(percentEncoded: false)
  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter {
    $0.hasSuffix(".yaml") && !$0.contains("adapt")
  }.sorted()

  @Test func thereAreRecipes() { #expect(Self.names.contains("dpo.yaml") && Self.names.contains("sft.yaml")) }

  @Test(arguments: names)
  func isValidAndBeginsWithItsCommand(name: String) throws {
    let text = try String(contentsOfFile: "\(Self.directory)/\(name)", encoding: .utf8)
    let recipe = try RunConfiguration(
      recipe: text, path: name, overrides: ["model=m", "data.train=d", "run=r", "reward.model=rm"])
    #expect(recipe.run == "r")
    #expect(text.hasPrefix("# ") && text.prefix { $0 != "\n" }.contains("adalign train"))
  }
}
