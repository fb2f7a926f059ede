import Objectives
import Testing

/// Losses that PyTorch computed in Float64 from the log-probabilities of a small random model.
@Suite struct RecordedLossTests {
  static let pairs = [
    pair((-552.1913772267857, -553.476646597752, 63), (-499.55718074744595, -494.84222418439595, 59)),
    pair((-230.89375947726867, -232.31418433395982, 27), (-186.04297035193386, -184.9026605969886, 21)),
    pair((-317.6445393362826, -319.43657069808336, 39), (-530.559310631559, -527.7089622000412, 64)),
    pair((-86.38322205725754, -83.84506922596456, 11), (-67.62046740625959, -68.1009824118794, 8)),
  ]

  /// The same with the batch's examples per chosen token.
  static let batch = pairs.enumerated().map { slot, group in
    var group = group
    (group.examplesPerToken, group.slot) = (4.0 / (63 + 27 + 39 + 11), slot)
    return group
  }

  // Log-probabilities of 500 are rounded at 10⁻¹³; IPO multiplies that by ten.
  static let tolerance = 1e-12

  static let perPair: [(name: String, settings: [String: String], losses: [Double])] = [
    ("dpo", [:], [0.43747994471488677, 0.5732848542763572, 0.48772930923067653, 0.8554280303050732]),
    (
      "dpo", ["label_smoothing": "0.2"],
      [0.5574844633952145, 0.6244995465090853, 0.5805769050970471, 0.7950546735668176]
    ),
    ("ipo", [:], [24.006907032001823, 23.942341564455802, 24.10332559194831, 27.99262328520128]),
    ("hinge", [:], [0.39997740659836145, 0.7439265388363594, 0.5357620206681475, 1.3018667836912783]),
    ("simpo", [:], [1.7803603315967156, 0.9039806566401043, 1.1095338385011113, 0.59855471336158]),
  ]

  @Test(arguments: perPair)
  func eachPair(_ recorded: (name: String, settings: [String: String], losses: [Double])) throws {
    let objective = try objective(recorded.name, recorded.settings)
    for (group, loss) in zip(Self.batch, recorded.losses) {
      #expect(isClose(objective.loss(of: group).value, loss, within: Self.tolerance))
    }
  }

  @Test func desirableAndUndesirable() throws {
    let kto = try objective("kto", ["kl": "zero"])
    let recorded = [
      [0.46791242525398735, 0.4645489637580741, 0.4553187256628751, 0.563115348246093],
      [0.3842623029671173, 0.47152310667850317, 0.42921985185475786, 0.5120105642500253],
    ]
    for (index, losses) in recorded.enumerated() {
      for (group, loss) in zip(Self.pairs, losses) {
        let single = ObjectiveGroup(completions: [group.completions[index]], isDesirable: index == 0)
        #expect(isClose(kto.loss(of: single).value, loss, within: Self.tolerance))
      }
    }
  }

  // ORPO over sequences: the mean of each completion's mean likelihood.
  @Test(arguments: [
    ("sft", "tokens", 8.479377843554246), ("orpo", "tokens", 8.541003067134548),
    ("orpo", "sequences", 8.390204019060402),
  ])
  func meansOverTheBatch(name: String, average: String, recorded: Double) throws {
    let objective = try objective(name, ["average": average])
    let sum = Self.batch.reduce(0) { $0 + objective.loss(of: $1).value }
    #expect(isClose(sum / 4, recorded, within: Self.tolerance))
  }
}
