import Inference
import TestModels
import Testing

/// A single token is multiplied with weights that are floats as floats, a batch by some tiers as words of 14 bits and
/// more, and what is kept is rounded to halves: 3.4e-3 of logits of this size, where a wrong ancestor shows in the whole.
private let formTolerance: Float = 1e-2

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
        try check(try TinyModel().model, threads: 1, pass: 1, tolerance: formTolerance)
        try check(try TinyModel(seed: 5).model, threads: 2, pass: 1, tolerance: formTolerance)
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
        #expect(largestDifference(after, try sequential(session, [1, 30, 45, 46, 77])) < formTolerance)
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
        #expect(session.restore(state))
        #expect(session.count == prefix.count)
        try session.evaluate([7, 8, 9])
        #expect(largestDifference(Array(session.logits()), expected) == 0)
    }
}

@Suite struct TreesSideBySide {
    /// Trees of different shapes and sizes: a fork, a pair, a chain longer than a block of attention, a star.
    private func trees(_ vocabulary: Int) -> [[TreeNode]] {
        func token(_ seed: Int) -> Int32 { Int32((seed * 37 + 11) % vocabulary) }
        let fork = [(3, nil), (5, 0), (8, 1), (13, 1), (21, 3), (34, nil)].map { (seed: Int, parent: Int?) in
            TreeNode(token: token(seed), parent: parent)
        }
        let chain = (0..<21).map { TreeNode(token: token(100 + $0), parent: $0 == 0 ? nil : $0 - 1) }
        let star = (0..<9).map { TreeNode(token: token(50 + $0), parent: $0 == 0 ? nil : 0) }
        let pair = [TreeNode(token: token(7), parent: nil), TreeNode(token: token(9), parent: 0)]
        return [fork, pair, chain, star, fork]
    }

    /// Logits of every node at some rows.
    private func logits(_ session: Session, _ trees: [[TreeNode]], rows: [Int32]) -> [[[Float]]] {
        trees.indices.map { tree in
            trees[tree].indices.map { session.treeLogits(tree: tree, node: $0, of: rows) }
        }
    }

    private func check(_ model: Model, prefix: Int, threads: Int) throws {
        let session = try Session(model: model, context: 256, threads: threads)
        let trees = trees(model.vocabularyCount)
        let rows: [Int32] = [3, 17, 40, 99, 200]
        if prefix > 0 { try session.evaluate((0..<prefix).map { Int32(20 + $0 * 3) }) }
        let alone = try trees.map { tree in
            try session.evaluateTrees([tree])
            return logits(session, [tree], rows: rows)[0]
        }
        try session.evaluateTrees(trees)
        #expect(logits(session, trees, rows: rows) == alone, "bit by bit, behind \(prefix) cells")
        #expect(session.count == prefix, "trees leave no cells behind")
        try session.evaluateTrees(trees.reversed())
        #expect(logits(session, trees.reversed(), rows: rows) == alone.reversed(), "in any order")
    }

    @Test(arguments: [0, 1, 7, 8, 19, 40]) func eachIsTheSameAsAlone(prefix: Int) throws {
        try check(try TinyModel().model, prefix: prefix, threads: 1)
        try check(try TinyModel(seed: 3).model, prefix: prefix, threads: 3)
    }

    @Test func eachIsTheSameAsAloneInTheRealModel() throws {
        try check(try realModel(), prefix: 29, threads: 2)
    }

    @Test func nodesThatAreAskedForAreTheSameAsIfAllWere() throws {
        for model in [try TinyModel().model, try realModel()] {
            let session = try Session(model: model, context: 256, threads: 2)
            let trees = trees(model.vocabularyCount)
            let rows: [Int32] = [3, 17, 40, 99, 200]
            try session.evaluate([1, 30, 45, 60, 75])
            try session.evaluateTrees(trees)
            let all = logits(session, trees, rows: rows)
            let several: [[Int]] = [[5, 0], [], [20, 20, 7, 99, -1], [8], [4]]
            for asked in [several, [[], [], [3], [], []], [[], [], [], [], []]] {
                try session.evaluateTrees(trees, asking: asked)
                for (tree, nodes) in asked.enumerated() {
                    for node in nodes where trees[tree].indices.contains(node) {
                        #expect(session.treeLogits(tree: tree, node: node, of: rows) == all[tree][node])
                    }
                }
                #expect(session.treeLogits(tree: 2, node: 13, of: rows).isEmpty, "nobody asked for it")
            }
        }
    }

    @Test func whatDoesNotFitIsRefusedAndChangesNothing() throws {
        let session = try Session(model: try TinyModel().model, context: 64, threads: 1, batch: 32)
        let prefix: [Int32] = [1, 30, 45]
        try session.evaluate(prefix)
        func chain(_ count: Int) -> [TreeNode] {
            (0..<count).map { TreeNode(token: Int32(40 + $0), parent: $0 == 0 ? nil : $0 - 1) }
        }
        // Tokens of a pass, then cells: every tree but the first begins with a whole block of them.
        #expect(session.fits(trees: [16, 16], behind: 3) && !session.fits(trees: [16, 17], behind: 3))
        let small = [Int](repeating: 1, count: 8)
        #expect(session.fits(trees: small, behind: 3) && !session.fits(trees: small + [1], behind: 3))
        #expect(throws: InferenceError.self) { try session.evaluateTrees([chain(16), chain(17)]) }
        #expect(throws: InferenceError.self) { try session.evaluateTrees((small + [1]).map(chain)) }
        #expect(throws: InferenceError.self) { try session.evaluateTrees([chain(2), [TreeNode(token: 5, parent: 7)]]) }
        #expect(throws: InferenceError.self) { try session.evaluateTrees([]) }
        try session.evaluateTrees(small.map(chain))
        #expect(session.treeLogits(tree: 8, node: 0, of: [1]).isEmpty && session.treeLogits(node: 99, of: [1]).isEmpty)
        session.promptBatch = 8
        session.usableContext = 40
        #expect(!session.fits(trees: [8, 1], behind: 3) && session.fits(trees: [20], behind: 3))
        #expect(!session.fits(trees: [1, 1, 1, 1, 1, 1], behind: 3) && !session.fits(trees: [38], behind: 3))
        #expect(session.count == prefix.count)
    }
}
