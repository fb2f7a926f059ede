import Adaptation

/// A way to train a reward model for the target from what a trial offers.
package struct SelectionMethod: Sendable {
  package let name: String
  /// Makes the training data.
  let prepare: @Sendable (SelectionTrial) throws -> SelectionTraining

  private init(_ name: String, _ prepare: @escaping @Sendable (SelectionTrial) throws -> SelectionTraining) {
    self.name = name
    self.prepare = prepare
  }

  /// The method whose gap to the oracle is to be closed.
  package static let uniform = SelectionMethod("uniform") { SelectionTraining($0.source) }
  /// The method that closes it: as many labelled pairs of the target as the source has.
  package static let oracle = SelectionMethod("oracle") { SelectionTraining($0.target) }

  /// All methods, in the order of the tables.
  package static let all = [uniform, oracle] + exactRatios + estimatedRatios + labels

  /// Weighted source pairs.
  private static func weighted(_ name: String, _ ratio: SelectionRatio, _ settings: WeightSettings) -> SelectionMethod {
    SelectionMethod(name) { SelectionTraining($0.source, try $0.weights(ratio, settings)) }
  }

  private static let exactRatios = [
    weighted("true ratio, raw", .exact, .raw),
    weighted("true ratio, ESS 0.5", .exact, .effective(0.5)),
    weighted("true ratio, temper 0.5", .exact, .ungated(.temper) { $0.temper = 0.5 }),
    weighted("true ratio, clip 10", .exact, .ungated(.clip) { $0.clip = 10 }),
    weighted("true ratio, relative 0.5", .exact, .ungated(.relative) { $0.alpha = 0.5 }),
    weighted("true ratio, relative 0.1", .exact, .ungated(.relative) { $0.alpha = 0.1 }),
  ]

  private static let estimatedRatios = [
    ("discriminator", SelectionRatio("discriminator", ["quadratic": "yes"])),
    ("discriminator on u", SelectionRatio("discriminator", ["quadratic": "yes"], seesAll: false)),
    ("RuLSIF", SelectionRatio("rulsif")),
  ].flatMap { name, ratio in
    [weighted("\(name), raw", ratio, .raw), weighted("\(name), ESS 0.5", ratio, .effective(0.5))]
  }

  private static let labels = [
    SelectionMethod("20 % target labels") { SelectionTraining($0.labelled) },
    SelectionMethod("uniform + 20 %") { SelectionTraining($0.source + $0.labelled) },
    SelectionMethod("true ratio, ESS 0.5 + 20 %") {
      SelectionTraining($0.source + $0.labelled, try $0.weights(.exact, .effective(0.5)))
    },
    SelectionMethod("discriminator, ESS 0.5 + 20 %") {
      let ratio = SelectionRatio("discriminator", ["quadratic": "yes"])
      return SelectionTraining($0.source + $0.labelled, try $0.weights(ratio, .effective(0.5)))
    },
  ]
}
