/// The tables of `CanonicalTables` in a form for look-ups.
struct CanonicalData {
  /// First and second part of each scalar that decomposes; the second is 0 if there is none.
  private(set) var decompositions: [UInt32: (first: UInt32, second: UInt32)] = [:]
  /// What two scalars compose to, by the first one in the upper half and the second one in the lower half.
  private(set) var composites: [UInt64: UInt32] = [:]
  /// Combining classes other than 0.
  private(set) var classes: [UInt32: Int] = [:]
  /// Scalars that composition may change or move, or join with one before them; Hangul aside.
  private(set) var unstable: Set<UInt32> = []

  /// Decodes the tables, which takes a few milliseconds.
  init() {
    readComposing()
    readExcluded()
    readClasses()
    unstable.formUnion(classes.keys)
  }

  private mutating func readComposing() {
    var scalar: UInt32 = 0
    for (gap, first, second) in Self.triples(CanonicalTables.composing) {
      scalar += gap
      decompositions[scalar] = (first, second)
      composites[UInt64(first) << 32 | UInt64(second)] = scalar
      unstable.insert(second)
    }
  }

  private mutating func readExcluded() {
    var scalar: UInt32 = 0
    for (gap, first, second) in Self.triples(CanonicalTables.excluded) {
      scalar += gap
      decompositions[scalar] = (first, second)
      unstable.insert(scalar)
    }
  }

  private mutating func readClasses() {
    var end: UInt32 = 0
    for (gap, length, combiningClass) in Self.triples(CanonicalTables.classes) {
      for scalar in end + gap...end + gap + length { classes[scalar] = Int(combiningClass) }
      end += gap + length
    }
  }

  private static func triples(_ text: String) -> [(UInt32, UInt32, UInt32)] {
    let numbers = text.split(separator: " ").map { UInt32($0, radix: 36) ?? 0 }
    return stride(from: 0, to: numbers.count - 2, by: 3).map { (numbers[$0], numbers[$0 + 1], numbers[$0 + 2]) }
  }
}

/// The arithmetic of Hangul syllables (The Unicode Standard, section 3.12).
enum Hangul {
  private static let leading: UInt32 = 0x1100
  private static let vowel: UInt32 = 0x1161
  private static let trailing: UInt32 = 0x11A7
  private static let syllable: UInt32 = 0xAC00
  private static let vowelCount: UInt32 = 21
  private static let trailingCount: UInt32 = 28
  private static let syllableCount: UInt32 = 11172

  /// Whether a scalar is a vowel or final consonant, which may join with the scalar before it.
  static func canFollow(_ scalar: UInt32) -> Bool { scalar >= vowel && scalar < trailing + trailingCount }

  /// The two or three parts of a syllable.
  static func decomposed(_ scalar: UInt32) -> [UInt32]? {
    guard scalar >= syllable, scalar < syllable + syllableCount else { return nil }
    let index = scalar - syllable
    let first = leading + index / (vowelCount * trailingCount)
    let second = vowel + index / trailingCount % vowelCount
    let third = trailing + index % trailingCount
    return third == trailing ? [first, second] : [first, second, third]
  }

  /// The syllable of a consonant and a vowel, or of a syllable without final consonant and such a consonant.
  static func composed(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if first >= leading, first < leading + 19, second >= vowel, second < vowel + vowelCount {
      return syllable + ((first - leading) * vowelCount + second - vowel) * trailingCount
    }
    let isOpenSyllable =
      first >= syllable && first < syllable + syllableCount && (first - syllable).isMultiple(of: trailingCount)
    guard isOpenSyllable, second > trailing, second < trailing + trailingCount else { return nil }
    return first + second - trailing
  }
}
