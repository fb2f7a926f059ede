#if canImport(Glibc)
  import Glibc
#endif

/// What a small reward model sees of a response: how often words and pairs of neighbouring words occur, hashed (Weinberger
/// et al. 2009, arXiv 0902.2206), and how it looks.
package enum TextFeatures {
  /// Columns of hashed words; a power of two.
  private static let buckets = 1 << 14
  package static let columns = buckets + 3

  /// φ by column. Counts are on a logarithmic scale, log(1 + n): the tenth "the" says less than the first.
  package static func of(_ text: [UInt8]) -> [Int: Double] {
    var counts: [Int: Double] = [:]
    var previous: UInt64?
    for word in words(text) {
      let hash = hash(word)
      counts[bucket(hash), default: 0] += 1
      if let previous { counts[bucket(previous &* 0x9E37_79B9_7F4A_7C15 ^ hash), default: 0] += 1 }
      previous = hash
    }
    counts[buckets] = Double(text.count)
    counts[buckets + 1] = Double(text.count { $0 == UInt8(ascii: "?") })
    counts[buckets + 2] = Double(text.count { $0 == UInt8(ascii: "\n") })
    return counts.mapValues { log1p($0) }
  }

  /// φ(chosen) − φ(rejected).
  package static func gap(_ chosen: [UInt8], _ rejected: [UInt8]) -> [Int: Double] {
    of(chosen).merging(of(rejected).mapValues { -$0 }, uniquingKeysWith: +)
  }

  /// Runs of letters, digits, apostrophes and anything that is not ASCII, in lower case; other marks by themselves.
  package static func words(_ text: [UInt8]) -> [[UInt8]] {
    var words: [[UInt8]] = []
    var continues = false
    for byte in text {
      let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte + 32 : byte
      let isLetter = lower >= 0x80 || UInt8(ascii: "a")...UInt8(ascii: "z") ~= lower
      let isInWord = isLetter || UInt8(ascii: "0")...UInt8(ascii: "9") ~= lower || lower == UInt8(ascii: "'")
      if isInWord && continues {
        words[words.count - 1].append(lower)
      } else if lower > UInt8(ascii: " ") {
        words.append([lower])
      }
      continues = isInWord
    }
    return words
  }

  /// FNV-1a, which is the same on every machine, as Swift's own hash is not.
  private static func hash(_ word: [UInt8]) -> UInt64 {
    word.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  /// The upper bits of a product depend on all bits of the hash.
  private static func bucket(_ hash: UInt64) -> Int {
    Int((hash &* 0xD6E8_FEB8_6659_FD93) >> 32) & (buckets - 1)
  }
}
