import Foundation
import JSON
import Optimization
import Testing

/// A file of `Tests/Fixtures` as JSON.
func fixture(_ name: String) throws -> JSONValue {
  let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  return try JSONValue.parse(Array(Data(contentsOf: directory.appending(path: "Fixtures/\(name)"))))
}

extension JSONValue {
  /// The numbers of an array.
  var doubles: [Double] { arrayValue?.compactMap(\.doubleValue) ?? [] }
}

@Suite struct LearningRateScheduleTests {
  // The same formulas in Float64, in another order of operations.
  static let tolerance = 1e-15

  @Test(arguments: LearningRateSchedule.Shape.allCases)
  func followsTransformers(shape: LearningRateSchedule.Shape) throws {
    let golden = try fixture("schedules.json")
    let total = try #require(golden["total_steps"]?.intValue)
    let expected = try #require(golden[ByteString(shape.rawValue)]).doubles
    try #require(expected.count == total + 1)
    let schedule = LearningRateSchedule(
      shape: shape, warmup: try #require(golden["warmup_steps"]?.intValue), totalSteps: total)
    for (step, factor) in expected.enumerated() {
      #expect(abs(schedule.factor(atStep: step) - factor) <= Self.tolerance, "step \(step)")
    }
  }

  @Test(arguments: LearningRateSchedule.Shape.allCases, [0, 1, 10, 25])
  func factorsStayBetweenZeroAndOne(shape: LearningRateSchedule.Shape, warmup: Int) {
    for total in [1, 10, 20] {
      let schedule = LearningRateSchedule(shape: shape, warmup: warmup, totalSteps: total)
      let factors = (0...2 * total).map(schedule.factor)
      #expect(factors.allSatisfy { $0 >= 0 && $0 <= 1 })
      #expect(factors[0] == (warmup == 0 ? 1 : 0))
    }
  }

  @Test func withoutWarmupTheFirstStepHasTheFullRate() {
    for shape in LearningRateSchedule.Shape.allCases {
      let schedule = LearningRateSchedule(shape: shape, warmup: 0, totalSteps: 10)
      #expect(schedule.factor(atStep: 0) == 1)
      #expect(schedule.factor(atStep: 10) == (shape == .constant ? 1 : 0))
    }
  }
}
