import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Cosines and sines of every position and frequency, computed once in Float32 as transformers does.
final class RotaryTable {
  let positions: Int
  /// (positions, D/2) each
  let cosines: FloatView
  let sines: FloatView
  private let storage: FloatBuffer

  init(_ configuration: RotaryConfiguration, headDimension: Int, positions: Int) throws {
    let frequencies = configuration.frequencies(headDimension: headDimension)
    let half = headDimension / 2
    self.positions = positions
    storage = try FloatBuffer(count: 2 * positions * half, purpose: "rotary tables")
    cosines = storage.view[0..<positions * half]
    sines = storage.view[positions * half..<2 * positions * half]
    let factor = Float(configuration.attentionFactor)
    for position in 0..<positions {
      for i in 0..<half {
        let angle = Float(position) * Float(frequencies[i])
        cosines.base[position * half + i] = cosf(angle) * factor
        sines.base[position * half + i] = sinf(angle) * factor
      }
    }
  }
}

extension RotaryConfiguration {
  /// Factor on cosines and sines: 1 except for YaRN.
  var attentionFactor: Double {
    if case .yarn(let yarn) = scaling { return yarn.attentionFactor }
    return 1
  }

  /// The D/2 angular frequencies θ^(−2i/D), scaled.
  func frequencies(headDimension: Int) -> [Double] {
    let half = headDimension / 2
    let plain = (0..<half).map { 1 / pow(theta, Double(2 * $0) / Double(headDimension)) }
    switch scaling {
    case .none: return plain
    case .linear(let factor): return plain.map { $0 / factor }
    case .llama3(let factor, let low, let high, let original):
      return plain.map { Self.llama3($0, factor, low, high, original) }
    case .yarn(let yarn): return yarn.blend(plain, theta: theta, headDimension: headDimension)
    }
  }

  /// Long waves are stretched, short ones kept, those between blended (Llama 3.1; `_compute_llama3_parameters`).
  private static func llama3(
    _ frequency: Double, _ factor: Double, _ low: Double, _ high: Double, _ original: Double
  ) -> Double {
    let wavelength = 2 * Double.pi / frequency
    if wavelength > original / low { return frequency / factor }
    if wavelength < original / high { return frequency }
    let smooth = (original / wavelength - low) / (high - low)
    return (1 - smooth) * frequency / factor + smooth * frequency
  }
}

extension YarnScaling {
  /// Interpolates slow frequencies, keeps fast ones, with a linear ramp between (Peng et al. 2023, eq. 18–23).
  func blend(_ plain: [Double], theta: Double, headDimension: Int) -> [Double] {
    let correction = { (rotations: Double) in
      Double(headDimension) * log(originalContext / (rotations * 2 * Double.pi)) / (2 * log(theta))
    }
    var (low, high) = (correction(betaFast), correction(betaSlow))
    if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
    (low, high) = (max(low, 0), min(high, Double(headDimension - 1)))
    if low == high { high += 0.001 }
    return plain.enumerated().map { index, frequency in
      let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
      return frequency / factor * ramp + frequency * (1 - ramp)
    }
  }
}
