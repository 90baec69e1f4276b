/// The texts of a vocabulary as one trie, so that a walk judges the common beginning of many tokens once.
///
/// Nodes lie in depth-first order: what is below a node stands right behind it, up to where `skips` points. Memory for
/// 49,152 tokens: 1.2 MB.
public final class TokenTrie: Sendable {
    public let vocabularyCount: Int
    /// Tokens that end a text.
    let ends: [Int32]
    /// The byte that leads to a node, how many lead to it in all, and where its subtree ends.
    let bytes: [UInt8]
    let depths: [UInt8]
    let skips: [Int32]
    /// The token that ends at a node, -1 for none; others of the same text are `twins`.
    let tokens: [Int32]
    let twins: [Int32: [Int32]]
    /// Each token's text: `texts[starts[token]..<starts[token + 1]]`.
    private let texts: [UInt8]
    private let starts: [Int32]

    /// Longer tokens, mostly runs of blanks, are never allowed; a depth then fits a byte.
    static let longest = 255

    /// - Parameters:
    ///   - append: appends the bytes that a token stands for in text; none for control tokens.
    ///   - isEnd: whether a token ends a text.
    public init(count: Int, append: (Int32, inout [UInt8]) -> Void, isEnd: (Int32) -> Bool) {
        var texts: [UInt8] = []
        var starts: [Int32] = [0]
        starts.reserveCapacity(count + 1)
        var ends: [Int32] = []
        for token in 0..<Int32(clamping: count) {
            if isEnd(token) { ends.append(token) } else { append(token, &texts) }
            starts.append(Int32(clamping: texts.count))
        }
        vocabularyCount = count
        self.ends = ends
        self.texts = texts
        self.starts = starts
        var builder = Builder(texts: texts, starts: starts)
        builder.build()
        (bytes, depths, skips, tokens) = (builder.bytes, builder.depths, builder.skips, builder.tokens)
        twins = builder.twins
    }

    /// The bytes of a token in text.
    public func text(_ token: Int32) -> ArraySlice<UInt8> {
        guard token >= 0, Int(token) + 1 < starts.count else { return [] }
        return texts[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
    }

    /// The longest token that `text` begins with; nil when there is none.
    private func longestToken(_ text: ArraySlice<UInt8>) -> Int32? {
        var found: Int32?
        var node = -1
        for byte in text {
            guard let child = child(of: node, byte) else { break }
            node = child
            if tokens[child] >= 0 { found = tokens[child] }
        }
        return found
    }

    /// -1 is the root.
    func child(of node: Int, _ byte: UInt8) -> Int? {
        var child = node + 1
        let end = node < 0 ? bytes.count : Int(skips[node])
        while child < end {
            if bytes[child] == byte { return child }
            child = Int(skips[child])
        }
        return nil
    }

    /// `text` as tokens, the longest taken again and again; nil when one byte has no token.
    public func tokens(_ text: [UInt8]) -> [Int32]? {
        var tokens: [Int32] = []
        var rest = text[...]
        while !rest.isEmpty {
            guard let token = longestToken(rest) else { return nil }
            tokens.append(token)
            rest = rest.dropFirst(self.text(token).count)
        }
        return tokens
    }

    private struct Builder {
        let texts: [UInt8]
        let starts: [Int32]
        var bytes: [UInt8] = []
        var depths: [UInt8] = []
        var skips: [Int32] = []
        var tokens: [Int32] = []
        var twins: [Int32: [Int32]] = [:]
        /// Nodes on the way to the last text.
        private var path: [Int] = []

        init(texts: [UInt8], starts: [Int32]) {
            self.texts = texts
            self.starts = starts
        }

        private func text(_ token: Int32) -> ArraySlice<UInt8> {
            texts[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
        }

        mutating func build() {
            var order = (0..<Int32(starts.count - 1)).filter { (1...TokenTrie.longest).contains(text($0).count) }
            texts.withUnsafeBufferPointer { texts in
                func text(_ token: Int32) -> Slice<UnsafeBufferPointer<UInt8>> {
                    texts[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
                }
                order.sort { text($0).lexicographicallyPrecedes(text($1)) }
            }
            for token in order { add(token, text(token)) }
            close(to: 0)
        }

        private mutating func add(_ token: Int32, _ text: ArraySlice<UInt8>) {
            var shared = 0
            for byte in text {
                guard shared < path.count, bytes[path[shared]] == byte else { break }
                shared += 1
            }
            close(to: shared)
            for byte in text.dropFirst(shared) {
                path.append(bytes.count)
                bytes.append(byte)
                depths.append(UInt8(truncatingIfNeeded: path.count))
                skips.append(0)
                tokens.append(-1)
            }
            guard let node = path.last else { return }
            if tokens[node] < 0 { tokens[node] = token } else { twins[tokens[node], default: []].append(token) }
        }

        private mutating func close(to depth: Int) {
            while path.count > depth, let node = path.popLast() { skips[node] = Int32(truncatingIfNeeded: bytes.count) }
        }
    }
}
