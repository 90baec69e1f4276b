import Inference

/// Labels as a trie of their tokens: all of them are scored in one pass, and what they have in common only once.
///
/// A label's probability is the product, over the nodes on its way that branch, of the softmax over that node's children
/// alone. A label that ends where another goes on has an end-of-answer child there.
struct LabelTrie: Sendable {
    /// A question to the model: which of these tokens comes behind a node?
    struct Branch: Sendable, Equatable {
        /// The tree node that the children stand behind; nil for the trie's root.
        var node: Int?
        /// The rows of the head to read, in the order of their first labels.
        var tokens: [Int32]
        /// For every child, the labels behind it.
        var labels: [[Int]]
    }

    /// Tokens that all labels begin with: part of the prompt.
    let common: [Int32]
    /// Inner nodes that must be computed, parents first: those that branch and those on the way to them.
    let nodes: [TreeNode]
    /// Where the labels part.
    let branches: [Branch]
    let labelCount: Int

    /// - Parameters:
    ///   - labels: at least one; each not empty and different from all others.
    ///   - end: what the model writes behind a finished answer.
    init(_ labels: [[Int32]], end: Int32) {
        labelCount = labels.count
        // The end is part of every label here: a label never is the beginning of another then.
        let labels = labels.map { $0 + [end] }
        common = labels.count > 1 ? commonPrefix(labels) : []
        var nodes: [TreeNode] = []
        var branches: [Branch] = []
        Self.branch(labels, Array(labels.indices), common.count, nil, &nodes, &branches)
        self.nodes = nodes
        self.branches = branches
    }

    /// Adds the branch behind `node`, reached by `depth` tokens of `members`, and what lies behind it.
    ///
    /// Recursion depth is that of branches, so at most the number of labels, which the caller caps.
    private static func branch(
        _ labels: [[Int32]], _ members: [Int], _ depth: Int, _ node: Int?, _ nodes: inout [TreeNode],
        _ branches: inout [Branch]
    ) {
        guard members.count > 1 else { return }
        var here = Branch(node: node, tokens: [], labels: [])
        for member in members {
            let token = labels[member][depth]
            if let at = here.tokens.firstIndex(of: token) {
                here.labels[at].append(member)
            } else {
                here.tokens.append(token)
                here.labels.append([member])
            }
        }
        branches.append(here)
        for group in here.labels where group.count > 1 {
            // Down to where this group parts: every token on the way is context for that branch.
            var parent = node
            var depth = depth
            repeat {
                nodes.append(TreeNode(token: labels[group[0]][depth], parent: parent))
                parent = nodes.count - 1
                depth += 1
            } while Set(group.map { labels[$0][depth] }).count == 1
            branch(labels, group, depth, parent, &nodes, &branches)
        }
    }

    /// The labels' probabilities.
    ///
    /// - Parameter logits: of some rows of the head behind a node (nil: behind the prompt).
    func scores(_ logits: (_ node: Int?, _ rows: [Int32]) -> [Float]) -> [Double] {
        var logScores = [Double](repeating: 0, count: labelCount)
        for branch in branches {
            let values = logits(branch.node, branch.tokens).map(Double.init)
            let normalizer = Probability.logSumExp(values)
            for (value, members) in zip(values, branch.labels) {
                for label in members { logScores[label] += value - normalizer }
            }
        }
        return Probability.normalized(logScores.map(Probability.exponential))
    }
}

/// What all lists begin with.
func commonPrefix(_ lists: [[Int32]]) -> [Int32] {
    var common = lists.first ?? []
    for list in lists.dropFirst() { common = Array(zip(common, list).prefix { $0 == $1 }.map(\.0)) }
    return common
}
