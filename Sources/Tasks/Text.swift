/// Without blanks at both ends.
func trimmed(_ text: String) -> String {
    var text = text[...]
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
}

// Two functions that Foundation and the string-processing library also have: neither is worth its megabytes here.
extension String {
    /// Where `part` first stands; nil for nowhere or nothing to look for.
    func range(of part: String) -> Range<Index>? {
        let part = Array(part.utf8)
        guard let first = part.first else { return nil }
        var start = utf8.startIndex
        while let at = utf8[start...].firstIndex(of: first) {
            if utf8[at...].starts(with: part) { return at..<utf8.index(at, offsetBy: part.count) }
            start = utf8.index(after: at)
        }
        return nil
    }

    /// With every `part` replaced.
    func replacing(_ part: String, with other: String) -> String {
        var result = ""
        var rest = self[...]
        while let range = String(rest).range(of: part) {
            let text = String(rest)
            result += text[..<range.lowerBound] + other
            rest = text[range.upperBound...]
        }
        return result + rest
    }
}
