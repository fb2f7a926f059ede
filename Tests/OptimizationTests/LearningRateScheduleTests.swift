import JSON
import Optimization
import Testing

@Suite struct LearningRateScheduleTests {
  typealias Shape = LearningRateSchedule.Shape
  typealias Decay = LearningRateSchedule.Decay

  // The same formulas in Float64, in another order of operations.
  static let tolerance = 1e-15

  @Test func followsTransformers() throws {
    let golden = try fixture("schedules.json")
    let total = try #require(golden["total_steps"]?.intValue)
    let warmup = try #require(golden["warmup_steps"]?.intValue)
    let cases = try #require(golden["cases"]?.arrayValue)
    #expect(Set(cases.compactMap { $0["name"]?.stringValue }) == Set(Shape.allCases.map(\.rawValue)))
    for example in cases {
      let shape = try #require(example["name"]?.stringValue.flatMap(Shape.init))
      let curve = try #require(example["decay"]?.stringValue.flatMap(Decay.Curve.init))
      let schedule = LearningRateSchedule(
        shape: shape, warmup: warmup, totalSteps: total, minimum: try #require(example["minimum"]?.doubleValue),
        decay: Decay(curve, steps: try #require(example["decay_steps"]?.intValue)))
      let factors = try #require(example["factors"]).doubles
      try #require(factors.count == total + 1)
      for (step, factor) in factors.enumerated() {
        #expect(abs(schedule.factor(atStep: step) - factor) <= Self.tolerance, "\(schedule), step \(step)")
      }
    }
  }

  @Test(arguments: Shape.allCases, [0, 1, 10, 25])
  func factorsStayBetweenMinimumAndOne(shape: Shape, warmup: Int) {
    for (total, minimum) in [(1, 0.0), (10, 0), (20, 0.3)] {
      let schedule = LearningRateSchedule(
        shape: shape, warmup: warmup, totalSteps: total, minimum: minimum, decay: Decay(.root, steps: 3))
      let factors = (0...2 * total).map(schedule.factor)
      #expect(factors.allSatisfy { $0 >= 0 && $0 <= 1 })
      #expect(factors.dropFirst(warmup).allSatisfy { $0 >= minimum })
    }
  }

  @Test func withoutWarmupTheFirstStepHasTheFullRate() {
    for shape in Shape.allCases {
      for minimum in [0, 0.25] {
        let schedule = LearningRateSchedule(shape: shape, warmup: 0, totalSteps: 10, minimum: minimum)
        #expect(schedule.factor(atStep: 0) == 1)
        #expect(schedule.factor(atStep: 10) == (shape == .constant ? 1 : minimum))
        #expect(schedule.factor(atStep: 100) == (shape == .constant ? 1 : minimum))
      }
    }
  }

  @Test func aWarmupBeginsAtZero() {
    for shape in Shape.allCases {
      let schedule = LearningRateSchedule(shape: shape, warmup: 4, totalSteps: 10)
      #expect((0...4).map(schedule.factor) == [0, 0.25, 0.5, 0.75, 1])
    }
  }

  @Test(
    arguments: [(0, 0), (0.1, 4), (0.101, 5), (0.999, 40), (1, 1), (7, 7), (1000, 1000)] as [(Double, Int)])
  func lengthsBelowOneAreFractions(length: Double, steps: Int) {
    #expect(LearningRateSchedule.steps(length, of: 40) == steps)
  }
}
