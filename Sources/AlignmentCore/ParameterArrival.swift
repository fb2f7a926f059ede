/// Parameters that may still be on their way from other ranks when a model begins to compute with them.
package protocol ParameterArrival: AnyObject {
  /// Returns when a range of the arena is here; at once where nothing is on its way.
  func wait(for range: Range<Int>)
}
