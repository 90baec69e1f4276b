import Inference
import TestModels
import Testing

@Suite struct TreeTests {
    /// Logits of the whole vocabulary behind tokens computed from nothing, `pass` of them at a time.
    private func sequential(_ session: Session, _ tokens: [Int32], pass: Int = 1) throws -> [Float] {
        session.truncate(to: 0)
        for start in stride(from: 0, to: tokens.count, by: pass) {
            try session.evaluate(Array(tokens[start..<min(start + pass, tokens.count)]))
        }
        return Array(session.logits())
    }

    private func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
        #expect(a.count == b.count)
        return zip(a, b).map { abs($0 - $1) }.max() ?? .infinity
    }

    /// Two roots, a fork inside, a chain: parents are indices.
    private let nodes: [(token: Int32, parent: Int?)] = [
        (20, nil), (33, nil), (41, 0), (42, 0), (50, 2), (51, 4), (60, 1), (20, 3),
    ]

    private func check(_ model: Model, threads: Int, pass: Int, tolerance: Float) throws {
        let session = try Session(model: model, context: 128, threads: threads)
        let prompt: [Int32] = [1, 30, 45, 46, 77, 80, 31, 90, 100]
        let rows = (0..<Int32(model.vocabularyCount)).map { $0 }
        try session.evaluate(prompt)
        try session.evaluateTree(nodes.map { TreeNode(token: $0.token, parent: $0.parent) })
        let tree = nodes.indices.map { session.treeLogits(node: $0, of: rows) }
        #expect(session.count == prompt.count, "a tree leaves no cells behind")
        for index in nodes.indices {
            var way: [Int32] = []
            var at: Int? = index
            while let node = at {
                way.insert(nodes[node].token, at: 0)
                at = nodes[node].parent
            }
            let expected = try sequential(session, prompt + way, pass: pass)
            #expect(largestDifference(tree[index], expected) < tolerance, "node \(index)")
        }
    }

    @Test func everyNodeSeesItsAncestorsOnly() throws {
        try check(try TinyModel().model, threads: 1, pass: 1, tolerance: 2e-3)
        try check(try TinyModel(seed: 5).model, threads: 2, pass: 1, tolerance: 2e-3)
    }

    @Test func everyNodeSeesItsAncestorsOnlyInTheRealModel() throws {
        // In one pass: a single token takes the vector kernels, whose other rounding to 8 bits shows in the logits.
        try check(try realModel(), threads: 2, pass: 64, tolerance: 1e-4)
    }

    @Test func aTokenIsTheSameWhateverIsComputedWithIt() throws {
        let model = try realModel()
        let text = "The freezer in the garage has been open for ten minutes, and its temperature is 4.5 degrees now."
        let tokens = try model.tokenizer.encode(text, addSpecial: true, parseSpecial: false)
        let session = try Session(model: model, context: 64, threads: 2)
        let whole = try sequential(session, tokens, pass: 64)
        for pass in [3, 5, 7, 8, 13] where tokens.count % pass > 2 || tokens.count % pass == 0 {
            #expect(largestDifference(whole, try sequential(session, tokens, pass: pass)) == 0, "\(pass) at a time")
        }
    }

    @Test func aTreeIsForgottenByTheNextPass() throws {
        let session = try Session(model: try TinyModel().model, context: 64, threads: 1)
        try session.evaluate([1, 30, 45])
        try session.evaluateTree(nodes.map { TreeNode(token: $0.token, parent: $0.parent) })
        try session.evaluate([46, 77])
        let after = Array(session.logits())
        #expect(largestDifference(after, try sequential(session, [1, 30, 45, 46, 77])) < 2e-3)
    }

    @Test func aTreeThatIsNoneIsRefused() throws {
        let session = try Session(model: try TinyModel().model, context: 64, threads: 1, batch: 4)
        #expect(throws: InferenceError.self) { try session.evaluateTree([TreeNode(token: 5, parent: 0)]) }
        #expect(throws: InferenceError.self) { try session.evaluateTree([TreeNode(token: 5, parent: -1)]) }
        #expect(throws: InferenceError.self) { try session.evaluateTree([TreeNode(token: 1 << 20, parent: nil)]) }
        #expect(throws: InferenceError.self) { try session.evaluateTree([]) }
        let many = [TreeNode](repeating: TreeNode(token: 5, parent: nil), count: 5)
        #expect(throws: InferenceError.self) { try session.evaluateTree(many) }
    }

    @Test func aSnapshotPutBackGoesOnAsIfNothingHadHappened() throws {
        let session = try Session(model: try TinyModel().model, context: 64, threads: 2)
        let prefix: [Int32] = (0..<19).map { 10 + 3 * $0 }
        try session.evaluate(prefix)
        let state = session.snapshot()
        try session.evaluate([7, 8, 9])
        let expected = Array(session.logits())
        session.truncate(to: 0)
        try session.evaluate((0..<40).map { 200 - $0 })
        session.restore(state)
        #expect(session.count == prefix.count)
        try session.evaluate([7, 8, 9])
        #expect(largestDifference(Array(session.logits()), expected) == 0)
    }
}
