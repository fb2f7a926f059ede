import AlignmentCore

/// A fingerprint of floats by their bits, fast enough to be taken of all weights between two steps.
///
/// Each of 64 lanes goes through h ← (h ⊕ x)·p as in FNV-1a (Fowler, Noll and Vo, RFC 9923, §2), and the lanes at last
/// through the same in 64 bits. For an odd p both are one-to-one in h and in x, so a single number that differs always
/// shows; several show but for a chance of about 2⁻³².
package enum Fingerprint {
  private static let prime32: UInt32 = 0x0100_0193
  private static let prime64: UInt64 = 0x0000_0100_0000_01B3

  /// Goes on from `start` with a view; 0 to begin with.
  package static func of(_ view: FloatView, from start: UInt64 = 0) -> UInt64 {
    typealias Lanes = SIMD16<UInt32>
    let prime = Lanes(repeating: prime32)
    let seed = Lanes(repeating: 0x811C_9DC5)
    var (a, b, c, d) = (seed, seed, seed, seed)
    let words = UnsafeRawPointer(view.base)
    let whole = view.count / 64 * 64
    for i in stride(from: 0, to: whole, by: 64) {
      let block = words + 4 * i
      a = (a ^ block.loadUnaligned(as: Lanes.self)) &* prime
      b = (b ^ (block + 64).loadUnaligned(as: Lanes.self)) &* prime
      c = (c ^ (block + 128).loadUnaligned(as: Lanes.self)) &* prime
      d = (d ^ (block + 192).loadUnaligned(as: Lanes.self)) &* prime
    }
    var hash = (start ^ UInt64(view.count)) &* prime64
    func fold(_ lanes: Lanes) {
      for lane in 0..<Lanes.scalarCount { hash = (hash ^ UInt64(lanes[lane])) &* prime64 }
    }
    fold(a)
    fold(b)
    fold(c)
    fold(d)
    for i in whole..<view.count { hash = (hash ^ UInt64(view.base[i].bitPattern)) &* prime64 }
    return hash
  }
}
