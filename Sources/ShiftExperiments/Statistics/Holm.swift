/// p-values of a family of tests, adjusted by Holm's step-down method (Holm 1979): rejecting those below α keeps the
/// probability of any false rejection below α, whatever the dependence.
///
/// - Returns: the adjusted values in the order given, at most 1.
package func holmAdjusted(_ values: [Double]) -> [Double] {
  var result = values
  var largest = 0.0
  for (place, index) in values.indices.sorted(by: { values[$0] < values[$1] }).enumerated() {
    largest = max(largest, min(1, values[index] * Double(values.count - place)))
    result[index] = largest
  }
  return result
}
