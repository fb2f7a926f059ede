/// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
/// 1, 2, 3" (SC 2011, §3.3). A block is a pure function of counter and key; nothing is remembered between calls.
package struct Philox {
  /// The 128 random bits that belong to a counter under a key.
  package static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var counter = counter
    var key = key
    for _ in 0..<10 {
      let even = UInt64(counter.x) * 0xD251_1F53
      let odd = UInt64(counter.z) * 0xCD9E_8D57
      counter = SIMD4(
        UInt32(truncatingIfNeeded: odd >> 32) ^ counter.y ^ key.x, UInt32(truncatingIfNeeded: odd),
        UInt32(truncatingIfNeeded: even >> 32) ^ counter.w ^ key.y, UInt32(truncatingIfNeeded: even))
      key = key &+ SIMD2(0x9E37_79B9, 0xBB67_AE85)
    }
    return counter
  }
}

/// A random stream keyed by what it is for: a seed, a purpose and up to two identities (epoch, example,
/// sample …).
///
/// Elements are addressed by position, so any rank can produce any of them in any order.
package struct RandomStream: Sendable {
  /// What random numbers are drawn for; streams of different purposes are independent.
  package enum Purpose: UInt32, Sendable {
    case shuffling = 1
    case initialization = 2
    case sampling = 3
    case syntheticWorld = 4
    case evaluation = 5
    case weighing = 6
    case pairing = 7
    case judging = 8
    case mixing = 9
    case resampling = 10
  }

  let key: SIMD2<UInt32>
  let identity: SIMD4<UInt32>

  /// - Parameters:
  ///   - first: an identity below 2³², such as an epoch or an example.
  ///   - second: a second identity below 2³², such as a sample.
  package init(seed: UInt64, purpose: Purpose, _ first: Int = 0, _ second: Int = 0) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    identity = SIMD4(0, UInt32(first), UInt32(second), purpose.rawValue)
  }

  /// 128 random bits at a position below 2³².
  package func bits(at position: Int) -> SIMD4<UInt32> {
    var counter = identity
    counter.x = UInt32(position)
    return Philox.block(counter: counter, key: key)
  }

  /// A uniform number in [0, 1) with 53 random bits.
  package func uniform(at position: Int) -> Double {
    let block = bits(at: position)
    return Double(UInt64(block.x) << 21 ^ UInt64(block.y) >> 11) * 0x1p-53
  }

  /// A uniform integer in `0..<bound`, by Lemire's multiplication; the bias is below bound · 2⁻⁶⁴.
  package func integer(below bound: Int, at position: Int) -> Int {
    let block = bits(at: position)
    return Int((UInt64(block.x) << 32 | UInt64(block.y)).multipliedFullWidth(by: UInt64(bound)).high)
  }
}

#if canImport(Glibc)
  import Glibc
#endif

extension RandomStream {
  /// A standard normal number (Box and Muller 1958).
  package func normal(at position: Int) -> Double {
    let block = bits(at: position)
    let radius = (Double(block.x) + 1) * 0x1p-32
    let angle = Double(block.y) * 0x1p-32
    return (-2 * log(radius)).squareRoot() * cos(2 * Double.pi * angle)
  }
}
