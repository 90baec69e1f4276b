/// Parsers for the few text shapes `/proc` and `/sys` use.
///
/// A captured or damaged tree can hold anything, so every number is range-checked here, once, and a collector
/// gets nil instead of a value that could overflow later.
enum KernelText {
    /// Counters above this are damage, not measurements: 2^56 bytes or ticks are out of any board's reach, and
    /// sums of a few such numbers still fit an Int64.
    static let largest: Int64 = 1 << 56

    /// A non-negative whole number the collectors can add and scale without overflow, or nil.
    static func count<Text: StringProtocol>(_ text: Text?) -> Int64? {
        guard let text, let value = Int64(text), (0...largest).contains(value) else { return nil }
        return value
    }

    /// A finite, non-negative decimal number below 10^12, or nil; `Double` alone would accept `nan`, `inf` and hex.
    static func decimal<Text: StringProtocol>(_ text: Text?) -> Double? {
        guard let text, let first = text.utf8.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return nil
        }
        guard !text.utf8.contains(UInt8(ascii: "x")), let value = Double(text), value.isFinite, value < 1e12 else {
            return nil
        }
        return value
    }

    /// Words between blanks of one line.
    static func words<Text: StringProtocol>(_ line: Text) -> [Text.SubSequence] {
        line.split { $0 == " " || $0 == "\t" }
    }

    /// The kB values of `Key:   123 kB` lines, the shape of `/proc/meminfo` and `/proc/<pid>/status`.
    static func kilobytes(_ lines: [Substring], keys: Set<String>) -> [String: Int64] {
        var found: [String: Int64] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let key = String(line[..<colon])
            guard keys.contains(key) else { continue }
            let words = words(line[line.index(after: colon)...])
            guard words.count == 2, words[1] == "kB", let value = count(words[0]) else { continue }
            found[key] = value
        }
        return found
    }

    /// The values of `key 123` lines, the shape of cgroup's flat keyed files.
    static func flatKeyed(_ lines: [Substring], keys: Set<String>) -> [String: Int64] {
        var found: [String: Int64] = [:]
        for line in lines {
            let words = words(line)
            guard words.count == 2, keys.contains(String(words[0])), let value = count(words[1]) else { continue }
            found[String(words[0])] = value
        }
        return found
    }
}

extension Double {
    /// Rounded to `digits` decimals, so that a published 61.2 is not 61.234000000000002.
    func rounded(digits: Int) -> Double {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        return (self * scale).rounded() / scale
    }
}
