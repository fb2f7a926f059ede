extension UnitSample {
  /// The t interval and two-sided p-value of the mean of differences over random splits of one data set. Splits share data,
  /// so the variance of the mean is taken as σ²·(1/J + n_test/n_train) (Nadeau and Bengio 2003, "Inference for the
  /// generalization error", Machine Learning 52, §3: the corrected resampled t test).
  ///
  /// - Parameter testRatio: n_test/n_train of a split.
  package func overSplits(testRatio: Double, level: Double = 0.95) -> (interval: Interval, p: Double) {
    let count = Double(values.count)
    let student = StudentDistribution(degreesOfFreedom: count - 1)
    let error = (values.variance * (1 / count + testRatio)).squareRoot()
    let width = student.halfWidth(ofLevel: level) * error
    let p = error > 0 ? student.twoSidedTail(mean / error) : mean == 0 ? 1 : 0
    return (Interval(mean, mean - width, mean + width), p)
  }
}
