/// A sentence as words and numbers in order, for what the words say about the numbers.
struct SentenceWords {
    /// Lower-case words, numbers not among them.
    let words: [String]
    let numbers: [WrittenNumber]
    private let items: [(word: String, place: Int)]
    /// Bytes at which a clause ends: words beyond say nothing about a number.
    private let clauseEnds: [Int]
    private let percentSigns: Set<Int>

    init(_ sentence: String) {
        let bytes = Array(sentence.utf8)
        numbers = writtenNumbers(sentence)
        var items: [(word: String, place: Int)] = []
        var position = 0
        while position < bytes.count {
            let start = position
            while position < bytes.count, Self.isLetter(bytes[position]) { position += 1 }
            if position > start {
                items.append((String(decoding: bytes[start..<position], as: UTF8.self).lowercased(), start))
            } else {
                position += 1
            }
        }
        let places = numbers.map(\.place)
        self.items = items.filter { item in !places.contains { $0.contains(item.place) } }
        words = self.items.map(\.word)
        percentSigns = Set(bytes.indices.filter { bytes[$0] == UInt8(ascii: "%") })
        clauseEnds = bytes.indices.filter { at in
            switch bytes[at] {
            case UInt8(ascii: ";"), UInt8(ascii: "("), UInt8(ascii: ")"): true
            // The comma of 1,234 belongs to its number.
            case UInt8(ascii: ","), UInt8(ascii: ":"): !places.contains { $0.contains(at) }
            default: false
            }
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) || byte >= 0x80 }

    /// Lower-case words of three letters and more.
    static func words(_ text: String) -> [String] { SentenceWords(text).words.filter { $0.utf8.count > 2 } }

    /// The text cut behind full stops, question and exclamation marks and at line ends; not inside 21.5.
    static func sentences(_ text: String) -> [String] {
        var sentences: [String] = []
        var current = ""
        var ends = false
        for character in text {
            if character.isNewline || ends && character.isWhitespace {
                sentences.append(current)
                current = ""
            }
            ends = ".!?".contains(character)
            current.append(character)
        }
        return (sentences + [current]).filter { !$0.isEmpty }
    }

    var speaksOfMinus: Bool { words.contains { ["below", "minus", "negative"].contains($0) } }

    /// Whether "pm" follows a time.
    func isAfternoon(_ number: WrittenNumber) -> Bool {
        ["pm", "p"].contains(neighbours(after: number.place.upperBound).first)
    }

    // MARK: What a number must be

    /// The roles that the words around a number leave it.
    func role(of number: WrittenNumber) -> Grounding.Role {
        let end = number.place.upperBound
        let following = neighbours(after: end)
        if percentSigns.contains(end) || percentSigns.contains(end + 1) || following.first == "percent" {
            return [.percent, .reading, .lowest, .highest, .mean, .text]
        }
        if let next = following.first, Self.durations.contains(next) { return [.duration, .text, .reading] }
        if following.prefix(2).contains(where: Self.counted.contains) { return [.count, .text] }
        for word in [following.first].compactMap({ $0 }) + neighbours(before: number.place.lowerBound) {
            if let role = Self.roles[word] { return role.union(.text) }
        }
        return .any
    }

    private static let roles: [String: Grounding.Role] = {
        var roles: [String: Grounding.Role] = [:]
        for word in ["average", "averages", "averaged", "averaging", "mean", "avg"] { roles[word] = .mean }
        for word in ["highest", "maximum", "max", "peak", "peaked", "peaking", "high", "warmest", "hottest"] {
            roles[word] = .highest
        }
        for word in ["lowest", "minimum", "min", "low", "coldest", "coolest"] { roles[word] = .lowest }
        return roles
    }()

    private static let counted: Set<String> = [
        "event", "events", "reading", "readings", "times", "messages", "values", "measurements", "samples", "updates",
        "reports", "alerts", "occurrences", "detections", "records", "entries", "sensors", "devices", "topics",
    ]
    private static let durations: Set<String> = [
        "second", "seconds", "minute", "minutes", "min", "mins", "hour", "hours", "day", "days",
    ]

    /// Up to two words behind a place, as far as the next number or the clause's end.
    private func neighbours(after place: Int) -> [String] {
        let limit = (clauseEnds + numbers.map(\.place.lowerBound)).filter { $0 >= place }.min() ?? .max
        return items.filter { $0.place >= place && $0.place < limit }.prefix(2).map(\.word)
    }

    /// Up to four words before a place, the nearest first, as far as the last number or the clause's beginning.
    private func neighbours(before place: Int) -> [String] {
        let limit = (clauseEnds + numbers.map(\.place.upperBound)).filter { $0 <= place }.max() ?? 0
        return items.filter { $0.place < place && $0.place >= limit }.suffix(4).reversed().map(\.word)
    }
}
