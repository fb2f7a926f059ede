import PreferenceData

/// How models read responses: the same rules for the data and for samples.
package struct ResponseEncoding: Sendable, Equatable {
  package var boundary: EncodingOptions.Boundary
  /// Longest prompt and completion in tokens; nil refuses those beyond the context.
  package var maxLength: Int?

  package init(boundary: EncodingOptions.Boundary = .joined, maxLength: Int? = nil) {
    self.boundary = boundary
    self.maxLength = maxLength
  }

  /// The options of every completion of a row, as a model reads it.
  func options(for source: ModelSource) -> EncodingOptions {
    var options = EncodingOptions(
      contextLength: source.configuration.contextLength, endOfSequence: source.endOfSequence)
    options.boundary = boundary
    options.maxLength = maxLength.map { min($0, options.contextLength) }
    options.selection = .all
    return options
  }
}
