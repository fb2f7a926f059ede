/// How a domain speaks: the probabilities of the choices its generator makes.
///
/// All are strictly between 0 and 1 and both domains make the same choices, so that whatever one can say the other can
/// say too, and density ratios between them are finite.
struct Style: Sendable {
  /// Of taking a word from the first half of its list.
  let lean: Double
  /// The same for the content words of prompts: the shift in subjects is mild.
  let subjectLean: Double
  /// Of beginning with an opening such as "here is".
  let opening: Double
  /// Of mentioning a content word of the prompt.
  let mention: Double
  /// Of putting another word of its kind in the place of one not mentioned.
  let mistake: Double
  /// Of a word of praise, at each of two places.
  let praise: Double
  /// Of another padding word, at each of five places.
  let padding: Double
  /// Of saying a word twice.
  let doubling: Double
  /// Of a noise at the beginning, and again before the closing.
  let noise: Double
  /// Of closing with a courtesy.
  let courtesy: Double

  /// Terse: what matters is whether the subject is mentioned at all.
  static let source = Style(
    lean: 0.75, subjectLean: 0.6, opening: 0.2, mention: 0.55, mistake: 0.4, praise: 0.2, padding: 0.08, doubling: 0.02,
    noise: 0.12, courtesy: 0.12)
  /// Wordy and on topic: what matters is to stop in time, not to repeat oneself, and courtesy.
  static let target = Style(
    lean: 0.25, subjectLean: 0.4, opening: 0.5, mention: 0.8, mistake: 0.6, praise: 0.45, padding: 0.3, doubling: 0.1,
    noise: 0.08, courtesy: 0.5)
}
