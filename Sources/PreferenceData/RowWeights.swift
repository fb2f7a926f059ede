/// Weights of the rows of data files that stand in a file of their own.
package struct RowWeights: Sendable {
  /// Names the weights, for cache keys.
  package let digest: String
  /// Reads one weight ≥ 0 for each row of all files, blank lines not counted.
  package let read: @Sendable () throws -> [Double]

  package init(digest: String, read: @escaping @Sendable () throws -> [Double]) {
    self.digest = digest
    self.read = read
  }
}
