import Inference

/// All ways in which an answer may begin, each with the labels behind it, as one tree behind the prompt.
///
/// Asked in two ways a small model errs less often than in either, and the second way costs only its own tokens: the
/// event is computed once, and both grow from its end.
struct AnswerTree: Sendable {
    private struct Answer: Sendable {
        var trie: LabelTrie
        /// The last node of the answer's own tokens; nil where the prompt itself ends with them.
        var end: Int?
        /// The trie's first node.
        var first: Int
    }

    /// What all answers begin with: part of the prompt.
    let common: [Int32]
    /// Nodes behind the prompt, parents first.
    let nodes: [TreeNode]
    private let answers: [Answer]
    /// The nodes that questions stand behind; nil stands for the prompt.
    private let asked: [Int?]

    /// - Parameters:
    ///   - beginnings: at least one; the tokens from the event's end to the label.
    ///   - labels: for each beginning the labels' tokens behind it.
    ///   - end: what the model writes behind a finished answer.
    init(_ beginnings: [[Int32]], labels: [[[Int32]]], end: Int32) {
        let tries = labels.map { LabelTrie($0, end: end) }
        let chains = zip(beginnings, tries).map { $0 + $1.common }
        common = commonPrefix(chains)
        var nodes: [TreeNode] = []
        var answers: [Answer] = []
        for (chain, trie) in zip(chains, tries) {
            var end: Int?
            for token in chain.dropFirst(common.count) {
                nodes.append(TreeNode(token: token, parent: end))
                end = nodes.count - 1
            }
            let first = nodes.count
            nodes += trie.nodes.map { TreeNode(token: $0.token, parent: $0.parent.map { $0 + first } ?? end) }
            answers.append(Answer(trie: trie, end: end, first: first))
        }
        self.nodes = nodes
        self.answers = answers
        asked = answers.flatMap { answer in
            answer.trie.branches.map { branch in branch.node.map { $0 + answer.first } ?? answer.end }
        }
    }

    /// For each answer the labels' probabilities behind `event`, which ends with `common`; computed behind what the
    /// session holds.
    func scores(behind event: [Int32], on session: Session) throws(InferenceError) -> [[Double]] {
        if nodes.isEmpty {
            try session.evaluate(event)
            return scores { _, rows in session.logits(of: rows) }
        }
        guard event.count + nodes.count <= session.batch else {
            try session.evaluate(event)
            return try scores(on: session)
        }
        return try scores(behindEach: [event], on: session)[0]
    }

    /// The same for several events in one pass, which must have room for all their trees.
    func scores(behindEach events: [[Int32]], on session: Session) throws(InferenceError) -> [[[Double]]] {
        let questions = events.map { event in
            asked.map { node -> Int in node.map { $0 + event.count } ?? event.count - 1 }
        }
        try session.evaluateTrees(events.map(tree), asking: questions)
        return events.enumerated().map { index, event in
            let end = event.count - 1
            return scores { node, rows in
                session.treeLogits(tree: index, node: node.map { $0 + end + 1 } ?? end, of: rows)
            }
        }
    }

    /// An event and its answers as one tree: the event is a chain, the answers grow from its end.
    private func tree(behind event: [Int32]) -> [TreeNode] {
        let end = event.count - 1
        var all = event.enumerated().map { TreeNode(token: $1, parent: $0 == 0 ? nil : $0 - 1) }
        all += nodes.map { TreeNode(token: $0.token, parent: $0.parent.map { $0 + end + 1 } ?? end) }
        return all
    }

    private func scores(_ logits: (_ node: Int?, _ rows: [Int32]) -> [Float]) -> [[Double]] {
        answers.map { answer in
            answer.trie.scores { node, rows in logits(node.map { $0 + answer.first } ?? answer.end, rows) }
        }
    }

    // MARK: More nodes than a pass computes

    /// The same behind a prompt that the session has just computed, in as many passes as its batch makes necessary.
    private func scores(on session: Session) throws(InferenceError) -> [[Double]] {
        var questions: [(node: Int?, rows: [Int32])] = []
        _ = scores { node, rows in
            questions.append((node, rows))
            return rows.map { _ in 0 }
        }
        var logits = [[Float]](repeating: [], count: questions.count)
        for (index, question) in questions.enumerated() where question.node == nil {
            logits[index] = session.logits(of: question.rows)
        }
        var waiting = questions.indices.filter { questions[$0].node != nil }[...]
        while !waiting.isEmpty {
            var pass = TreePass()
            var asked: [Int] = []
            while let index = waiting.first, let node = questions[index].node,
                pass.add(wayTo: node, in: nodes, limit: session.batch)
            {
                asked.append(index)
                waiting.removeFirst()
            }
            try session.evaluateTree(pass.nodes)
            for index in asked {
                guard let node = questions[index].node, let place = pass.places[node] else { continue }
                logits[index] = session.treeLogits(node: place, of: questions[index].rows)
            }
        }
        var next = 0
        return scores { _, _ in
            defer { next += 1 }
            return logits[next]
        }
    }

    /// Some nodes of the tree, with all their ancestors.
    private struct TreePass {
        var nodes: [TreeNode] = []
        /// Where a node of the whole tree stands in this pass.
        var places: [Int: Int] = [:]

        /// Adds a node and its ancestors; false, and nothing is added, when they do not fit. The first always does.
        mutating func add(wayTo node: Int, in tree: [TreeNode], limit: Int) -> Bool {
            var way: [Int] = []
            var at: Int? = node
            while let step = at, places[step] == nil {
                way.append(step)
                at = tree[step].parent
            }
            guard nodes.isEmpty || nodes.count + way.count <= limit else { return false }
            for step in way.reversed() {
                places[step] = nodes.count
                nodes.append(TreeNode(token: tree[step].token, parent: tree[step].parent.flatMap { places[$0] }))
            }
            return true
        }
    }
}
