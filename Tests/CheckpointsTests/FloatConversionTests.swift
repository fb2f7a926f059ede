import Checkpoints
import Testing

@Suite struct FloatConversionTests {
  @Test func everyBFloat16IsExactAndComesBack() {
    for bits in UInt16.min...UInt16.max {
      let value = FloatConversion.float(bfloat16: bits)
      #expect(value.bitPattern == UInt32(bits) << 16)
      let back = FloatConversion.bfloat16(value)
      if back != (value.isNaN ? bits | 0x40 : bits) { Issue.record("bfloat16 \(bits) came back as \(back)") }
    }
  }

  @Test func everyFloat16IsExactAndComesBack() {
    for bits in UInt16.min...UInt16.max {
      let value = FloatConversion.float(float16: bits)
      let expected = Float(Float16(bitPattern: bits))
      if expected.isNaN {
        if !value.isNaN || value.bitPattern & 0x0040_0000 == 0 { Issue.record("NaN \(bits) became \(value)") }
      } else if value.bitPattern != expected.bitPattern {
        Issue.record("float16 \(bits) became \(value)")
      }
      let back = FloatConversion.float16(value)
      if back != (value.isNaN ? bits | 0x0200 : bits) { Issue.record("float16 \(bits) came back as \(back)") }
    }
  }

  // Around every representable half, where all roundings are decided: the value, the tie above it and their neighbours.
  @Test func float16RoundsToNearestEven() {
    for bits in UInt16.min...UInt16.max {
      let value = Float(Float16(bitPattern: bits))
      let next = Float(Float16(bitPattern: bits &+ 1))
      for candidate in [
        value, value.nextUp, value.nextDown, (value + next) / 2, ((value + next) / 2).nextUp,
        ((value + next) / 2).nextDown,
      ]
      where !candidate.isNaN {
        let expected = Float16(candidate).bitPattern
        let found = FloatConversion.float16(candidate)
        if found != expected { Issue.record("\(candidate) became \(found), not \(expected)") }
      }
    }
  }

  @Test func float16RoundsLikeTheProcessorOnASweep() {
    for bits in stride(from: UInt32(0), through: 0xffff_fff0, by: 4_099) {
      let value = Float(bitPattern: bits)
      guard !value.isNaN else { continue }
      let expected = Float16(value).bitPattern
      if FloatConversion.float16(value) != expected { Issue.record("\(value)") }
    }
  }

  @Test(
    arguments: [
      (Float(bitPattern: 0x3f80_8000), 0x3f80), (Float(bitPattern: 0x3f81_8000), 0x3f82),
      (Float(bitPattern: 0x3f80_8001), 0x3f81), (Float(bitPattern: 0x3f80_7fff), 0x3f80),
      (Float.greatestFiniteMagnitude, 0x7f80), (-Float.greatestFiniteMagnitude, 0xff80), (-0.0, 0x8000),
      (Float(bitPattern: 0x7f80_0001), 0x7fc0), (Float(bitPattern: 0xffff_ffff), 0xffff), (Float.infinity, 0x7f80),
      (Float.leastNonzeroMagnitude, 0x0000),
    ] as [(Float, UInt16)])
  func bfloat16RoundsToNearestEven(value: Float, bits: UInt16) {
    #expect(FloatConversion.bfloat16(value) == bits)
  }
}
