import AlignmentCore
import SyntheticWorld
import Testing

@Suite("Gold reward")
struct GoldRewardTests {
  @Test(arguments: [
    // The best there is: 3 mentions + courtesy + ½ · 2 praise, and seven words.
    ("lovely bright red kite near sea enjoy", 5),
    // 3 + 1; links and articles are free.
    ("a red kite by the sea thanks", 4),
    // 3 + 1 + ½ − (8 − 7)² / 16.
    ("the lovely red kite by the sea thanks", 4.4375),
    // 2 mentions + 1 − ½ for the second "red" − ¾ for "um" − (5 − 7)² / 16.
    ("red red kite um thanks", 1.5),
    // 2 mentions; a courtesy counts at the end only; − (3 − 7)² / 16.
    ("thanks red kite", 1),
    // Praise is paid twice: ½ · 2 − (4 − 7)² / 16.
    ("fine good grand sweet", 0.4375),
    // "very" twice and "so" once too often: −½ · 3 − (10 − 7)² / 16.
    ("so very very very quite so now too just here", -2.0625),
    // 3 mentions, "the" three times, − (9 − 7)² / 16.
    ("the red and the kite and by the sea", 2.75),
    // Words are not parts of words, and capitals and stops are not in the vocabulary: −¾ · 3 − (3 − 7)² / 16.
    ("Red kites sea.", -3.25),
    // Spaces and newlines only separate: 1 mention + 1 − (2 − 7)² / 16.
    ("\n  kite \n thanks\n", 0.4375),
    // −(0 − 7)² / 16.
    ("", -3.0625),
  ])
  func rewardOfAnExample(response: String, reward: Double) {
    #expect(SyntheticWorld.goldReward(prompt: "ask: a red kite and the sea\n", response: response) == reward)
  }

  @Test func onlyWordsOfThePromptAreRelevant() {
    let response = "a red kite by the sea thanks"
    #expect(SyntheticWorld.goldReward(prompt: "draw: the blue kite in the sea\n", response: response) == 3)
    #expect(SyntheticWorld.goldReward(prompt: "kite kite kite", response: response) == 2)
    #expect(SyntheticWorld.goldReward(prompt: "", response: response) == 1)
  }

  @Test func featuresOfAnExample() {
    let features = RewardFeatures(
      prompt: "ask: a red kite and the sea\n", response: "um the fine kite kite in the sea zzz fine enjoy")
    #expect(features.mentions == 2 && features.isCourteous && features.praise == 1)
    #expect(features.repetitions == 2 && features.unknownWords == 2 && features.length == 11)
    // 2 + 1 + ½ − ½ · 2 − ¾ · 2 − (11 − 7)² / 16.
    #expect(features.reward == 0)
  }

  @Test(arguments: 0..<200)
  func garbageHasAReward(index: Int) {
    let stream = RandomStream(seed: 9, purpose: .evaluation, index)
    let texts = (0..<2).map { text in
      String(decoding: (0..<64).map { UInt8(stream.integer(below: 256, at: $0 * 2 + text)) }, as: UTF8.self)
    }
    let reward = SyntheticWorld.goldReward(prompt: texts[0], response: texts[1])
    #expect(reward >= RewardFeatures.lowestReward && reward < -1)
    let world = SyntheticWorld(seed: 0)
    let response = world.response(to: texts[0], index: index, sample: 0, split: .sft, domain: .source)
    #expect((1...64).contains(response.utf8.count))
  }

  @Test(arguments: [
    "\0", "\r\n", " \u{301}kite", "sea\r", "\u{FFFD}", "👩‍👩‍👧 red", "\"\\\t", "     ", "\n",
  ])
  func oddTextHasALowReward(text: String) {
    let reward = SyntheticWorld.goldReward(prompt: text, response: text)
    #expect(reward >= RewardFeatures.lowestReward && reward < -1)
  }

  @Test func longTextHasALowReward() {
    for word in ["a ", "z", " ", "kite "] {
      let text = String(repeating: word, count: 100_000)
      let reward = SyntheticWorld.goldReward(prompt: text, response: text)
      #expect(reward >= RewardFeatures.lowestReward && reward < -1)
    }
  }
}
