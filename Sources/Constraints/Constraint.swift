import Synchronization

/// A grammar bound to a vocabulary: which tokens may follow which text.
///
/// Compiled once and shared: its automaton and its masks grow while generations use it, on any thread, and are bounded
/// (2 MiB of masks, and about 8 MiB of states; beyond that they are made anew).
public final class Constraint: Sendable {
    let grammar: Grammar
    public let trie: TokenTrie
    private let tables: Mutex<Tables>

    /// What grows with use.
    struct Tables {
        var machine: Machine
        private var masks: [Int32: TokenMask] = [:]
        /// States of the masks, the oldest first.
        private var order: [Int32] = []
        private var epoch = 0
        /// The states on the way to each depth of a walk.
        private var path = [Int32](repeating: 0, count: TokenTrie.longest + 1)

        private static let mostMaskBytes = 2 << 20

        init(_ machine: Machine) { self.machine = machine }
    }

    public init(_ grammar: Grammar, _ trie: TokenTrie) {
        self.grammar = grammar
        self.trie = trie
        tables = Mutex(Tables(Machine(grammar)))
    }

    func withTables<T>(_ body: (inout Tables) -> T) -> T { tables.withLock { body(&$0) } }
}

extension Constraint.Tables {
    /// The tokens that may follow `state`, with those that end the text where it is complete.
    mutating func mask(_ state: Int32, _ trie: TokenTrie) -> TokenMask {
        if epoch != machine.epoch {
            masks.removeAll()
            order.removeAll()
            epoch = machine.epoch
        }
        if let known = masks[state] { return known }
        let mask = walk(state, trie)
        // The oldest go first: a generation comes back to few states, and making a mask costs no more than a walk.
        if order.count >= max(16, Self.mostMaskBytes / max(1, mask.words.count * 8)) {
            masks[order.removeFirst()] = nil
        }
        masks[state] = mask
        order.append(state)
        return mask
    }

    private mutating func walk(_ state: Int32, _ trie: TokenTrie) -> TokenMask {
        var mask = TokenMask(vocabulary: trie.vocabularyCount)
        path[0] = state
        var node = 0
        while node < trie.bytes.count {
            let depth = Int(trie.depths[node])
            let next = machine.step(path[depth - 1], trie.bytes[node])
            guard next != Machine.nothing else {
                node = Int(trie.skips[node])
                continue
            }
            path[depth] = next
            let token = trie.tokens[node]
            if token >= 0 {
                mask.insert(token)
                if !trie.twins.isEmpty { for twin in trie.twins[token] ?? [] { mask.insert(twin) } }
            }
            node += 1
        }
        if machine.isComplete(state) { for end in trie.ends { mask.insert(end) } }
        return mask
    }
}
