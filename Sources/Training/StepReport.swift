import JSON

/// What one optimiser step tells the world.
struct StepReport {
  private let metrics: PreferenceMetrics
  private let result: Trainer.StepResult
  private let examples: Int
  /// Tokens of the batch: prompts once, and all completions.
  let tokens: Int

  init(_ batch: Trainer.PlannedBatch, _ result: Trainer.StepResult, _ metrics: PreferenceMetrics, tokens: Int) {
    self.metrics = metrics
    self.result = result
    self.tokens = tokens
    examples = batch.examples.count
  }

  /// For people.
  var summary: String {
    "loss \(metrics.loss.brief)" + (metrics.accuracy.map { "  accuracy \($0.brief)" } ?? "")
      + "  |g| \(result.gradientNorm.brief)"
  }

  /// For `metrics.jsonl`.
  func members(step: Int, epoch: Double, seconds: Double) -> [(String, JSONValue)] {
    [
      ("step", .integer(Int64(step))), ("epoch", .double(epoch)), ("loss", .double(metrics.loss)),
      ("grad_norm", .double(result.gradientNorm)), ("learning_rate", .double(result.learningRate)),
      ("examples", .integer(Int64(examples))), ("tokens", .integer(Int64(tokens))), ("seconds", .double(seconds)),
    ] + metrics.values.map { ($0.name, .double($0.value)) }
  }
}

extension Double {
  /// Four significant digits.
  package var brief: String {
    guard isFinite, self != 0 else { return "\(self)" }
    var scale = 1.0
    var digits = 4
    while abs(self) * scale < 1000, digits < 9 { (scale, digits) = (scale * 10, digits + 1) }
    let rounded = (self * scale).rounded() / scale
    return "\(rounded)"
  }
}

extension Int {
  /// Groups of three digits.
  package var grouped: String {
    var text = ""
    for (offset, digit) in String(self).reversed().enumerated() {
      if offset > 0, offset % 3 == 0, digit != "-" { text.append(" ") }
      text.append(digit)
    }
    return String(text.reversed())
  }
}
