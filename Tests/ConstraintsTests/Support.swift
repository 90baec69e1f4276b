import JSON

@testable import Constraints

extension Grammar {
    /// Whether a whole text is allowed, byte by byte.
    func accepts(_ text: some Sequence<UInt8>) -> Bool {
        var machine = Machine(self)
        var state = machine.start
        for byte in text {
            state = machine.step(state, byte)
            if state == Machine.nothing { return false }
        }
        return machine.isComplete(state)
    }

    func accepts(_ text: String) -> Bool { accepts(text.utf8) }

    static func schema(_ text: String) throws -> Grammar { try Grammar(schema: Array(text.utf8)) }
}

/// All texts of up to `length` letters.
func texts(over letters: [String], upTo length: Int) -> [String] {
    var all = [""]
    var last = [""]
    for _ in 0..<length {
        last = last.flatMap { text in letters.map { text + $0 } }
        all += last
    }
    return all
}

/// SplitMix64: the same tests everywhere.
struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }
}

/// A vocabulary of all bytes, of pieces that JSON is made of, and of pieces that cut characters.
func testTrie() -> TokenTrie {
    var tokens: [[UInt8]] = (0...255).map { [UInt8($0)] }
    let pieces = [
        "{\"", "\":", " \"", "\",", "\", \"", "\"}", "],", "[{", "}]", "true", "false", "null", "12", "0.", ".5", "-1",
        "name", "na", "me\"", "abc", "ab", " a", "é", "né", "日本", "😀", "20", "2024-", "T12:", "\\n", "\\\"", "a\":",
        "ab", ": {\"",
    ]
    tokens += pieces.map { Array($0.utf8) }
    tokens += [[0xE6, 0x97], [0xA5, 0x22], [0xF0, 0x9F], [0x98, 0x80], [0x61, 0xC3], [0xC3, 0xA9, 0xC3]]
    let end = tokens.count
    return TokenTrie(count: end + 1) { token, bytes in
        if Int(token) < end { bytes += tokens[Int(token)] }
    } isEnd: {
        Int($0) == end
    }
}
