import TestSupport
import Testing

@testable import Tokenizers

@Suite struct BytePairTests {
    /// Byte-pair encoding as its definition reads: merge the best pair anywhere, again and again.
    private func reference(_ word: String, _ vocabulary: SmallVocabulary) -> [String] {
        var ranks: [String: Int] = [:]
        for (rank, merge) in vocabulary.merges.enumerated() where ranks[merge] == nil { ranks[merge] = rank }
        var symbols = word.map { String($0) }
        while true {
            let pairs = zip(symbols, symbols.dropFirst()).map { ranks["\($0) \($1)"] ?? Int.max }
            guard let best = pairs.min(), best != Int.max, let at = pairs.firstIndex(of: best) else { return symbols }
            symbols[at] += symbols[at + 1]
            symbols.remove(at: at + 1)
        }
    }

    @Test func `Short and long words merge as the definition says`() throws {
        let vocabulary = try SmallVocabulary()
        let tokenizer = try vocabulary.tokenizer()
        var random = SplitMix(state: 1)
        for length in [1, 2, 3, 5, 15, 16, 17, 33, 63, 64, 65, 66, 100, 127, 200, 300] {
            for letters in ["ab", "theinr", "abcdefghijklmnopqrstuvwxyz"] {
                let word = String((0..<length).map { _ in letters.randomElement(using: &random) ?? "a" })
                let tokens = tokenizer.encode(word, addSpecial: false, parseSpecial: false)
                #expect(tokens.map { tokenizer.decode([$0]) } == reference(word, vocabulary), "\(word)")
            }
        }
    }

    @Test func `A word beyond the longest is cut and loses nothing`() throws {
        let tokenizer = try SmallVocabulary().tokenizer()
        let word = String(repeating: "thing", count: BytePairEncoder.longestWord / 4)
        #expect(tokenizer.decode(tokenizer.encode(word, addSpecial: false, parseSpecial: false)) == word)
    }

    @Test(arguments: ["a", " ", "[", "é", "7", "'", "\n", "<", "<|im_", "the", "\u{301}"])
    func `A megabyte of one thing takes little time`(_ unit: String) throws {
        for kind in ["smollm", "llama-bpe", "default"] {
            let tokenizer = try SmallVocabulary(kind).tokenizer()
            let text = String(repeating: unit, count: 1_000_000 / unit.utf8.count)
            var count = 0
            let time = seconds { count = tokenizer.encode(text, addSpecial: false, parseSpecial: true).count }
            // 0.3 s here; quadratic work would take minutes.
            #expect(time < 10, "\(kind) took \(time) s")
            #expect(count > 1_000)
        }
    }

    @Test func `A heap gives back its entries in order`() {
        var heap = RankHeap()
        heap.fill([5, MergeTable.none, 3, 3, 9])
        heap.push(4, 7)
        heap.push(3, 1)
        var out: [[Int]] = []
        while let (rank, position) = heap.pop() { out.append([Int(rank), position]) }
        #expect(out == [[3, 1], [3, 2], [3, 3], [4, 7], [5, 0], [9, 4]])
    }

    @Test func `A byte without a token is left out`() throws {
        let tokenizer = try SmallVocabulary().tokenizer()
        let tokens = tokenizer.encode("a\u{4}b", addSpecial: false, parseSpecial: false)
        #expect(tokenizer.decode(tokens) == "ab")
        #expect(tokenizer.encode("\u{4}", addSpecial: false, parseSpecial: false).isEmpty)
    }

    @Test func `Merges that make no token are passed over`() throws {
        var vocabulary = try SmallVocabulary()
        vocabulary.merges = ["q j", "h e", "nospace", "", " ", "x y z"]
        vocabulary.writer.set("tokenizer.ggml.merges", .strings(vocabulary.merges))
        let tokenizer = try vocabulary.tokenizer()
        #expect(tokenizer.encode("heqj", addSpecial: false, parseSpecial: false).count == 3)
    }
}
