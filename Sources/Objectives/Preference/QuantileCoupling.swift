/// Two weighted samples on the line, matched in order: the optimal transport between them for every convex cost (Santambrogio
/// 2015, "Optimal transport for applied mathematicians", theorem 2.9).
///
/// With equal weights the k-th smallest of one is matched with the k-th smallest of the other; otherwise an element is
/// matched with several, in shares.
package struct QuantileCoupling: Sendable {
  private var first = WeightedOrder()
  private var second = WeightedOrder()

  package init() {}

  /// Sorts anew; element i of either sample has weight `weights[i]`.
  package mutating func match(_ a: [Double], _ b: [Double], weights: [Double]) {
    first.sort(a, weights: weights)
    second.sort(b, weights: weights)
  }

  /// Calls `body` with each element of the second sample that element `index` of the first is matched with, and the share
  /// of the first's weight that it takes.
  package func forEachMatch(ofFirst index: Int, _ body: (_ other: Int, _ share: Double) -> Void) {
    second.forEachOverlap(with: first.interval(of: index), body)
  }

  /// The same with the samples exchanged.
  package func forEachMatch(ofSecond index: Int, _ body: (_ other: Int, _ share: Double) -> Void) {
    first.forEachOverlap(with: second.interval(of: index), body)
  }
}

/// A sample in ascending order with the cumulative weights of its elements.
private struct WeightedOrder: Sendable {
  private var order: [Int] = []
  /// Weight below each place of the order, and of all at the end.
  private var cumulative: [Double] = []
  private var places: [Int] = []

  mutating func sort(_ values: [Double], weights: [Double]) {
    order.removeAll(keepingCapacity: true)
    order.append(contentsOf: values.indices)
    order.sort { (values[$0], $0) < (values[$1], $1) }
    cumulative.removeAll(keepingCapacity: true)
    cumulative.append(0)
    for index in order { cumulative.append(cumulative[cumulative.count - 1] + weights[index]) }
    places.removeAll(keepingCapacity: true)
    places.append(contentsOf: values.indices)
    for (place, index) in order.enumerated() { places[index] = place }
  }

  func interval(of index: Int) -> Range<Double> { cumulative[places[index]]..<cumulative[places[index] + 1] }

  func forEachOverlap(with interval: Range<Double>, _ body: (_ index: Int, _ share: Double) -> Void) {
    let total = interval.upperBound - interval.lowerBound
    guard total > 0 else { return }
    var place = firstPlace(endingAbove: interval.lowerBound)
    while place < order.count, cumulative[place] < interval.upperBound {
      let overlap =
        min(cumulative[place + 1], interval.upperBound) - max(cumulative[place], interval.lowerBound)
      if overlap > 0 { body(order[place], overlap / total) }
      place += 1
    }
  }

  /// By bisection: the first place whose cumulative weight ends above a number.
  private func firstPlace(endingAbove bound: Double) -> Int {
    var (low, high) = (0, order.count)
    while low < high {
      let middle = (low + high) / 2
      if cumulative[middle + 1] > bound { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
