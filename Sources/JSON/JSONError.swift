/// Why a text is not JSON, and where.
package struct JSONError: Error, CustomStringConvertible, Sendable, Equatable {
  /// Offset in bytes from the start of the text.
  package let offset: Int
  /// What was expected and what was found.
  package let message: String

  /// Describes an error at an offset in bytes.
  package init(offset: Int, message: String) {
    self.offset = offset
    self.message = message
  }

  /// The message and the place, as in "byte 12: expected a value, found ']'".
  package var description: String { "byte \(offset): \(message)" }
}
