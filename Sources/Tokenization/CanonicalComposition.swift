/// Normalization form C (Unicode Standard Annex 15) with the tables of the Hugging Face tokenizers.
///
/// Foundation's composition is no substitute: on Linux it leaves a Hangul syllable and a final consonant apart.
enum CanonicalComposition {
  /// The canonical composition of valid UTF-8.
  static func composed(_ text: [UInt8]) -> [UInt8] {
    guard needsWork(text) else { return text }
    var scalars = decomposed(text)
    sortMarks(&scalars)
    compose(&scalars)
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    for scalar in scalars {
      // Values come from valid UTF-8 and from the tables, so they are scalars.
      result.append(contentsOf: Unicode.Scalar(scalar).map { Array(String($0).utf8) } ?? [])
    }
    return result
  }

  /// Whether a text has a scalar that composition may change or move; false means it is composed already.
  private static func needsWork(_ text: [UInt8]) -> Bool {
    // Below U+0300, whose first byte is 0xCC, every text is composed already.
    guard text.contains(where: { $0 >= 0xCC }) else { return false }
    let span = text.span
    var position = 0
    while position < text.count {
      if text[position] >= 0xCC {
        let scalar = span.scalar(at: position).value
        let isIdeograph = scalar >= 0x3400 && scalar < 0xA000
        if !isIdeograph && (Hangul.canFollow(scalar) || data.unstable.contains(scalar)) { return true }
      }
      position += span.scalarLength(at: position)
    }
    return false
  }

  private static func decomposed(_ text: [UInt8]) -> [UInt32] {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(text.count)
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars { decompose(scalar.value, into: &scalars) }
    return scalars
  }

  private static func decompose(_ scalar: UInt32, into scalars: inout [UInt32]) {
    if scalar < 0xC0 {
      scalars.append(scalar)
    } else if let parts = Hangul.decomposed(scalar) {
      scalars.append(contentsOf: parts)
    } else if let (first, second) = data.decompositions[scalar] {
      decompose(first, into: &scalars)
      if second != 0 { decompose(second, into: &scalars) }
    } else {
      scalars.append(scalar)
    }
  }

  /// Sorts every run of marks by class and keeps the order inside a class.
  private static func sortMarks(_ scalars: inout [UInt32]) {
    var start = 0
    while start < scalars.count {
      var end = start
      while end < scalars.count, markClass(scalars[end]) != 0 { end += 1 }
      if end - start > 1 {
        let sorted = scalars[start..<end].enumerated().sorted { left, right in
          (markClass(left.element), left.offset) < (markClass(right.element), right.offset)
        }
        scalars.replaceSubrange(start..<end, with: sorted.map(\.element))
      }
      start = end + 1
    }
  }

  /// Joins each scalar with the last starter before it, if nothing between them blocks it.
  private static func compose(_ scalars: inout [UInt32]) {
    var result: [UInt32] = []
    result.reserveCapacity(scalars.count)
    var starter: Int?
    var lastClass = 0
    for scalar in scalars {
      let scalarClass = markClass(scalar)
      if let index = starter, index == result.count - 1 || (lastClass != 0 && lastClass < scalarClass),
        let composite = composite(result[index], scalar)
      {
        result[index] = composite
        continue
      }
      if scalarClass == 0 { starter = result.count }
      lastClass = scalarClass
      result.append(scalar)
    }
    scalars = result
  }

  private static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    Hangul.composed(first, second) ?? data.composites[UInt64(first) << 32 | UInt64(second)]
  }

  private static func markClass(_ scalar: UInt32) -> Int {
    scalar < 0x300 ? 0 : data.classes[scalar] ?? 0
  }

  private static let data = CanonicalData()
}
