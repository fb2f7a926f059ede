import AlignmentCore
import SyntheticWorld
import Testing

@Suite("Synthetic world")
struct SyntheticWorldTests {
  typealias Domain = SyntheticWorld.Domain
  typealias Split = SyntheticWorld.Split

  private let world = SyntheticWorld(seed: 0)

  @Test(
    arguments: [
      (.sft, .source, 0, "tell: a white vase near the moon\n", "the good good white fish by the moon"),
      (.sft, .target, 7, "tell: the dark vase by the town\n", "we see a dark lamp near the park very enjoy"),
      (.preferences, .source, 0, "draw: the mule and the sea\n", "er a hat near the sea thanks"),
      (.preferences, .target, 0, "tell: the nest near the moon\n", "here is the bright nest in the barn so"),
      (.heldOut, .source, 7, "draw: a cold vase by the moon\n", "the cold mule near the moon grand"),
      (
        .heldOut, .target, 0, "sing: the red fish near the lake\n",
        "uh here is a good good red fish near the lake lake bright so too"
      ),
    ] as [(Split, Domain, Int, String, String)])
  func textsOfSeedZero(split: Split, domain: Domain, index: Int, prompt: String, response: String) {
    #expect(world.prompt(index, split: split, domain: domain) == prompt)
    #expect(world.response(to: prompt, index: index, sample: 3, split: split, domain: domain) == response)
  }

  @Test func pairOfSeedZero() {
    let pair = world.pair(41, split: .preferences, domain: .target)
    #expect(pair.prompt == "sing: a cold hat and the park\n")
    #expect(pair.chosen == "the fine cold rose in the park now now just cheers")
    #expect(pair.rejected == "uh we see a grand grand hat near the park")
    // 2 mentions + courtesy + ½ praise − ½ repetition − (11 − 7)² / 16.
    #expect(pair.chosenReward == 2.0)
    // 2 mentions + ½ praise − ½ repetition − ¾ unknown − (10 − 7)² / 16.
    #expect(pair.rejectedReward == 0.6875)
  }

  @Test func extremeSeedsAndIndicesAreAccepted() {
    let world = SyntheticWorld(seed: .max)
    let index = Int(UInt32.max)
    #expect(world.prompt(index, split: .heldOut, domain: .target) == "tell: the vase in the barn\n")
    let last = world.response(to: "", index: index, sample: 1 << 27 - 1, split: .heldOut, domain: .target)
    #expect(!last.isEmpty)
  }

  @Test(arguments: Domain.allCases, Split.allCases)
  func textsKeepTheirLimits(domain: Domain, split: Split) {
    let letters = Set("abcdefghijklmnopqrstuvwxyz ".utf8)
    for index in 0..<500 {
      let pair = world.pair(index, split: split, domain: domain)
      #expect(pair.prompt.utf8.count <= 48 && pair.prompt.last == "\n")
      #expect(Set(pair.prompt.utf8).subtracting(letters) == Set(":\n".utf8))
      for response in [pair.chosen, pair.rejected] {
        #expect((1...64).contains(response.utf8.count) && letters.isSuperset(of: response.utf8))
      }
    }
  }

  @Test func pairsNeverHoldEqualTexts() {
    // For these prompts sample 1 repeats sample 0.
    for index in [452, 734, 1242] {
      let pair = world.pair(index, split: .preferences, domain: .source)
      let samples = (0..<2).map {
        world.response(to: pair.prompt, index: index, sample: $0, split: .preferences, domain: .source)
      }
      #expect(samples[0] == samples[1])
      #expect(pair.chosen != pair.rejected)
      #expect([pair.chosen, pair.rejected].contains(samples[0]))
    }
  }

  @Test func streamsAreDisjoint() {
    // Six streams of prompts; independent ones agree at about one index in a thousand.
    let prompts = Domain.allCases.flatMap { domain in
      Split.allCases.map { split in (0..<500).map { world.prompt($0, split: split, domain: domain) } }
    }
    for (index, stream) in prompts.enumerated() {
      for other in prompts[..<index] { #expect(zip(stream, other).count { $0 == $1 } < 10) }
    }
    // Responses to one prompt, by split, sample and seed.
    let prompt = "ask: a red kite and the sea\n"
    let responses = [0, 1 as UInt64].flatMap { seed in
      Split.allCases.flatMap { split in
        (0..<2).map { sample in
          (0..<500).map {
            SyntheticWorld(seed: seed).response(to: prompt, index: $0, sample: sample, split: split, domain: .target)
          }
        }
      }
    }
    for (index, stream) in responses.enumerated() {
      for other in responses[..<index] { #expect(zip(stream, other).count { $0 == $1 } < 10) }
    }
  }
}
