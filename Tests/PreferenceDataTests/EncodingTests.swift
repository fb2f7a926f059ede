import AlignmentCore
import Checkpoints
import PreferenceData
import Testing

@Suite struct EncodingTests {
  private func encode(
    _ prompt: String, _ completions: [String], encoder: ByteEncoder = ByteEncoder(),
    _ adjust: (inout EncodingOptions) -> Void = { _ in }
  ) throws -> EncodedExample {
    var options = EncodingOptions(contextLength: 1_000, endOfSequence: ByteEncoder.eos)
    adjust(&options)
    let roles: [CompletionRole] = completions.count == 2 ? [.chosen, .rejected] : [.desirable]
    let row = PreferenceRow(
      prompt: Array(prompt.utf8), completions: zip(completions, roles).map { .init(text: Array($0.utf8), role: $1) })
    let example = try ExampleEncoder(encoder: encoder, options: options).encode(row, at: "f:3")
    return try #require(example.first)
  }

  private func ids(_ text: String) -> [Int32] { ByteEncoder.ids(text) }

  @Test(arguments: EncodingOptions.Boundary.allCases)
  func promptCompletionAndEnd(boundary: EncodingOptions.Boundary) throws {
    let example = try encode("Q:", [" a", " bc"]) { $0.boundary = boundary }
    #expect(example.prompt == [256] + ids("Q:"))
    #expect(example.completions.map(\.tokens) == [ids(" a") + [257], ids(" bc") + [257]])
    #expect(example.completions.map(\.role) == [.chosen, .rejected])
    #expect(example.fallbacks == 0 && !example.promptIsCut && example.completionsCut == 0)
  }

  // The boundary falls inside "::"; the joined ids do not extend the prompt's, so that completion stands alone.
  @Test func joinedFallsBackPerCompletionAndIsCounted() throws {
    let example = try encode("Q:", [":x", "y"])
    #expect(example.prompt == [256] + ids("Q:"))
    #expect(example.completions.map(\.tokens) == [ids(":x") + [257], ids("y") + [257]])
    #expect(example.fallbacks == 1)
    #expect(try encode("Q:", [":x", "y"]) { $0.boundary = .separate }.fallbacks == 0)
  }

  @Test func joinedKeepsMergesInsideTheCompletion() throws {
    #expect(try encode("Q", ["::x", "y"]).completions[0].tokens == [300] + ids("x") + [257])
  }

  @Test func endIsNotDoubled() throws {
    struct EndingEncoder: TextEncoder {
      func encode(_ text: [UInt8], addSpecialTokens: Bool) -> [Int32] {
        text.map { $0 == UInt8(ascii: "$") ? 257 : Int32($0) }
      }
    }
    let row = PreferenceRow(prompt: [65], completions: [.init(text: Array("b$".utf8), role: .desirable)])
    var options = EncodingOptions(contextLength: 10, endOfSequence: 257)
    options.selection = .all
    let example = try ExampleEncoder(encoder: EndingEncoder(), options: options).encode(row, at: "f:1")
    #expect(example.first?.completions[0].tokens == [98, 257])
  }

  @Test func aCompletionWithoutTokensIsItsEnd() throws {
    let encoder = ByteEncoder(dropped: [UInt8(ascii: "_")])
    #expect(try encode("Q", ["_", "x"], encoder: encoder).completions.map(\.tokens) == [[257], ids("x") + [257]])
  }

  @Test func aPromptNeedsAToken() throws {
    #expect(try encode("", ["a", "b"]).prompt == [256])
    fault(.data, containing: "f:3", "no tokens", "BOS") {
      _ = try encode("", ["a", "b"], encoder: ByteEncoder(addsBOS: false))
    }
  }

  @Test func tooLongWithoutAMaximum() throws {
    let text = String(repeating: "p", count: 10)
    #expect(try encode(text, ["abc", "d"]) { $0.contextLength = 15 }.prompt.count == 11)
    fault(.data, containing: "f:3", "15 tokens", "context is 14", "data.max_length", "--max-length") {
      _ = try encode(text, ["abc", "d"]) { $0.contextLength = 14 }
    }
  }

