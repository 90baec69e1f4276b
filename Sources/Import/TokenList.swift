import GGUF

/// A vocabulary on its way into GGUF: a text, a score and a kind for each id.
struct TokenList {
    /// Nil where no token has the id.
    private(set) var texts: [String?]
    private(set) var scores: [Float]
    private(set) var kinds: [TokenKind]

    /// Ids above this are no vocabulary but a mistake; the largest have 262,144 tokens.
    static let largest = 1 << 20

    init() { (texts, scores, kinds) = ([], [], []) }

    /// Sets the token of an id; false when the id is out of all reason.
    mutating func set(_ id: Int, _ text: String, score: Float = 0, _ kind: TokenKind = .normal) -> Bool {
        guard (0..<Self.largest).contains(id) else { return false }
        if id >= texts.count {
            let missing = id + 1 - texts.count
            texts += [String?](repeating: nil, count: missing)
            scores += [Float](repeating: 0, count: missing)
            kinds += [TokenKind](repeating: .unused, count: missing)
        }
        (texts[id], scores[id], kinds[id]) = (text, score, kind)
        return true
    }

    /// Brings the list to `count` ids, with tokens that never occur in text in the gaps.
    mutating func fill(to count: Int) {
        while texts.count < count {
            texts.append(nil)
            scores.append(0)
            kinds.append(.unused)
        }
        for id in texts.indices where texts[id] == nil {
            (texts[id], scores[id], kinds[id]) = ("[PAD\(id)]", -10_000, .unused)
        }
    }

    /// Drops ids from `count` on.
    mutating func cut(to count: Int) {
        guard texts.count > count else { return }
        texts.removeLast(texts.count - count)
        scores.removeLast(scores.count - count)
        kinds.removeLast(kinds.count - count)
    }

    func write(to writer: inout GGUFWriter, withScores: Bool) {
        writer.set("tokenizer.ggml.tokens", .strings(texts.map { $0 ?? "" }))
        if withScores { writer.set("tokenizer.ggml.scores", .floats(scores)) }
        writer.set("tokenizer.ggml.token_type", .int32s(kinds.map(\.rawValue)))
    }
}
