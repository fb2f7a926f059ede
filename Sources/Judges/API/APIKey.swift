import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// The secret that a server knows us by. It leaves this type in one header line and nowhere else.
struct APIKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Shorter ones are what servers without keys are given ("EMPTY"); they may stand in any text.
  private static let leastSecret = 8
  private let secret: String
  /// How each character of it may be written.
  private let forms: [[[UInt8]]]

  /// A key given as it is; an empty one is for servers that ask for none.
  private init(_ secret: String) {
    self.secret = secret
    forms = secret.utf8.map(Self.forms)
  }

  /// Reads the key from the environment; an empty name is for servers that ask for none.
  ///
  /// - Throws: ``Fault`` of kind `environment` where the variable is missing, empty or cannot be a header.
  init(variable: String) throws {
    guard !variable.isEmpty else {
      self.init("")
      return
    }
    let secret = getenv(variable).map { String(cString: $0) }?.trimmed ?? ""
    guard !secret.isEmpty else {
      throw Fault(
        .environment, "the environment has no \(variable), which holds the key of the labelling model's server",
        at: "api.key_variable",
        hint: "export \(variable)=…, or set api.key_variable to \"\" for a server that needs no key")
    }
    guard secret.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw Fault(
        .environment, "\(variable) holds characters that no key has", at: "api.key_variable",
        hint: "a key is one word of printable ASCII")
    }
    self.init(secret)
  }

  /// The header line that carries it; nil without a key.
  var header: String? { secret.isEmpty ? nil : "Authorization: Bearer \(secret)" }

  /// A text of a server without the key in it, should the server have repeated it.
  func scrubbed(_ text: String) -> String {
    secret.isEmpty ? text : String(decoding: scrubbed(Array(text.utf8), leastLength: 1), as: UTF8.self)
  }

  /// Bytes of a server without the key in them, as it is or as JSON may write it.
  func scrubbed(_ bytes: [UInt8]) -> [UInt8] { scrubbed(bytes, leastLength: Self.leastSecret) }

  private func scrubbed(_ bytes: [UInt8], leastLength: Int) -> [UInt8] {
    guard forms.count >= leastLength else { return bytes }
    var result: [UInt8] = []
    var place = 0
    while place < bytes.count {
      if let end = end(of: bytes[place...]) {
        result += Array("[key]".utf8)
        place = end
      } else {
        result.append(bytes[place])
        place += 1
      }
    }
    return result
  }

  /// Where the key ends that stands at the start of a text; nil where none does.
  private func end(of text: ArraySlice<UInt8>) -> Int? {
    var rest = text
    for character in forms {
      guard let form = character.first(where: rest.starts(with:)) else { return nil }
      rest = rest.dropFirst(form.count)
    }
    return rest.startIndex
  }

  /// A character as it is and in every escape of JSON.
  private static func forms(of byte: UInt8) -> [[UInt8]] {
    let hex = String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    return [[byte], [0x5C, byte], Array("\\u00\(hex)".utf8), Array("\\u00\(hex.uppercased())".utf8)]
  }

  var description: String { "[key]" }
  var debugDescription: String { description }
  var customMirror: Mirror { Mirror(self, children: [:]) }
}