  @Test func promptsAreCutKeepingTheirEndOrStartAndBOS() throws {
    let end = try encode("0123456789", ["abc", "d"]) { $0.maxLength = 10 }
    #expect(end.prompt == [256] + ids("56789") && end.promptIsCut && end.completionsCut == 0)
    #expect(end.completions[0].tokens == ids("abc") + [257])
    let start = try encode("0123456789", ["abc", "d"]) {
      $0.maxLength = 10
      $0.keep = .start
    }
    #expect(start.prompt == [256] + ids("01234"))
    let plain = try encode("0123456789", ["abc", "d"], encoder: ByteEncoder(addsBOS: false)) { $0.maxLength = 10 }
    #expect(plain.prompt == ids("456789"))
  }

  @Test func completionsAreCutWhenThePromptHasItsReserve() throws {
    let half = try encode("0123456789", ["abcdefghij", "d"]) { $0.maxLength = 10 }
    #expect(half.prompt == [256] + ids("6789"))
    #expect(half.completions.map(\.tokens) == [ids("abcde"), ids("d") + [257]] && half.completionsCut == 1)
    let reserve = try encode("0123456789", ["abcdefghij", "d"]) {
      $0.maxLength = 10
      $0.maxPromptLength = 8
    }
    #expect(reserve.prompt.count == 8 && reserve.completions[0].tokens == ids("ab"))
    let short = try encode("0", ["abcdefghij", "d"]) { $0.maxLength = 6 }
    #expect(short.prompt == [256] + ids("0") && short.completions[0].tokens == ids("abcd") && !short.promptIsCut)
  }

  @Test func truncationLaws() {
    for prompt in 1...40 {
      for completion in 1...40 {
        for maximum in 2...45 {
          for reserve in [nil, 1, 5, maximum - 1] as [Int?] where reserve ?? 1 < maximum {
            let cut = Truncation(prompt: prompt, completion: completion, maximum: maximum, promptReserve: reserve)
            let total = cut.promptLength + min(completion, cut.completionLimit)
            let isLawful =
              cut.promptLength >= 1 && cut.promptLength <= prompt && cut.completionLimit >= 1 && total <= maximum
            let isIdle =
              prompt + completion > maximum || (cut.promptLength == prompt && cut.completionLimit >= completion)
            let isFull = prompt + completion <= maximum || total == maximum
            if !isLawful || !isIdle || !isFull { Issue.record("\(prompt) + \(completion) into \(maximum): \(cut)") }
          }
        }
      }
    }
  }

  static let contradictions: [(String, @Sendable (inout EncodingOptions) -> Void)] = [
    ("max_length 1 ", { $0.maxLength = 1 }), ("max_length 11 exceeds", { $0.maxLength = 11 }),
    ("max_prompt_length 0", { $0.maxPromptLength = 0 }), ("context of 1 ", { $0.contextLength = 1 }),
    ("id -1", { $0.endOfSequence = -1 }),
    (
      "not below data.max_length",
      {
        $0.maxLength = 5
        $0.maxPromptLength = 5
      }
    ),
  ]

  @Test func contradictoryOptionsAreRefused() {
    for (words, adjust) in Self.contradictions {
      var options = EncodingOptions(contextLength: 10, endOfSequence: 2)
      adjust(&options)
      fault(.configuration, containing: words) { try options.validate() }
    }
  }

  @Test func everyOptionHasItsOwnCacheFile() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("f", "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}")
    let changes: [(inout EncodingOptions) -> Void] = [
      { _ in }, { $0.maxLength = 9 }, { $0.contextLength = 11 }, { $0.maxPromptLength = 3 }, { $0.keep = .start },
      { $0.boundary = .separate }, { $0.endOfSequence = 3 }, { $0.onError = .skip }, { $0.selection = .all },
      {
        $0.selection = .conditioned
        $0.controls = ControlTexts(desirable: "+", undesirable: "-")
      },
    ]
    for change in changes {
      var options = EncodingOptions(contextLength: 10, endOfSequence: 2)
      change(&options)
      _ = try TokenizedDataset.prepare(
        files: [path], encoder: ByteEncoder(), encoderDigest: "", options: options, cacheDirectory: directory("cache"))
    }
    #expect(try FileSystem.list(directory("cache")).count == changes.count)
    let options = EncodingOptions(contextLength: 10, endOfSequence: 2)
    #expect(Mirror(reflecting: options).children.count == changes.count - 1, "an option without a case here")
  }
}
