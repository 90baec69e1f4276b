/// What tells the relatives of llama 3's expression apart.
struct ModernWords: Sendable, Equatable {
    /// The most digits one piece holds: `\p{N}{1,3}` or `\p{N}`.
    var digits: Int
    /// `\p{M}` counts as a letter.
    var marksAreLetters = false
    /// Newlines after symbols belong to them.
    var newlinesAfterSymbols = true
    /// English contractions are pieces of their own.
    var contractions = true
}

extension TextRange {
    static let apostrophe: UInt8 = 0x27
    static let blank: UInt8 = 0x20

    /// The end of the word at `start`, by GPT-2's expression:
    ///
    ///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    func endOfGPT2Word(_ start: Int) -> Int {
        if text[start] == Self.apostrophe, let end = contraction(start, anyCase: false) { return end }
        let body = text[start] == Self.blank ? start + 1 : start
        switch kind(body) {
        case .letter: return run(body) { $0 == .letter }
        case .number: return run(body) { $0 == .number }
        case .mark, .punctuation, .symbol, .other:
            return run(body) { $0 != .letter && $0 != .number && $0 != .space }
        case .space, nil: return endOfSpace(start)
        }
    }

    /// The end of the word at `start`, by llama 3's expression and its relatives (qwen 2: one digit):
    ///
    ///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
    ///     |\s*[\r\n]+|\s+(?!\S)|\s+
    func endOfModernWord(_ start: Int, _ words: ModernWords) -> Int {
        let byte = text[start]
        if words.contractions, byte == Self.apostrophe, let end = contraction(start, anyCase: true) { return end }
        let isLetter = { (kind: CharacterClass) in kind == .letter || words.marksAreLetters && kind == .mark }
        let first = character(start)
        if isLetter(first.kind) { return run(start, while: isLetter) }
        if first.kind == .number { return endOfNumber(start, words.digits) }
        let second = start + first.length
        let next = kind(second)
        if !isNewline(byte), let next, isLetter(next) { return run(second, while: isLetter) }
        let isSymbol = { (kind: CharacterClass) in kind != .space && kind != .number && !isLetter(kind) }
        if isSymbol(first.kind) || byte == Self.blank && (next.map(isSymbol) ?? false) {
            var end = run(byte == Self.blank ? second : start, while: isSymbol)
            while words.newlinesAfterSymbols, end < self.end, isNewline(text[end]) { end += 1 }
            return end
        }
        return endOfLine(start) ?? endOfSpace(start)
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`.
    func contraction(_ start: Int, anyCase: Bool) -> Int? {
        let fold: UInt8 = anyCase ? 0x20 : 0
        guard start + 1 < end else { return nil }
        let first = text[start + 1] | fold
        switch first {
        case 0x73, 0x74, 0x6D, 0x64: return start + 2  // s t m d
        case 0x72, 0x76, 0x6C:  // r v l
            guard start + 2 < end else { return nil }
            let second = text[start + 2] | fold
            return second == (first == 0x6C ? 0x6C : 0x65) ? start + 3 : nil  // ll, re, ve
        default: return nil
        }
    }

    func endOfNumber(_ start: Int, _ most: Int) -> Int {
        var at = start
        var count = 0
        while count < most, kind(at) == .number {
            at += character(at).length
            count += 1
        }
        return at
    }

    /// `\s*[\r\n]+`: white space through the last newline of the run, or nil without one.
    func endOfLine(_ start: Int) -> Int? {
        var at = start
        var last: Int?
        while at < end {
            let character = character(at)
            if character.kind != .space { break }
            if isNewline(text[at]) { last = at + 1 }
            at += character.length
        }
        return last
    }

    /// `\s+(?!\S)|\s+`: white space, but for its last character when a word follows that could take it.
    ///
    /// Always passes over at least one character, so that scanning ends whatever the text.
    func endOfSpace(_ start: Int) -> Int {
        var at = start
        var beforeLast = start
        while at < end {
            let character = character(at)
            if character.kind != .space { return beforeLast > start ? beforeLast : max(at, start + 1) }
            beforeLast = at
            at += character.length
        }
        return at
    }

    func isNewline(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
}
