/// Comparisons of tokens byte by byte.
///
/// Swift's own compare characters: `"##ा".hasPrefix("##")` is false because the vowel sign joins the second #, and two
/// spellings of é are equal. To a tokenizer they are different tokens.
extension String {
    func begins(_ prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

    func ends(_ suffix: String) -> Bool { utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }

    func same(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    /// Without its first `count` bytes, which must be whole characters' bytes.
    func dropping(_ count: Int) -> String { String(decoding: utf8.dropFirst(count), as: UTF8.self) }

    /// Every `old` in it, an unaccented character, as `new`.
    func replacing(scalar old: Unicode.Scalar, with new: Unicode.Scalar) -> String {
        guard unicodeScalars.contains(old) else { return self }
        var result = ""
        result.unicodeScalars.append(contentsOf: unicodeScalars.lazy.map { $0 == old ? new : $0 })
        return result
    }
}
