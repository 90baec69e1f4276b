/// The tokens that are found in text as they are, before any other cut: `<|im_start|>` and the like.
///
/// A trie over their bytes; at each place the longest match wins, from left to right, as in Hugging Face's tokenizers.
/// llama.cpp searches the whole text for the longest token first, which differs only where two such tokens overlap.
struct AddedTokens: Sendable {
    private struct Node {
        let byte: UInt8
        var child: Int32 = -1
        var sibling: Int32 = -1
        /// The token that ends here, or -1.
        var token: Int32 = -1
        /// Found even when special tokens are to be read as text: user-defined tokens that are no markup.
        var always = false
        /// Takes the white space behind it along.
        var stripsRight = false
    }

    private var nodes: [Node] = []
    /// The node of each first byte, or -1.
    private var roots = [Int32](repeating: -1, count: 256)
    private var hasAlways = false

    /// Phi-3's tokens take the white space behind them along, but for these. Files do not carry the flag.
    private static let keepsSpace = ["<unk>", "<s>", "<|endoftext|>"]

    init(_ vocabulary: Vocabulary, stripsRight: Bool) {
        for token in 0..<vocabulary.count {
            let text = vocabulary.texts[token]
            let strips = stripsRight && !Self.keepsSpace.contains { text.elementsEqual($0.utf8) }
            switch vocabulary.kind(token) {
            case .control, .unknown: insert(text, Int32(token), always: false, strips)
            case .userDefined:
                insert(text, Int32(token), always: !vocabulary.markup.contains(Int32(token)), strips)
            case .normal, .unused, .byte: continue
            }
        }
    }

    private mutating func insert(
        _ text: UnsafeRawBufferPointer, _ token: Int32, always: Bool, _ stripsRight: Bool
    ) {
        guard let first = text.first else { return }
        if roots[Int(first)] < 0 {
            roots[Int(first)] = Int32(nodes.count)
            nodes.append(Node(byte: first))
        }
        var at = Int(roots[Int(first)])
        for byte in text.dropFirst() {
            var child = nodes[at].child
            while child >= 0, nodes[Int(child)].byte != byte { child = nodes[Int(child)].sibling }
            if child < 0 {
                child = Int32(nodes.count)
                nodes.append(Node(byte: byte, sibling: nodes[at].child))
                nodes[at].child = child
            }
            at = Int(child)
        }
        nodes[at].token = token
        nodes[at].always = always
        nodes[at].stripsRight = stripsRight
        hasAlways = hasAlways || always
    }

    /// Calls `plain` with each stretch of text and `found` with each added token, in order.
    ///
    /// - Parameter special: the ascending ranges inside which control tokens are found.
    func partition(
        _ text: [UInt8], special: [Range<Int>], plain: (Range<Int>) -> Void, found: (Int32) -> Void
    ) {
        var start = 0
        var at = 0
        var special = special[...]
        while (!special.isEmpty || hasAlways) && at < text.count {
            while let range = special.first, range.upperBound <= at { special.removeFirst() }
            // A control token must lie in its range as a whole.
            let limit = special.first.map { $0.lowerBound <= at ? $0.upperBound : 0 } ?? 0
            guard roots[Int(text[at])] >= 0, let match = match(text, at, specialBelow: limit) else {
                at += 1
                continue
            }
            if start < at { plain(start..<at) }
            found(match.token)
            at = match.end
            while match.stripsRight, at < text.count, text[at] == 0x20 || text[at] &- 9 < 5 { at += 1 }
            start = at
        }
        if start < text.count { plain(start..<text.count) }
    }

    private func match(
        _ text: [UInt8], _ start: Int, specialBelow limit: Int
    ) -> (token: Int32, end: Int, stripsRight: Bool)? {
        var longest: (token: Int32, end: Int, stripsRight: Bool)?
        var node = roots[Int(text[start])]
        var at = start + 1
        while node >= 0 {
            let here = nodes[Int(node)]
            if here.token >= 0, at <= limit || here.always { longest = (here.token, at, here.stripsRight) }
            guard at < text.count else { break }
            node = here.child
            while node >= 0, nodes[Int(node)].byte != text[at] { node = nodes[Int(node)].sibling }
            at += 1
        }
        return longest
    }
}
