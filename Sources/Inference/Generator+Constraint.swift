import Constraints
import Linux
import Tokenizers

extension Model {
    /// A grammar in this model's tokens; share it between generations, its masks are kept.
    public func constraint(_ grammar: Grammar) throws(TokenizerError) -> Constraint {
        let tokenizer = try tokenizer
        let count = min(tokenizer.vocabularyCount, vocabularyCount)
        return tokenTrie.withLock { trie in
            let known =
                trie
                ?? TokenTrie(count: count) {
                    tokenizer.append($0, to: &$1)
                } isEnd: {
                    tokenizer.isEndOfGeneration($0)
                }
            trie = known
            return Constraint(grammar, known)
        }
    }
}

extension Generator {
    /// Begins to follow a constraint; throws when no text that it allows fits.
    mutating func follow(_ constraint: Constraint, promptTokens: Int) throws(GenerationError) {
        var guide = ConstraintState(constraint)
        let room = min(limit, session.usableContext - session.count - promptTokens + 1)
        // A prompt that does not fit has an error of its own.
        guard room > 0 else { return }
        guard let (_, tokens) = guide.completion() else { throw .constraintUnwritable }
        guard tokens <= room else { throw .constraintTooLong(tokens: tokens, room: room) }
        self.guide = guide
    }

    /// One step under a constraint. Always true: the text can be completed in `room` tokens.
    ///
    /// Text without a choice is written as the tokenizer splits it, without asking the model, and computed in one pass
    /// with what follows. The last token of it is left to the model where a longer one could stand in its place, as the
    /// split of a text may change at its end and there only.
    mutating func constrainedStep() throws(GenerationError) -> String {
        let start = monotonicNanoseconds()
        if guide?.isFinished ?? true { return end(.endOfGeneration) }
        if let text = writeForced() {
            constraintNanoseconds += monotonicNanoseconds() - start
            return text
        }
        guard var mask = guide?.allowed() else { return end(.endOfGeneration) }
        constraintNanoseconds += monotonicNanoseconds() - start
        guard try computePending() else { return end(.cancelled) }
        let logits = session.logits()
        while mask.count > 0 {
            let token = sampler.sample(logits, recent: recent.suffix(Self.memory), allowed: mask)
            // Without any number among the logits the sampler answers 0.
            guard mask.contains(token) else { break }
            if tokenizer.isEndOfGeneration(token) { return end(.endOfGeneration) }
            let start = monotonicNanoseconds()
            let left = room - 1
            let verdict = guide?.take(token, room: left)
            constraintNanoseconds += monotonicNanoseconds() - start
            if verdict == .taken { return write(token) }
            if verdict == .tooLong { break }
            mask.remove(token)
        }
        return writeCompletion()
    }

    /// Writes text that has no alternative; nil when the model is to choose.
    private mutating func writeForced() -> String? {
        guard let forced = guide?.forced(), !forced.isEmpty else { return nil }
        // Text from a schema: nothing in it is a control token.
        var tokens = tokenizer.encode(bytes: forced, addSpecial: false, parseSpecial: false)
        // Some tokenizers put a blank before every text, and a cut character cannot be read: then the longest tokens.
        if bytes(of: tokens[...]) != forced { tokens = guide?.constraint.trie.tokens(forced) ?? [] }
        guard let last = tokens.last else { return nil }
        var written = bytes(of: tokens.dropLast())
        if guide?.hasLongerChoice(than: last, behind: written[...]) ?? true {
            tokens.removeLast()
        } else {
            written = forced
        }
        let left = room - tokens.count
        guard !tokens.isEmpty, guide?.take(written, room: left) == .taken else { return nil }
        return tokens.reduce(into: "") { $0 += write($1) }
    }

    private func bytes(of tokens: ArraySlice<Int32>) -> [UInt8] {
        // The trie's texts: none for tokens that end a text or have no embedding, which must not be written.
        tokens.reduce(into: []) { $0 += guide?.constraint.trie.text($1) ?? [] }
    }

    /// The nearest end of the text: what is left of the limits allows no more.
    private mutating func writeCompletion() -> String {
        guard let (text, tokens) = guide?.completion() else { return end(.tokenLimit) }
        let piece = write(last: text, tokens: tokens)
        _ = end(.tokenLimit)
        return piece
    }
}
