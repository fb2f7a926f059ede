import AlignmentCore
import JSON

/// The special tokens that a template puts around the tokens of a text.
struct PostProcessor {
  private enum Piece {
    case text
    case special([Int32])
  }

  private let pieces: [Piece]

  /// Adds nothing.
  static let none = PostProcessor(pieces: [.text])

  private init(pieces: [Piece]) { self.pieces = pieces }

  /// Reads a component.
  init(_ reader: ComponentReader) throws {
    switch try reader.type {
    case "ByteLevel": self = .none
    case "TemplateProcessing": self = try Self.template(reader)
    case "Sequence": self = try Self.sequence(reader)
    case let type: throw reader.unsupported(type, supported: ["ByteLevel", "Sequence", "TemplateProcessing"])
    }
  }

  /// The ids of a text with those of the template around them.
  func processed(_ ids: [Int32], addSpecialTokens: Bool) -> [Int32] {
    pieces.flatMap { piece in
      switch piece {
      case .text: ids
      case .special(let special): addSpecialTokens ? special : []
      }
    }
  }

  private var isTemplate: Bool {
    if pieces.count == 1, case .text = pieces[0] { false } else { true }
  }

  private static func sequence(_ reader: ComponentReader) throws -> PostProcessor {
    let templates = try reader.components("processors").map(PostProcessor.init).filter(\.isTemplate)
    guard templates.count <= 1 else { throw reader.fault("processors", "has more than one template") }
    return templates.first ?? .none
  }

  private static func template(_ reader: ComponentReader) throws -> PostProcessor {
    let specials = try reader.component("special_tokens")
    return PostProcessor(
      pieces: try reader.components("single").map { piece in
        if let special = try piece.component("SpecialToken") { return .special(try ids(of: special, in: specials)) }
        guard let sequence = try piece.component("Sequence"), try sequence.text("id") == Array("A".utf8) else {
          throw reader.fault("single", "has a piece that is neither a special token nor sequence A")
        }
        return .text
      })
  }

  private static func ids(of piece: ComponentReader, in specials: ComponentReader?) throws -> [Int32] {
    let name = String(decoding: try piece.text("id"), as: UTF8.self)
    guard let special = try specials?.component(name) else { throw piece.fault("id", "\"\(name)\" is not defined") }
    return try special.list("ids").map { id in
      guard let id = id.intValue, id >= 0, id <= Tokenizer.highestID else {
        throw special.fault("ids", "has an entry that is no id")
      }
      return Int32(id)
    }
  }
}
