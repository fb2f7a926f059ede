import Tokenization
import Transformer

/// Texts that end a sample, compared as UTF-8 bytes with the decoded text.
package struct StopStrings {
  fileprivate let tokenizer: Tokenizer
  fileprivate let strings: [[UInt8]]

  /// - Parameters:
  ///   - strings: none empty.
  package init(_ strings: [String], tokenizer: Tokenizer) {
    precondition(strings.allSatisfy { !$0.isEmpty }, "an empty stop string stops everything")
    self.tokenizer = tokenizer
    self.strings = strings.map { Array($0.utf8) }
  }

  /// Where the first of them begins in a text; nil if there is none.
  package func firstStart(in text: [UInt8]) -> Int? {
    text.indices.first { start in strings.contains { text[start...].starts(with: $0) } }
  }
}

/// Looks for stop strings in samples as they grow, in the end of the text only.
///
/// Decoded alone, the last tokens can differ from the end of the whole text (a space or half a character in front), so a
/// few bytes more than the longest string are looked at, and what is found counts if the whole text has it too.
package final class StopWatch {
  /// Bytes at the beginning of the looked-at text that need not be right.
  private static let slack = 32

  /// Tokens that are looked at: all from `start`; from `mark` on they may be enough by themselves.
  private struct Window {
    var start = 0
    var mark = 0
    /// Bytes of the text from `start` to `mark`.
    var bytesBeforeMark = 0
  }

  private let stops: StopStrings
  private let enough: Int
  private var windows: [Window]

  package init(_ stops: StopStrings, samples: Int) {
    self.stops = stops
    enough = (stops.strings.map(\.count).max() ?? 0) + Self.slack
    windows = Array(repeating: Window(), count: samples)
  }

  /// Whether the text of a sample has a stop string, asked after each token.
  package func isStopped(sample: Int, ids: [Int32]) throws -> Bool {
    let window = windows[sample]
    let text = try stops.tokenizer.decode(Array(ids[window.start...]), skipSpecialTokens: true)
    if stops.firstStart(in: text) != nil {
      let whole = try stops.tokenizer.decode(ids, skipSpecialTokens: true)
      if stops.firstStart(in: whole) != nil { return true }
    }
    let bytesBehindMark = text.count - window.bytesBeforeMark
    if bytesBehindMark >= enough {
      windows[sample] = Window(start: window.mark, mark: ids.count, bytesBeforeMark: bytesBehindMark)
    }
    return false
  }
}
