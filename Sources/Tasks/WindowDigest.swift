import Linux

/// One event as a summary sees it.
public struct SummaryEvent: Sendable, Equatable {
    public var received: Timestamp
    public var topic: String
    public var text: String

    public init(received: Timestamp, topic: String, text: String) {
        self.received = received
        self.topic = topic
        self.text = text
    }
}

/// A window of events boiled down to facts while they arrive: a series for every number, a list for every word.
///
/// A 135 M model cannot average forty readings, so the arithmetic is done here and the model only words it. Memory is
/// bounded whatever comes in: a digest of 5,000 events is no larger than one of 500.
public struct WindowDigest: Sendable {
    /// Series and lists that are kept apart; what is beyond only counts.
    static let mostSeries = 48
    /// Different texts of one list that are told apart.
    static let mostTexts = 6
    /// Characters of one text in a line.
    static let longestText = 120
    /// Distinct numbers kept for the check; a window with more is mostly noise, and its extremes are in the series.
    static let mostNumbers = 4096

    /// Readings of one field of one topic.
    struct Series: Equatable, Sendable {
        var name: String
        var count = 0
        var first = 0.0
        var last = 0.0
        var smallest = Double.infinity
        var largest = -Double.infinity
        var sum = 0.0
        /// Distinct readings, as long as the digest has room for them.
        var values: Set<Double> = []

        var mean: Double { sum / Double(max(1, count)) }
        var changes: Bool { smallest != largest }

        mutating func add(_ value: Double) {
            if count == 0 { first = value }
            count += 1
            last = value
            smallest = min(smallest, value)
            largest = max(largest, value)
            sum += value
        }
    }

    /// Texts of one field of one topic, in the order of their first appearance.
    struct Texts: Equatable, Sendable {
        var name: String
        var count = 0
        var different: [(text: String, count: Int)] = []
        var last = ""

        static func == (left: Texts, right: Texts) -> Bool {
            left.name == right.name && left.count == right.count && left.last == right.last
                && left.different.map(\.text) == right.different.map(\.text)
        }

        mutating func add(_ text: String) {
            count += 1
            last = text
            if let known = different.firstIndex(where: { $0.text == text }) {
                different[known].count += 1
            } else if different.count < WindowDigest.mostTexts {
                different.append((text, 1))
            }
        }
    }

    /// Events so far.
    public private(set) var events = 0
    /// When the first and the last of them were received.
    public private(set) var start: Timestamp?
    public private(set) var end: Timestamp?
    private(set) var series: [Series] = []
    private(set) var texts: [Texts] = []
    /// Numbers that stand in texts, numbers that stand in topics and names of fields, and names with digits and times:
    /// for the check of the summary.
    private(set) var numbers: Set<Double> = []
    private(set) var nameNumbers: Set<Double> = []
    private(set) var verbatim: Set<String> = []
    private var kept = 0

    public init() {}

    public init(_ events: some Sequence<SummaryEvent>) {
        for event in events { add(event) }
    }

    /// Takes an event in. Time: proportional to its text.
    public mutating func add(_ event: SummaryEvent) {
        events += 1
        start = min(start ?? event.received, event.received)
        end = max(end ?? event.received, event.received)
        remember(event.topic, isName: true)
        remember(verbatim: clock(event.received))
        let topic = shortName(event.topic)
        for field in EventFields(event.text).fields {
            let name = field.name.isEmpty ? topic : "\(topic) \(field.name.replacing("_", with: " "))"
            remember(field.name, isName: true)
            remember(name, isName: true)
            switch field.value {
            case .number(let value): reading(name, value)
            case .text(let text):
                let short = shortened(text)
                remember(short, isName: false)
                words(name, short)
            }
        }
    }

    private mutating func remember(_ text: String, isName: Bool) {
        for number in writtenNumbers(text) {
            if number.isVerbatim {
                remember(verbatim: number.text)
            } else if kept < Self.mostNumbers {
                let isNew =
                    isName ? nameNumbers.insert(number.value).inserted : numbers.insert(number.value).inserted
                if isNew { kept += 1 }
            }
        }
    }

    private mutating func remember(verbatim text: String) {
        if kept < Self.mostNumbers, verbatim.insert(text).inserted { kept += 1 }
    }

    private mutating func reading(_ name: String, _ value: Double) {
        var index = series.firstIndex { $0.name == name }
        if index == nil, series.count < Self.mostSeries {
            series.append(Series(name: name))
            index = series.count - 1
        }
        guard let index else { return }
        series[index].add(value)
        if kept < Self.mostNumbers, series[index].values.insert(value).inserted { kept += 1 }
    }

    /// A long text cut between two words, so that no number loses its end.
    private func shortened(_ text: String) -> String {
        guard text.count > Self.longestText else { return text }
        let cut = text.prefix(Self.longestText)
        return (cut.lastIndex(where: \.isWhitespace).map { cut[..<$0] } ?? "") + "…"
    }

    private mutating func words(_ name: String, _ short: String) {
        if let known = texts.firstIndex(where: { $0.name == name }) {
            texts[known].add(short)
        } else if texts.count < Self.mostSeries {
            var new = Texts(name: name)
            new.add(short)
            texts.append(new)
        }
    }

    /// The last two levels of a topic: what tells sensors apart.
    private func shortName(_ topic: String) -> String {
        topic.split(separator: "/").suffix(2).joined(separator: " ").replacing("_", with: " ")
    }

    /// Hours and minutes, as a summary would tell a time.
    private func clock(_ time: Timestamp) -> String { String(time.description.dropFirst(11).prefix(5)) }
}
