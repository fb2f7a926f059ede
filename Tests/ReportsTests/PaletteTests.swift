import Foundation
import Reports
import Testing

@Suite("Palette")
struct PaletteTests {
  /// Least contrast of graphics with their ground (WCAG 2.2, 1.4.11) and of text (1.4.3).
  private let graphicsContrast = 3.0
  private let textContrast = 4.5
  /// Least distance of two colours in CIE Lab; 2.3 can just be noticed side by side.
  private let distance = 25.0

  /// Linear red, green, blue.
  private typealias Colour = [Double]

  /// The colours of a scheme by name, light first.
  private func schemes() throws -> [[String: Colour]] {
    let source = ReportDocument(title: "").html()
    let blocks = source.matches(of: /:root \{([^}]*)\}/).map { String($0.1) }
    return try blocks.map { block in
      var colours: [String: Colour] = [:]
      for match in block.matches(of: /--([a-z0-9-]+): #([0-9a-f]{6})/) {
        let bits = try #require(Int(match.2, radix: 16))
        colours[String(match.1)] = [16, 8, 0].map { linear(Double((bits >> $0) & 255) / 255) }
      }
      return colours
    }
  }

  private func linear(_ value: Double) -> Double {
    value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4)
  }

  private func luminance(_ colour: Colour) -> Double { 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2] }

  private func contrast(_ a: Colour, _ b: Colour) -> Double {
    let (a, b) = (luminance(a), luminance(b))
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)
  }

  private func lab(_ colour: Colour) -> [Double] {
    func f(_ t: Double) -> Double { t > 0.008856 ? cbrt(t) : 7.787 * t + 16 / 116.0 }
    let x = f((0.4124 * colour[0] + 0.3576 * colour[1] + 0.1805 * colour[2]) / 0.9505)
    let y = f(luminance(colour))
    let z = f((0.0193 * colour[0] + 0.1192 * colour[1] + 0.9505 * colour[2]) / 1.089)
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
  }

  /// Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
  /// severity 1.
  private let vision: [String: [[Double]]] = [
    "full": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
      [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
      [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
      [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900],
    ],
  ]

  private func seen(_ colour: Colour, by matrix: [[Double]]) -> Colour {
    matrix.map { max(0, zip($0, colour).map(*).reduce(0, +)) }
  }

  @Test func coloursOfSeriesCanBeToldApartByAllReaders() throws {
    let schemes = try schemes()
    try #require(schemes.count == 2)
    for colours in schemes {
      let series = try (0..<6).map { try #require(colours["c\($0)"]) }
      for (name, matrix) in vision {
        let labs = series.map { lab(seen($0, by: matrix)) }
        for i in 0..<6 {
          for j in 0..<i {
            let difference = zip(labs[i], labs[j]).map { ($0 - $1) * ($0 - $1) }.reduce(0, +).squareRoot()
            #expect(difference > distance, "\(i) and \(j), \(name)")
          }
        }
      }
    }
  }

  @Test func coloursStandOutFromTheirGround() throws {
    for colours in try schemes() {
      let paper = try #require(colours["paper"])
      for index in 0..<6 { #expect(contrast(try #require(colours["c\(index)"]), paper) >= graphicsContrast) }
      for name in ["ink", "muted"] { #expect(contrast(try #require(colours[name]), paper) >= textContrast) }
      for name in ["good", "warn", "bad"] {
        let (text, ground) = (try #require(colours[name]), try #require(colours["\(name)-ground"]))
        #expect(contrast(text, ground) >= textContrast, "\(name)")
      }
    }
  }
}
