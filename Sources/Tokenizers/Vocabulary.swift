import GGUF

/// The tokens of a model: their text in the mapped file, and a table that finds a token by its text
/// as written there.
///
/// Memory per token: 4 bytes to find its text, 1 for its kind, and 5–10 in the table. Texts are never copied.
struct Vocabulary: Sendable {
    /// Tokens are packed in 20 bits here and in `MergeTable`; the largest vocabularies hold some 262,000.
    static let largest = (1 << 20) - 2

    /// How the file writes the text of normal tokens.
    enum Writing: Sendable {
        /// In GPT-2's alphabet of bytes.
        case byteLevel
        /// As it is, but for spaces, which are "▁" (U+2581).
        case escapedSpaces
    }

    let texts: GGUFStringArray
    private(set) var kinds: [TokenKind]
    /// User-defined tokens that only markup may become.
    private(set) var markup: Set<Int32> = []
    let writing: Writing
    /// Bytes of the longest token, as it is written.
    private(set) var longest = 0
    /// Open addressing: 12 bits of hash and 20 bits of token + 1; 0 is free. At most 3/4 full.
    private var slots: [UInt32]

    var count: Int { texts.count }

    init(_ file: GGUFFile, _ writing: Writing) throws(TokenizerError) {
        // Numbers of elements first, here and below: arrays of a file may be much longer than a vocabulary.
        if let count = file.type(of: "tokenizer.ggml.tokens")?.count, count > Self.largest {
            throw TokenizerError(
                unsupported: file.path, "it holds \(count) tokens", "At most \(Self.largest) are supported")
        }
        guard let texts = file.strings("tokenizer.ggml.tokens"), !texts.isEmpty else {
            throw TokenizerError(absent: file.path, "tokenizer.ggml.tokens is missing")
        }
        self.texts = texts
        self.writing = writing
        kinds = try Self.kinds(file, count: texts.count)
        slots = [UInt32](repeating: 0, count: tableSize(texts.count))
        for token in 0..<texts.count { insert(UInt32(token)) }
    }

    private static func kinds(_ file: GGUFFile, count: Int) throws(TokenizerError) -> [TokenKind] {
        let key = "tokenizer.ggml.token_type"
        if let kind = file.type(of: key), kind.type == .array, kind.count != count {
            throw TokenizerError(damaged: file.path, "it has \(count) tokens, but \(kind.count) token types")
        }
        guard let types = file.integers(key) else { return [TokenKind](repeating: .normal, count: count) }
        return types.map { TokenKind(rawValue: Int32(clamping: $0)) ?? .normal }
    }

    func kind(_ token: Int) -> TokenKind { kinds[token] }

    /// Whether text may become this token without being asked to.
    func isText(_ token: Int) -> Bool {
        kinds[token] == .normal || kinds[token] == .userDefined && !markup.contains(Int32(token))
    }

    /// Marks a token the file failed to mark as control, for example `<|im_end|>`.
    mutating func markControl(_ token: Int32) {
        kinds[Int(token)] = .control
    }

    /// Marks a user-defined token as what a template writes, for example `<|im_start|>`; it is found in markup only.
    mutating func markMarkup(_ token: Int32) { markup.insert(token) }

    /// Calls `body` with each byte of a token, as it stands in text.
    func forEachByte(of token: Int, _ body: (UInt8) -> Void) {
        let text = texts[token]
        switch (kinds[token], writing) {
        case (.byte, _): if let byte = ByteToken.byte(of: text) { body(byte) }
        case (.normal, .byteLevel): ByteLevel.forEachByte(of: text, body)
        case (.normal, .escapedSpaces): EscapedSpace.forEachByte(of: text, body)
        default: for byte in text { body(byte) }
        }
    }

