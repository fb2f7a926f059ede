import AlignmentCore
import JSON

extension BPEModel {
  /// `<0x00>` … `<0xFF>`.
  static let byteTokens: [[UInt8]] = (0...255).map { byte in
    let digits = String(byte, radix: 16, uppercase: true)
    return Array((byte < 16 ? "<0x0\(digits)>" : "<0x\(digits)>").utf8)
  }

  /// Checks that a model is a byte pair encoding without prefixes and suffixes; very old files leave out the type.
  static func checkType(_ reader: ComponentReader) throws {
    let isUntagged = reader.value("type") == nil && reader.value("vocab") != nil && reader.value("merges") != nil
    let type = isUntagged ? "BPE" : try reader.type
    guard type == "BPE" else { throw reader.unsupported(type, supported: ["BPE"]) }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard try reader.optionalText(key) ?? [] == [] else { throw reader.fault(key, "is not supported") }
    }
  }

  /// Reads `vocab` as a table and as a list by id.
  static func vocabulary(_ reader: ComponentReader) throws -> (ByteTable, [[UInt8]?]) {
    guard let members = reader.value("vocab")?.objectValue?.members else {
      throw reader.fault("vocab", "must be an object of tokens and ids")
    }
    var table = ByteTable(capacity: members.count)
    var texts: [[UInt8]?] = Array(repeating: nil, count: members.count)
    for (token, value) in members {
      guard let id = value.intValue, id >= 0, id <= Tokenizer.highestID else {
        throw reader.fault("vocab", "gives \"\(token)\" no id from 0 to \(Tokenizer.highestID)")
      }
      if id >= texts.count { texts.append(contentsOf: repeatElement(nil, count: id + 1 - texts.count)) }
      guard texts[id] == nil else { throw reader.fault("vocab", "gives the id \(id) to two tokens") }
      texts[id] = token.bytes
      // Keys are distinct, so the insertion always succeeds.
      _ = table.insert(token.bytes.span, Int32(id))
    }
    return (table, texts)
  }

  /// Reads `merges`, either `"a b"` or `["a", "b"]`; of equal pairs the last one counts.
  static func merges(_ reader: ComponentReader, _ vocabulary: ByteTable) throws -> MergeTable {
    let entries = try reader.list("merges").filter { entry in
      !(entry.byteString?.bytes.starts(with: "#version".utf8) ?? false)
    }
    var table = MergeTable(capacity: entries.count)
    for (rank, entry) in entries.enumerated() {
      guard let (left, right) = pair(entry) else {
        throw reader.fault("merges", "entry \(rank) is not a pair of tokens")
      }
      let ids = try [left, right, left + right].map { token in
        guard let id = vocabulary.find(token) else {
          let name = String(decoding: token, as: UTF8.self)
          throw reader.fault("merges", "entry \(rank) needs \"\(name)\", which is not in the vocabulary")
        }
        return id
      }
      table.insert(ids[0], ids[1], MergeTable.Merge(rank: UInt32(rank), id: ids[2]))
    }
    return table
  }

  /// The tokens as the raw bytes they stand for, those outside of the alphabet left out.
  static func unmapped(_ texts: [[UInt8]?]) -> ByteTable {
    var table = ByteTable(capacity: texts.count)
    for (id, text) in texts.enumerated() {
      guard let text, let bytes = ByteAlphabet.unmapped(text) else { continue }
      // The alphabet is one to one, so the keys are distinct.
      _ = table.insert(bytes.span, Int32(id))
    }
    return table
  }

  private static func pair(_ entry: JSONValue) -> ([UInt8], [UInt8])? {
    switch entry {
    case .string(let text):
      let parts = text.bytes.split(separator: 0x20, omittingEmptySubsequences: false)
      return parts.count == 2 ? (Array(parts[0]), Array(parts[1])) : nil
    case .array(let parts):
      guard parts.count == 2, let left = parts[0].byteString, let right = parts[1].byteString else { return nil }
      return (left.bytes, right.bytes)
    default: return nil
    }
  }
}
