/// Bytes in, whole characters out: a token may end inside a character, and no piece of text may show half of one.
public struct TextStream: Sendable {
    private var bytes: [UInt8] = []

    public init() {}

    /// Takes bytes; the text that is complete now. Invalid bytes become U+FFFD.
    public mutating func append(_ more: [UInt8]) -> String {
        bytes += more
        let end = bytes.count - unfinished
        let text = String(decoding: bytes[..<end], as: UTF8.self)
        bytes.removeFirst(end)
        return text
    }

    /// What is left at the end: U+FFFD for half a character.
    public mutating func finish() -> String {
        defer { bytes = [] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Bytes at the end that begin a character and may yet become one.
    private var unfinished: Int {
        for length in 1...3 where length <= bytes.count {
            let byte = bytes[bytes.count - length]
            if byte & 0xC0 == 0x80 { continue }
            let needed =
                byte >= 0xF0 && byte <= 0xF4 ? 4 : byte >= 0xE0 && byte < 0xF0 ? 3 : byte >= 0xC2 && byte < 0xE0 ? 2 : 1
            return needed > length ? length : 0
        }
        return 0
    }
}
