import AlignmentCore
import Kernels
import Testing

@Suite struct FingerprintTests {
  /// FNV-1a over words in 64 lanes of 32 bits, then over lanes and rest in 64 bits, as plainly as can be.
  private func reference(_ values: [Float], from start: UInt64) -> UInt64 {
    var lanes = [UInt32](repeating: 0x811C_9DC5, count: 64)
    let whole = values.count / 64 * 64
    for i in 0..<whole { lanes[i % 64] = (lanes[i % 64] ^ values[i].bitPattern) &* 16_777_619 }
    let tail = lanes.map(UInt64.init) + values[whole...].map { UInt64($0.bitPattern) }
    return tail.reduce((start ^ UInt64(values.count)) &* 1_099_511_628_211) { ($0 ^ $1) &* 1_099_511_628_211 }
  }

  private func fingerprint(_ values: [Float], from start: UInt64 = 0) -> UInt64 {
    var values = values
    return values.withUnsafeMutableBufferPointer {
      Fingerprint.of(FloatView(base: $0.baseAddress!, count: $0.count), from: start)
    }
  }

  private func values(_ count: Int) -> [Float] { (0..<count).map { Float($0 * 37 % 101) / 7 - 5 } }

  @Test(arguments: [1, 63, 64, 65, 1000])
  func agreesWithTheReference(count: Int) {
    #expect(fingerprint(values(count), from: 99) == reference(values(count), from: 99))
  }

  @Test func everyFlippedBitShows() {
    let original = values(200)
    let whole = fingerprint(original)
    for place in original.indices {
      for bit in 0..<32 {
        var changed = original
        changed[place] = Float(bitPattern: original[place].bitPattern ^ 1 << UInt32(bit))
        #expect(fingerprint(changed) != whole, "bit \(bit) of number \(place)")
      }
    }
  }

  @Test func orderLengthAndStartCount() {
    var swapped = values(130)
    swapped.swapAt(0, 64)
    #expect(fingerprint(swapped) != fingerprint(values(130)))
    #expect(fingerprint([0]) != fingerprint([0, 0]))
    #expect(fingerprint(values(130), from: 1) != fingerprint(values(130), from: 2))
  }
}
