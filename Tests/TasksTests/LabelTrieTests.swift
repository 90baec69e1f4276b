import Glibc
import Inference
import TestModels
import Testing
import Tokenizers

@testable import Tasks

@Suite struct LabelTrieTests {
    /// The same labels scored one by one, by definition: every token of a label against the tokens with which any label
    /// goes on from the same beginning, each behind a prompt computed from nothing.
    private func oneByOne(_ labels: [[Int32]], end: Int32, prompt: [Int32], _ session: Session) throws -> [Double] {
        let labels = labels.map { $0 + [end] }
        return try labels.map { label in
            var probability = 1.0
            for depth in label.indices {
                let rivals = labels.filter { $0.count > depth && $0[..<depth] == label[..<depth] }
                let choices = Set(rivals.map { $0[depth] }).sorted()
                guard choices.count > 1 else { continue }
                session.truncate(to: 0)
                try session.evaluate(prompt + label[..<depth])
                let logits = session.logits()
                let weights = choices.map {
                    Probability.exponential(Double(logits[Int($0)]) - Double(logits.max() ?? 0))
                }
                let own = try #require(choices.firstIndex(of: label[depth]))
                probability *= weights[own] / weights.reduce(0, +)
            }
            return probability
        }
    }

    private let words = ["ab", "abc", "abcd", "abd", "xing", "xyz", "xy", "zebra", "zebroid", "q"]

    private func check(_ model: Model, _ labels: [String], tolerance: Double) throws {
        let tokenizer = try model.tokenizer
        let end = try #require(tokenizer.eos)
        let session = try Session(model: model, context: 256, threads: 2)
        let shared = SharedSession(session)
        let prompt = ClassifyPrompt(user: "Which? {{labels}}\n{{text}}", answers: ["It is"])
        let classifier = try Classifier(shared, labels: labels, prompt: prompt, calibration: .none)
        let answer = try classifier.classify("something happened")
        let template = try ClassifyTemplate(
            prompt, labels: labels, model: model, context: 256, mostEventTokens: 64)
        #expect(!template.tree.nodes.isEmpty, "the labels must part behind their first tokens")
        let tokens = labels.map { tokenizer.encode(" " + $0, addSpecial: false, parseSpecial: false) }
        let inCommon = LabelTrie(tokens, end: end).common
        let whole =
            template.prefix + template.eventTokens("something happened") + template.suffix.dropLast(inCommon.count)
        let expected = try oneByOne(tokens, end: end, prompt: whole, session)
        #expect(abs(expected.reduce(0, +) - 1) < 1e-6, "the labels' probabilities are all there is")
        for (index, label) in labels.enumerated() {
            #expect(answer.scores[index].label == label)
            #expect(abs(answer.scores[index].score - expected[index]) < tolerance, "\(label)")
        }
    }

    @Test func scoresEqualThoseOfEachLabelOnItsOwn() throws {
        for seed in 1...4 as ClosedRange<UInt64> {
            try check(try TinyModel(seed: seed).model, words, tolerance: 1e-3)
        }
    }

    @Test func scoresEqualThoseOfEachLabelOnItsOwnInTheRealModel() throws {
        let labels = [
            "window", "window open", "window open too long", "window closed", "smoke", "smoke alarm", "smoke detector",
        ]
        try check(try realModel(), labels, tolerance: 1e-3)
    }

    @Test func whatAllLabelsBeginWithBelongsToThePrompt() {
        let trie = LabelTrie([[7, 8, 1], [7, 8, 2], [7, 8, 1, 5]], end: 99)
        #expect(trie.common == [7, 8])
        #expect(
            trie.branches == [
                .init(node: nil, tokens: [1, 2], labels: [[0, 2], [1]]),
                .init(node: 0, tokens: [99, 5], labels: [[0], [2]]),
            ])
        #expect(trie.nodes == [TreeNode(token: 1, parent: nil)])
    }

    @Test func differentFirstTokensNeedNoTree() {
        let trie = LabelTrie([[1, 2, 3], [4, 5], [6]], end: 99)
        #expect(trie.nodes.isEmpty && trie.branches.count == 1)
    }

    @Test func aLabelThatBeginsAnotherIsToldApartByTheEndOfTheAnswer() {
        let trie = LabelTrie([[1], [1, 2]], end: 99)
        #expect(trie.common == [1])
        #expect(trie.branches == [.init(node: nil, tokens: [99, 2], labels: [[0], [1]])])
        let scores = trie.scores { _, rows in rows.map { $0 == 99 ? 0 : 1.0986123 } }
        #expect(abs(scores[0] - 0.25) < 1e-6 && abs(scores[1] - 0.75) < 1e-6)
    }

    @Test func aTrieLargerThanABatchTakesMorePasses() throws {
        let model = try TinyModel().model
        let labels = (0..<60).map { "label\($0 % 4)\($0 / 4)x\($0)" }
        func scores(_ batch: Int) throws -> [Double] {
            let shared = SharedSession(try Session(model: model, context: 512, threads: 1, batch: batch))
            let prompt = ClassifyPrompt(user: "{{text}}", answers: ["=", "That is:", "That"])
            return try Classifier(shared, labels: labels, prompt: prompt).classify("event").scores.map(\.score)
        }
        let once = try scores(512)
        for (a, b) in zip(once, try scores(16)) { #expect(abs(a - b) < 1e-4) }
        #expect(Set(once).count > 50)
    }

    @Test func severalAnswersGiveTheGeometricMeanOfEach() throws {
        for model in [try TinyModel().model, try realModel()] {
            func scores(_ answers: [String]) throws -> [Double] {
                let shared = SharedSession(try Session(model: model, context: 256, threads: 1))
                let prompt = ClassifyPrompt(user: "{{text}}", answers: answers)
                let classifier = try Classifier(shared, labels: words, prompt: prompt)
                return try classifier.classify("something happened").scores.map(\.score)
            }
            let answers = ["This is", "This text is about", "Category:"]
            let each = try answers.map { try scores([$0]) }
            let means = words.indices.map { word in each.map { max($0[word], 1e-12) }.reduce(1, *) }
            let roots = means.map { cbrt($0) }
            let expected = roots.map { $0 / roots.reduce(0, +) }
            for (score, expected) in zip(try scores(answers), expected) { #expect(abs(score - expected) < 1e-3) }
        }
    }

    @Test func logitsThatAreNoNumbersGiveNoNumbersToNobody() {
        let trie = LabelTrie([[1], [2]], end: 99)
        for value in [Float.nan, .infinity, -.infinity] {
            let scores = trie.scores { _, rows in rows.map { _ in value } }
            #expect(scores.allSatisfy { $0.isFinite } && abs(scores.reduce(0, +) - 1) < 1e-9)
        }
    }
}
