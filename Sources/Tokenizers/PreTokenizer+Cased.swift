/// What tells the relatives of GPT-4o's expression apart.
struct CasedWords: Sendable, Equatable {
    /// The most digits one piece holds: `\p{N}{1,3}` or `\p{N}`.
    var digits: Int
    /// English contractions belong to the word before them.
    var contractions = false
}

extension TextRange {
    /// What a character can be in a word: its beginning in capitals, its rest in small letters, or both, as letters
    /// without case and marks can.
    private enum Case {
        case upper, lower, both, none

        var beginsWord: Bool { self == .upper || self == .both }
        var endsWord: Bool { self == .lower || self == .both }
    }

    private func letterCase(_ index: Int) -> Case {
        let byte = text[index]
        if byte < 0x80 { return byte &- 0x61 < 26 ? .lower : byte &- 0x41 < 26 ? .upper : .none }
        switch Unicode.Scalar(scalar(index))?.properties.generalCategory {
        case .uppercaseLetter, .titlecaseLetter: return .upper
        case .lowercaseLetter: return .lower
        case .modifierLetter, .otherLetter, .nonspacingMark, .spacingMark, .enclosingMark: return .both
        default: return .none
        }
    }

    /// The end of the word at `start`, by Mistral's tekken expression and GPT-4o's (three digits, and after words
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`):
    ///
    ///     [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+
    ///     |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*
    ///     |\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
    ///
    /// llama.cpp counts every letter outside ASCII as both cases; this follows the models' own expression.
    func endOfCasedWord(_ start: Int, _ words: CasedWords) -> Int {
        let first = character(start)
        let second = start + first.length
        let prefixes = first.kind != .letter && first.kind != .number && !isNewline(text[start])
        let word =
            (prefixes ? endOfSmallWord(second) : nil) ?? endOfSmallWord(start)
            ?? (prefixes ? endOfCapitals(second) : nil) ?? endOfCapitals(start)
        if let word {
            guard words.contractions, word < end, text[word] == Self.apostrophe else { return word }
            return contraction(word, anyCase: true) ?? word
        }
        if first.kind == .number { return endOfNumber(start, words.digits) }
        let symbols = text[start] == Self.blank ? second : start
        let isSymbol = { (kind: CharacterClass) in kind != .space && kind != .number && kind != .letter }
        if let kind = kind(symbols), isSymbol(kind) {
            var at = run(symbols, while: isSymbol)
            while at < end, isNewline(text[at]) || text[at] == 0x2F { at += 1 }
            return at
        }
        return endOfLine(start) ?? endOfSpace(start)
    }

    /// Capitals, then at least one small letter; nil when there is none. Where the run of capitals ends without one, it
    /// goes back to the last character that can be either.
    private func endOfSmallWord(_ start: Int) -> Int? {
        var at = start
        var afterLastBoth: Int?
        while at < end {
            let letter = letterCase(at)
            guard letter.beginsWord else { break }
            at += character(at).length
            if letter == .both { afterLastBoth = at }
        }
        let small = endOfSmallLetters(at)
        return small > at ? small : afterLastBoth
    }

    private func endOfCapitals(_ start: Int) -> Int? {
        var at = start
        while at < end, letterCase(at).beginsWord { at += character(at).length }
        return at > start ? endOfSmallLetters(at) : nil
    }

    private func endOfSmallLetters(_ start: Int) -> Int {
        var at = start
        while at < end, letterCase(at).endsWord { at += character(at).length }
        return at
    }
}
