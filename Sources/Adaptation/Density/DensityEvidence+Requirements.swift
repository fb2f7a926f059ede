import AlignmentCore

extension DensityEvidence {
  /// - Throws: ``Fault`` if a column of so many entries does not have one for each source response.
  func require(_ count: Int, _ meaning: String, for estimator: String, hint: String) throws {
    guard count == source.count else {
      throw Fault(
        .data, "\(estimator) needs \(meaning) of all \(source.count) source responses; there are \(count)",
        at: "weights", hint: hint)
    }
  }
}

extension DomainResponses {
  /// How faults call a response.
  func place(_ i: Int, _ kind: String = "source response") -> String { "\(kind) \(i) (prompt \(prompts[i]))" }

  /// - Throws: ``Fault`` that names the first response whose number does not hold.
  func check(
    _ values: [Double], _ meaning: String, of kind: String = "source response", hint: String,
    _ holds: (Double) -> Bool
  ) throws {
    guard let place = values.firstIndex(where: { !holds($0) }) else { return }
    throw Fault(.nonFinite, "the \(meaning) is \(values[place])", at: self.place(place, kind), hint: hint)
  }
}