    /// The token whose bytes are exactly `bytes`; of equal tokens the last.
    func token(for bytes: ArraySlice<UInt8>) -> Int32? {
        switch writing {
        case .byteLevel:
            var hash = Hash()
            for byte in bytes { ByteLevel.forEachByte(ofWritten: byte) { hash.add($0) } }
            if let token = find(hash.value, { isByteLevel($0, bytes) }) { return token }
        case .escapedSpaces:
            let written = EscapedSpace.escaped(bytes)
            if let token = token(written: written, 0..<written.count), kinds[Int(token)] == .normal { return token }
        }
        // Control and user-defined tokens are written as they are.
        var hash = Hash()
        for byte in bytes { hash.add(byte) }
        return find(hash.value) { kinds[$0] != .normal && texts[$0].elementsEqual(bytes) }
    }

    /// The token that is written in the file as `bytes[range]`.
    @inline(__always)  // Called for every pair of symbols of every new word.
    func token(written bytes: [UInt8], _ range: Range<Int>) -> Int32? {
        var hash = Hash()
        for index in range { hash.add(bytes[index]) }
        return token(written: bytes, range, hash)
    }

    /// The same where the hash of the bytes is known.
    @inline(__always)  // See above.
    func token(written bytes: [UInt8], _ range: Range<Int>, _ hash: Hash) -> Int32? {
        find(hash.value) { token in
            let text = texts[token]
            guard text.count == range.count else { return false }
            for offset in 0..<text.count where text[offset] != bytes[range.lowerBound + offset] { return false }
            return true
        }
    }

    /// The token that is written in the file as the two texts after each other.
    func token(written first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer? = nil) -> Int32? {
        var hash = Hash()
        for byte in first { hash.add(byte) }
        if let second { for byte in second { hash.add(byte) } }
        let count = first.count + (second?.count ?? 0)
        return find(hash.value) { token in
            let text = texts[token]
            guard text.count == count, text.starts(with: first) else { return false }
            return second.map { text.dropFirst(first.count).elementsEqual($0) } ?? true
        }
    }

    /// Whether a token is written as these bytes are in the byte-level alphabet.
    private func isByteLevel(_ token: Int, _ bytes: ArraySlice<UInt8>) -> Bool {
        let text = texts[token]
        var at = 0
        var same = true
        for byte in bytes {
            ByteLevel.forEachByte(ofWritten: byte) {
                same = same && at < text.count && text[at] == $0
                at += 1
            }
        }
        return same && at == text.count
    }

    @inline(__always)  // Removes the closure call from the loading loop.
    private func find(_ hash: UInt64, _ matches: (Int) -> Bool) -> Int32? {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        let tag = UInt32(truncatingIfNeeded: hash >> 52) << 20
        while slots[slot] != 0 {
            if slots[slot] & 0xFFF0_0000 == tag {
                let token = Int(slots[slot] & 0xF_FFFF) - 1
                if matches(token) { return Int32(token) }
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    private mutating func insert(_ token: UInt32) {
        let text = texts[Int(token)]
        longest = max(longest, text.count)
        var hash = Hash()
        for byte in text { hash.add(byte) }
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash.value) & mask
        let tag = UInt32(truncatingIfNeeded: hash.value >> 52) << 20
        while slots[slot] != 0 {
            let other = Int(slots[slot] & 0xF_FFFF) - 1
            // Of equal tokens the last stays, as in llama.cpp.
            if slots[slot] & 0xFFF0_0000 == tag, texts[other].elementsEqual(text) { break }
            slot = (slot + 1) & mask
        }
        slots[slot] = tag | (token + 1)
    }
}

/// FNV-1a with a final mix; fast enough for words and free of tables. Not for keys an attacker picks: a hostile
/// vocabulary can make its own loading slow, nothing else.
struct Hash {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    @inline(__always)  // One xor and one multiplication.
    mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }

    var value: UInt64 {
        let mixed = (state ^ (state >> 32)) &* 0x9E37_79B9_7F4A_7C15
        return mixed ^ (mixed >> 29)
    }
}

/// The power of two that leaves a table of `count` entries at most 3/4 full.
func tableSize(_ count: Int) -> Int {
    var size = 16
    while size / 4 * 3 < count { size *= 2 }
    return size
}
