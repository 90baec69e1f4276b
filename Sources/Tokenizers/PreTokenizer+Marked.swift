extension TextRange {
    /// The end of the word at `start`, by DeepSeek 3's expression:
    ///
    ///     [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    ///
    /// Characters that it does not match, such as numbers, which are cut out before, stay together.
    func endOfMarkedWord(_ start: Int) -> Int {
        if let end = matchMarkedWord(start) { return end }
        var at = start
        repeat { at += character(at).length } while at < end && matchMarkedWord(at) == nil
        return at
    }

    private func matchMarkedWord(_ start: Int) -> Int? {
        let isWord = { (kind: CharacterClass) in kind == .letter || kind == .mark }
        let isSign = { (kind: CharacterClass) in kind == .punctuation || kind == .symbol }
        let first = character(start)
        let second = start + first.length
        if text[start] < 0x80, isSign(first.kind) {
            let word = endOfASCIILetters(second)
            if word > second { return word }
        }
        if isWord(first.kind) { return run(start, while: isWord) }
        if !isNewline(text[start]), !isSign(first.kind), let next = kind(second), isWord(next) {
            return run(second, while: isWord)
        }
        let signs = text[start] == Self.blank ? second : start
        if let kind = kind(signs), isSign(kind) {
            var at = run(signs, while: isSign)
            while at < end, isNewline(text[at]) { at += 1 }
            return at
        }
        return first.kind == .space ? endOfLine(start) ?? endOfSpace(start) : nil
    }

    private func endOfASCIILetters(_ start: Int) -> Int {
        var at = start
        while at < end, (text[at] | 0x20) &- 0x61 < 26 { at += 1 }
        return at
    }
}
