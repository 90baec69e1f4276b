/// The writing of SentencePiece's vocabularies, and of BERT's in GGUF: a space is "▁" (U+2581).
enum EscapedSpace {
    /// The UTF-8 of U+2581.
    static let mark: [UInt8] = [0xE2, 0x96, 0x81]

    /// Whether a mark begins at `at`.
    @inline(__always)  // Asked for every character of a text.
    static func isMark(_ bytes: [UInt8], _ at: Int) -> Bool {
        at + 3 <= bytes.count && bytes[at] == 0xE2 && bytes[at + 1] == 0x96 && bytes[at + 2] == 0x81
    }

    /// The bytes with marks for spaces.
    static func escaped(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var written: [UInt8] = []
        written.reserveCapacity(bytes.count + 8)
        for byte in bytes {
            if byte == 0x20 { written += mark } else { written.append(byte) }
        }
        return written
    }

    /// Calls `body` with each byte that the token `text` stands for: its own, with spaces for marks.
    static func forEachByte(of text: UnsafeRawBufferPointer, _ body: (UInt8) -> Void) {
        var at = 0
        while at < text.count {
            if at + 3 <= text.count, text[at] == 0xE2, text[at + 1] == 0x96, text[at + 2] == 0x81 {
                body(0x20)
                at += 3
            } else {
                body(text[at])
                at += 1
            }
        }
    }
}

/// Tokens of single bytes, for characters outside the vocabulary: they are written `<0x0A>`.
enum ByteToken {
    /// How the token of a byte is written.
    static func text(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)], 0x3E]
    }

    /// The byte of a token; nil when it is not written so.
    static func byte(of text: UnsafeRawBufferPointer) -> UInt8? {
        guard text.count == 6, text.starts(with: "<0x".utf8), text[5] == 0x3E else { return nil }
        guard let high = digit(text[3]), let low = digit(text[4]) else { return nil }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
