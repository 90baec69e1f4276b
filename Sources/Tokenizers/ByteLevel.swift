/// The alphabet of GPT-2's byte-level vocabularies: each byte is written as one printable character.
///
/// The 188 bytes that Latin-1 prints (33–126, 161–172, 174–255) stand for themselves; the other 68 follow, in order,
/// from U+0100 on, so that a space is written "Ġ". Source: `bytes_to_unicode` in OpenAI's gpt-2 encoder.py.
enum ByteLevel {
    /// The byte that a character of the alphabet stands for; nil for any other character.
    static func byte(of scalar: UInt32) -> UInt8? {
        switch scalar {
        case 33...126, 161...172, 174...255: UInt8(scalar)
        case 256...288: UInt8(scalar - 256)  // 0...32
        case 289...322: UInt8(scalar - 289 + 127)  // 127...160
        case 323: 173
        default: nil
        }
    }

    /// Calls `body` with each byte that the token `text` stands for.
    ///
    /// A character outside the alphabet, which only a damaged or hand-made vocabulary holds, stands for its own UTF-8.
    static func forEachByte(of text: UnsafeRawBufferPointer, _ body: (UInt8) -> Void) {
        var at = 0
        while at < text.count {
            let lead = text[at]
            if lead < 0x80 {
                body(lead)
                at += 1
                continue
            }
            // The alphabet lies below U+0144: two bytes of UTF-8 at most.
            if lead & 0xE0 == 0xC0, at + 1 < text.count {
                let scalar = UInt32(lead & 0x1F) << 6 | UInt32(text[at + 1] & 0x3F)
                if let byte = byte(of: scalar) {
                    body(byte)
                    at += 2
                    continue
                }
            }
            body(lead)
            at += 1
        }
    }

    /// Calls `body` with the one or two bytes of UTF-8 that `byte` is written as.
    @inline(__always)  // Runs for every byte of every word where whole words are looked up.
    static func forEachByte(ofWritten byte: UInt8, _ body: (UInt8) -> Void) {
        let scalar: UInt32 =
            switch byte {
            case 0...32: 256 + UInt32(byte)
            case 33...126: UInt32(byte)
            case 127...160: 289 + UInt32(byte - 127)
            case 173: 323
            default: UInt32(byte)
            }
        if scalar < 0x80 {
            body(UInt8(scalar))
        } else {
            body(0xC0 | UInt8(scalar >> 6))
            body(0x80 | UInt8(scalar & 0x3F))
        }
    }
}
