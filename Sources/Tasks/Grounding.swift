import Linux

/// Which numbers a summary of a window may state.
///
/// A number is grounded when it occurs in the window, or is a count, mean, extreme, difference, share or duration derived
/// from it, rounded as the summary writes it. Words around it narrow that: an "average" must be a mean, "readings" are
/// counted, and a sentence that names a sensor speaks of that sensor. Names with digits and times of day must occur as
/// they are. Wrongly doubted numbers cost another wording; wrongly believed ones would be published.
struct Grounding {
    /// What a number is in its window.
    struct Role: OptionSet {
        let rawValue: Int
        /// Any reading of a series.
        static let reading = Role(rawValue: 1)
        static let lowest = Role(rawValue: 2)
        static let highest = Role(rawValue: 4)
        static let mean = Role(rawValue: 8)
        static let count = Role(rawValue: 16)
        /// A difference between readings.
        static let span = Role(rawValue: 32)
        /// A share or a change in percent.
        static let percent = Role(rawValue: 64)
        static let duration = Role(rawValue: 128)
        /// Stands in a text or a topic; nothing is known about what it means there.
        static let text = Role(rawValue: 256)
        static let sum = Role(rawValue: 512)
        /// Stands in a name or a date.
        static let name = Role(rawValue: 1024)
        static let any: Role = [
            .reading, .lowest, .highest, .mean, .count, .span, .duration, .text, .sum, .name,
        ]
    }

    private struct Fact {
        var value: Double
        var role: Role
        /// The series it belongs to; nil for the window as a whole.
        var series: Int?
    }

    private var facts: [Fact] = []
    private var verbatim: Set<String>
    /// For every series the words that tell it from others.
    private var names: [Set<String>] = []

    init(_ digest: WindowDigest) {
        verbatim = Set(digest.verbatim.map { $0.lowercased() })
        // "3:12" for "03:12".
        for text in digest.verbatim where text.hasPrefix("0") && text.contains(":") {
            verbatim.insert(String(text.dropFirst()))
        }
        for value in digest.numbers { add(value, .text) }
        for value in digest.nameNumbers { add(value, .name) }
        add(Double(digest.events), .count)
        add(Double(digest.series.count), .count)
        add(Double(digest.texts.count), .count)
        add(Double(digest.series.count + digest.texts.count), .count)
        for (index, one) in digest.series.enumerated() { addSeries(one, index) }
        for one in digest.texts { addTexts(one, events: digest.events) }
        addTimes(digest)
        names = Self.tellingWords(digest.series.map(\.name))
    }

    private mutating func add(_ value: Double, _ role: Role, _ series: Int? = nil) {
        if value.isFinite { facts.append(Fact(value: value, role: role, series: series)) }
    }

    private mutating func addSeries(_ one: WindowDigest.Series, _ index: Int) {
        for value in one.values { add(value, .reading, index) }
        add(one.first, .reading, index)
        add(one.last, .reading, index)
        add(one.smallest, [.reading, .lowest], index)
        add(one.largest, [.reading, .highest], index)
        add(one.mean, .mean, index)
        add(one.sum, .sum, index)
        add(Double(one.count), .count, index)
        add(one.last - one.first, .span, index)
        add(one.largest - one.smallest, .span, index)
        if one.first != 0 { add((one.last - one.first) / abs(one.first) * 100, .percent, index) }
        // A series that does not change is its own average and extremes; the writer may call it any of them.
        if !one.changes { add(one.last, [.mean, .lowest, .highest], index) }
    }

    private mutating func addTexts(_ one: WindowDigest.Texts, events: Int) {
        add(Double(one.count), .count)
        add(Double(one.different.count), .count)
        for text in one.different {
            add(Double(text.count), .count)
            add(Double(text.count) / Double(max(1, events)) * 100, .percent)
            add(Double(text.count) / Double(max(1, one.count)) * 100, .percent)
        }
    }

    private mutating func addTimes(_ digest: WindowDigest) {
        guard let start = digest.start, let end = digest.end else { return }
        let seconds = Double(end.milliseconds.subtractingReportingOverflow(start.milliseconds).partialValue) / 1000
        for unit in [1.0, 60, 3600, 86400] { add((seconds / unit).rounded(), .duration) }
        // Dates, and the hours and minutes of the window's ends.
        for time in [start.description, end.description] {
            for number in writtenNumbers(time) {
                if number.isVerbatim {
                    verbatim.insert(number.text.lowercased())
                } else {
                    add(abs(number.value), .name)
                }
            }
        }
    }

    /// Of each name the words that not all names have.
    private static func tellingWords(_ names: [String]) -> [Set<String>] {
        let words = names.map { Set(SentenceWords.words($0)) }
        guard let first = words.first else { return [] }
        let common = words.dropFirst().reduce(first) { $0.intersection($1) }
        return words.map { $0.subtracting(common) }
    }

    // MARK: The check

    /// The first number of `summary` that does not follow from the window; nil when all do.
    func firstInvented(in summary: String) -> String? {
        for sentence in SentenceWords.sentences(summary) {
            let words = SentenceWords(sentence)
            let spoken = Set(words.words)
            var meant = Set(names.indices.filter { !names[$0].isDisjoint(with: spoken) })
            // A series that no word tells from others may be meant by any sentence.
            if !meant.isEmpty { meant.formUnion(names.indices.filter { names[$0].isEmpty }) }
            for number in words.numbers where !isGrounded(number, words, series: meant.isEmpty ? nil : meant) {
                return number.text
            }
        }
        return nil
    }

    private func isGrounded(_ number: WrittenNumber, _ words: SentenceWords, series: Set<Int>?) -> Bool {
        if number.isVerbatim {
            // Times are kept by the 24-hour clock.
            return verbatim.contains(number.text.lowercased()) && !words.isAfternoon(number)
        }
        let role = words.role(of: number)
        // Half a unit of the last digit written: 21.46 may be told as 21.5 and as 21.
        var slack = 0.5 * (1 + 1e-9)
        for _ in 0..<min(number.decimals, 12) { slack /= 10 }
        return facts.contains { fact in
            guard !fact.role.isDisjoint(with: role) else { return false }
            if let series, let own = fact.series, !series.contains(own) { return false }
            if abs(fact.value - number.value) <= slack { return true }
            // "fell by 3": a change, or "3 below zero", is told without its sign.
            let signless = fact.role.contains(.span) || fact.role.contains(.percent) || words.speaksOfMinus
            return signless && number.value >= 0 && abs(-fact.value - number.value) <= slack
        }
    }
}
