import Testing

@testable import Inference

@Suite struct SamplerTests {
    private func sample(
        _ logits: [Float], _ options: SamplerOptions, recent: [Int32] = [], times: Int = 1
    ) -> [Int32] {
        var sampler = Sampler(options)
        return (0..<times).map { _ in logits.withUnsafeBufferPointer { sampler.sample($0, recent: recent[...]) } }
    }

    /// How often each token is drawn.
    private func shares(_ logits: [Float], _ options: SamplerOptions, times: Int = 20000) -> [Double] {
        var counts = [Double](repeating: 0, count: logits.count)
        for token in sample(logits, options, times: times) { counts[Int(token)] += 1 }
        return counts.map { $0 / Double(times) }
    }

    private let open = SamplerOptions(temperature: 1, topK: 0, topP: 1, minP: 0, seed: 3)

    @Test func takesTheMostLikelyByDefaultAndTheFirstOfEquals() {
        #expect(sample([0, 3, 1, 3], SamplerOptions()) == [1])
        #expect(sample([.nan, -.infinity, -2, .nan], SamplerOptions()) == [2])
    }

    @Test func survivesLogitsWithoutAnyChoice() {
        #expect(sample([], open) == [0])
        #expect(sample([.nan, .nan], open) == [0])
        #expect(sample([-.infinity, -.infinity], open) == [0])
    }

    @Test func drawsInProportionToProbability() {
        let shares = shares([0, 1, 2], open)
        let total: Double = 1 + 2.718282 + 7.389056
        for (share, weight) in zip(shares, [1, 2.718282, 7.389056]) { #expect(abs(share - weight / total) < 0.015) }
    }

    @Test func temperatureSharpensAndFlattens() {
        var options = open
        options.temperature = 0.25
        #expect(shares([0, 1], options)[1] > 0.97)
        options.temperature = 10
        #expect(abs(shares([0, 1], options)[1] - 0.525) < 0.02)
    }

    @Test func topKKeepsTheMostLikelyAndTheSmallerTokenAmongEquals() {
        var options = open
        options.topK = 2
        let shares = shares([1, 0, 2, 1, -1, 1], options)
        #expect(shares[2] > 0 && shares[0] > 0)
        #expect(shares[1] == 0 && shares[3] == 0 && shares[4] == 0 && shares[5] == 0)
    }

    @Test func topPKeepsTheFewestThatReachIt() {
        var options = open
        options.topP = 0.8
        // 0.5, 0.25, 0.15, 0.1: two reach 0.75, three 0.9.
        let logits: [Float] = [-0.6931472, -1.3862944, -1.8971200, -2.3025851]
        let shares = shares(logits, options)
        #expect(shares[3] == 0 && shares[2] > 0.1)
        options.topP = 0
        #expect(self.shares(logits, options)[0] == 1)
    }

    @Test func minPIsRelativeToTheMostLikely() {
        var options = open
        options.minP = 0.4
        // Relative to 0.5: 1, 0.5, 0.3, 0.2.
        let shares = shares([-0.6931472, -1.3862944, -1.8971200, -2.3025851], options)
        #expect(shares[1] > 0 && shares[2] == 0 && shares[3] == 0)
    }

    @Test func partialSelectionEqualsAFullSort() {
        var random = SplitMix64(seed: 11)
        let logits = (0..<3000).map { _ in Float(random.uniform() * 8).rounded() / 2 }
        var options = open
        options.topK = 40
        let order = logits.indices.sorted { logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1] }
        let allowed = Set(order.prefix(40).map(Int32.init))
        let drawn = Set(sample(logits, options, times: 3000))
        #expect(drawn.isSubset(of: allowed))
        #expect(drawn == allowed)
    }

    @Test func sameSeedSameTokensAnotherSeedOthers() {
        let logits = (0..<500).map { Float($0 % 17) / 5 }
        var other = open
        other.seed = 4
        #expect(sample(logits, open, times: 50) == sample(logits, open, times: 50))
        #expect(sample(logits, open, times: 50) != sample(logits, other, times: 50))
    }

    @Test func repeatPenaltyMakesRecentTokensLessLikelyWhateverTheirSign() {
        let options = SamplerOptions(repeatPenalty: 2)
        #expect(sample([3, 2], options, recent: [0]) == [1])
        #expect(sample([-1, -1.5], options, recent: [0, 0, 99, -7]) == [1])
        #expect(sample([3, 2], options, recent: []) == [0])
    }

    @Test func optionsOutsideTheirRangeAreBroughtBack() {
        let options = SamplerOptions(temperature: -1, topK: -5, topP: .nan, minP: 7, repeatPenalty: 0, seed: 1)
        #expect(options.temperature == 0 && options.topK == 0 && options.topP == 0.95 && options.minP == 1)
        #expect(options.repeatPenalty == 0.01)
    }
}

@Suite struct TextStreamTests {
    private func pieces(_ chunks: [[UInt8]]) -> [String] {
        var stream = TextStream()
        return chunks.map { stream.append($0) } + [stream.finish()]
    }

    @Test func neverEmitsHalfACharacter() {
        let text = "aé€😀z"
        let single = pieces(Array(text.utf8).map { [$0] })
        #expect(single.joined() == text)
        #expect(!single.contains { $0.contains("\u{FFFD}") })
        for size in 1...9 {
            let bytes = Array(text.utf8)
            let chunks = stride(from: 0, to: bytes.count, by: size).map {
                Array(bytes[$0..<min($0 + size, bytes.count)])
            }
            #expect(pieces(chunks).joined() == text)
        }
    }

    @Test func repairsWhatCannotBecomeACharacter() {
        #expect(pieces([[0xFF], [0x41]]) == ["\u{FFFD}", "A", ""])
        // Half a character at the end, and one that another byte interrupts.
        #expect(pieces([[0xE2, 0x82]]) == ["", "\u{FFFD}"])
        #expect(pieces([[0xE2], [0x41]]).joined() == "\u{FFFD}A")
        #expect(pieces([[0x80, 0x80, 0x80, 0x80]]).joined().unicodeScalars.allSatisfy { $0 == "\u{FFFD}" })
    }
}
