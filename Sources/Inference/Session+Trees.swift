/// A node of a tree of tokens laid behind the context: all its nodes are computed in one pass.
public struct TreeNode: Sendable, Equatable {
    public let token: Int32
    /// Index of the parent among the nodes (smaller than this node's own), or nil below the context.
    public let parent: Int?

    public init(token: Int32, parent: Int?) {
        self.token = token
        self.parent = parent
    }
}

extension Session {
    /// Computes a tree of tokens behind the cells in use without keeping it; ask `treeLogits` before the next pass.
    public func evaluateTree(_ nodes: [TreeNode], asking asked: [Int]? = nil) throws(InferenceError) {
        try evaluateTrees([nodes], asking: asked.map { [$0] })
    }

    /// Computes several trees, each behind the cells in use as if it were alone, in one pass that shares the weights.
    ///
    /// What comes out is the same bit by bit as that of one pass for each. Throws, and nothing is changed, when one is
    /// no tree or they do not all fit; ask `fits` first.
    ///
    /// - Parameter asked: for each tree the nodes that `treeLogits` will be asked for; nil: any.
    public func evaluateTrees(_ trees: [[TreeNode]], asking asked: [[Int]]? = nil) throws(InferenceError) {
        let tokens = trees.flatMap { $0.map(\.token) }
        guard model.config.plan.isCausal else {
            throw InferenceError(
                "\(model.config.architecture) is an encoder, which predicts no tokens. Choose another model.")
        }
        try check(tokens)
        guard tokens.count <= state.batch else {
            throw InferenceError(
                "a tree of \(tokens.count) tokens is larger than a batch of \(state.batch). Use fewer.")
        }
        guard trees.count == 1 || fits(trees: trees.map(\.count), behind: count) else {
            throw InferenceError("\(trees.count) trees do not fit the context behind \(count) tokens. Use fewer.")
        }
        visible.removeAll(keepingCapacity: true)
        visible.reserveCapacity(trees.reduce(0) { $0 + $1.count * $1.count })
        treeStarts.removeAll(keepingCapacity: true)
        var positions: [Int] = []
        var blocks = 0
        var own = count
        for tree in trees {
            let (first, mask) = (positions.count, visible.count)
            try addDepths(of: tree, from: count, to: &positions)
            addVisibility(of: tree)
            treeStarts.append(first)
            blocks = layOut(first, tree.count, at: own, mask: mask, behind: blocks)
            own = Self.wholeBlocks(own + tree.count)
        }
        let outputs = ask(nodes: asked, of: trees.map(\.count))
        var first = 0
        for tree in trees {
            for (t, node) in tree.enumerated() {
                setPosition(first + t, positions[first + t], parent: node.parent.map { first + $0 } ?? -1)
            }
            first += tree.count
        }
        embed(tokens[...])
        visible.withUnsafeBufferPointer {
            run(
                Batch(tokens: tokens.count, prefix: count, blocks: blocks, outputs: outputs, visible: $0.baseAddress))
        }
    }

    /// Whether trees of so many nodes fit one pass behind `used` cells. Several keep to `promptBatch`; one alone need not.
    public func fits(trees counts: [Int], behind used: Int) -> Bool {
        let tokens = counts.reduce(0, +)
        guard counts.count > 1 else { return tokens <= min(batch, usableContext - used) }
        let cells = counts.reduce(used) { Self.wholeBlocks($0 + $1) }
        return tokens <= promptBatch && cells <= usableContext
    }

    /// Logits behind a node of one of the last trees, at some rows of the head.
    public func treeLogits(tree: Int = 0, node: Int, of rows: [Int32]) -> [Float] {
        guard treeStarts.indices.contains(tree) else { return [] }
        return logits(of: rows, at: treeStarts[tree] + node)
    }

    /// Keys lie in blocks of eight cells, and a tree that does not begin right behind the cells in use begins with one.
    private static func wholeBlocks(_ cells: Int) -> Int { (cells + 7) / 8 * 8 }

    private func ask(nodes asked: [[Int]]?, of counts: [Int]) -> Int {
        let all = counts.reduce(0, +)
        guard let asked else { return ask(0..<all) }
        var tokens: Set<Int> = []
        for (start, (nodes, count)) in zip(treeStarts, zip(asked, counts)) {
            for node in nodes where 0..<count ~= node { tokens.insert(start + node) }
        }
        // At least two: see `ask`.
        for token in 0..<min(2, all) where tokens.count < 2 { tokens.insert(token) }
        return ask(tokens.sorted())
    }

    private func addDepths(
        of tree: [TreeNode], from position: Int, to positions: inout [Int]
    ) throws(InferenceError) {
        let first = positions.count
        for (index, node) in tree.enumerated() {
            guard node.parent.map({ $0 >= 0 && $0 < index }) ?? true else {
                throw InferenceError("node \(index) of a tree stands before its parent. Order parents first.")
            }
            positions.append(node.parent.map { positions[first + $0] + 1 } ?? position)
        }
    }

    /// A row a node: what its parent sees, and itself.
    private func addVisibility(of tree: [TreeNode]) {
        let first = visible.count
        for (index, node) in tree.enumerated() {
            let row = visible.count
            if let parent = node.parent {
                for j in 0..<tree.count { visible.append(visible[first + parent * tree.count + j]) }
            } else {
                for _ in 0..<tree.count { visible.append(false) }
            }
            visible[row + index] = true
        }
    }
}
