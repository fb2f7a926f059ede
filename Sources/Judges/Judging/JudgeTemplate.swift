import AlignmentCore
import Checkpoints

/// How a judge is asked: its words, and the verdicts it may give.
package struct JudgeTemplate: Sendable, Equatable {
  /// What a question is about.
  package enum Subject: String, Sendable, CaseIterable {
    /// Which of two responses is better.
    case pair
    /// How good one response is.
    case response
  }

  /// A verdict and its value.
  package struct Option: Sendable, Equatable {
    package var text: String
    /// The score that a single response gets by it; 0 for the letters of a pair.
    package var value: Double
  }

  package let name: String
  /// One line for `adalign list`.
  package let summary: String
  package let subject: Subject
  package let options: [Option]
  /// Whether the judge writes reasons before its verdict, which takes some hundred tokens.
  package let givesReasons: Bool
  /// Where `{prompt}`, `{first}`, `{second}` and `{response}` stand for what is judged.
  package let text: String

  /// The built-in template of a name.
  ///
  /// - Throws: ``Fault`` that lists the names.
  package static func named(_ name: String, for subject: Subject) throws -> JudgeTemplate {
    let candidates = JudgeTemplateRegistry.all.filter { $0.subject == subject }
    guard let template = candidates.first(where: { $0.name == name }) else {
      throw Fault(
        .configuration, "there is no template \"\(name)\" for a \(subject.rawValue)", at: "judge.template",
        hint: "templates are \(candidates.map(\.name).joined(separator: ", "))")
    }
    return template
  }

  /// A template with the words of a file and the options of this one.
  ///
  /// - Throws: ``Fault`` where the file lacks a placeholder or has one that nothing stands for.
  package func with(wordsOf path: String) throws -> JudgeTemplate {
    let bytes = try FileSystem.readWhole(path, limit: 1 << 20)
    guard let words = String(validating: bytes, as: UTF8.self) else {
      throw Fault(.data, "the template is not UTF-8", at: path, hint: "save it as UTF-8")
    }
    let template = JudgeTemplate(
      name: "\(name) in the words of a file", summary: summary, subject: subject, options: options,
      givesReasons: givesReasons, text: words)
    try template.checkPlaceholders(at: path)
    return template
  }

  private func checkPlaceholders(at path: String) throws {
    let needed = subject.placeholders
    let found = Set(text.placeholders)
    if let missing = needed.first(where: { !found.contains($0) }) {
      throw Fault(
        .configuration, "the template does not say where {\(missing)} stands", at: path,
        hint: "a template for a \(subject.rawValue) has \(needed.map { "{\($0)}" }.joined(separator: ", "))")
    }
    if let unknown = found.sorted().first(where: { !needed.contains($0) }) {
      throw Fault(
        .configuration, "nothing stands for {\(unknown)} of the template", at: path,
        hint: "a template for a \(subject.rawValue) has \(needed.map { "{\($0)}" }.joined(separator: ", "))")
    }
  }

  /// Names the template by all that a judge is told by it.
  package var digest: String {
    let hash = SHA256()
    for field in [UntrustedText.rule, text] + options.map(\.text) { hash.update(field: field) }
    return hash.finish().hex
  }

  /// The question about material, in this template's words.
  ///
  /// - Parameters:
  ///   - material: for each placeholder what it stands for: a label and a text.
  func prompt(_ material: [String: (label: String, text: String)]) -> JudgePrompt {
    let fence = UntrustedText(material.values.map(\.text))
    return JudgePrompt(
      system: fence.rule, user: text.filled { name in material[name].map { fence.enclosing($0.text, as: $0.label) } },
      options: options.map(\.text))
  }
}

extension JudgeTemplate.Subject {
  /// The placeholders that a template must have.
  var placeholders: [String] {
    switch self {
    case .pair: ["prompt", "first", "second"]
    case .response: ["prompt", "response"]
    }
  }
}

extension String {
  /// The names in braces, as `prompt` in "{prompt}": lower-case letters only, so that JSON is none.
  fileprivate var placeholders: [String] {
    matches(of: #/\{([a-z]+)\}/#).map { String($0.output.1) }
  }

  /// With each name in braces replaced, where something stands for it; what is put in is not looked at again.
  fileprivate func filled(_ replacement: (String) -> String?) -> String {
    replacing(#/\{([a-z]+)\}/#) { match in replacement(String(match.output.1)) ?? String(match.output.0) }
  }
}
