/// Which texts a string may be: everything that patterns, formats, lengths and lists say, intersected.
struct StringLanguage: Hashable, Sendable {
    /// Found anywhere unless anchored, as JSON Schema says.
    var patterns: Set<String> = []
    /// Code points.
    var least = 0
    var most = Int.max
    /// Nil for no such list.
    var only: [String]?
    var except: Set<String> = []
    /// Patterns that must not be found.
    var exceptPatterns: Set<String> = []

    /// Whether only the length is bounded: then no automaton is needed.
    var isLengthOnly: Bool { patterns.isEmpty && only == nil && except.isEmpty && exceptPatterns.isEmpty }

    /// Beside patterns, longer texts than this are not produced where a length is bounded: states multiply.
    static let mostBesidePattern = 256

    /// The automaton of the text between the quotes.
    func automaton(_ what: String) throws(GrammarError) -> ByteDFA {
        var terms = Expressions()
        let alphabet = Alphabet.json
        let character = terms.character(.all, alphabet)
        let start = terms.bytes(ByteSet(PatternParser.textStart))
        let end = terms.bytes(ByteSet(PatternParser.textEnd))
        let symbol = terms.either([character, start, end])
        let some = terms.repeated(symbol, 0)
        var parts = [terms.sequence([start, terms.repeated(character, 0), end])]
        for pattern in patterns.sorted() {
            let term = try PatternParser.parse(pattern, alphabet, into: &terms)
            parts.append(terms.sequence([some, term, some]))
        }
        for pattern in exceptPatterns.sorted() {
            let term = try PatternParser.parse(pattern, alphabet, into: &terms)
            let found = terms.sequence([some, term, some])
            parts.append(terms.not(found))
        }
        func literals(_ texts: some Sequence<String>, _ terms: inout Expressions) -> Int {
            let each = texts.compactMap { alphabet.bytes($0) }.map { bytes in
                // Byte by byte: a chain in front of another would be walked by recursion.
                let symbols = bytes.map { terms.bytes(ByteSet($0)) }
                return terms.sequence([start] + symbols + [end])
            }
            return terms.either(each)
        }
        if let only { parts.append(literals(only, &terms)) }
        if !except.isEmpty {
            let texts = literals(except.sorted(), &terms)
            parts.append(terms.not(texts))
        }
        let automaton = try terms.unmarked(terms.both(parts), what).minimized()
        guard least > 0 || most < .max else { return automaton }
        let longest = most == .max ? .max : min(most, max(least, Self.mostBesidePattern))
        return try automaton.counting(least, longest, what)
    }

    /// The automaton of a whole text that a pattern matches from beginning to end.
    static func whole(_ pattern: String) throws(GrammarError) -> ByteDFA {
        var terms = Expressions()
        let start = terms.bytes(ByteSet(PatternParser.textStart))
        let end = terms.bytes(ByteSet(PatternParser.textEnd))
        let any = terms.repeated(terms.character(.all, .plain), 0)
        let term = try PatternParser.parse(pattern, .plain, into: &terms)
        let text = terms.sequence([start, any, end])
        // The anchors may be written or not.
        let pattern = terms.sequence([terms.repeated(start, 0, 1), term, terms.repeated(end, 0, 1)])
        return try terms.unmarked(terms.both([text, pattern]), "the pattern")
    }
}

/// The patterns of the formats that are kept. RFC 3339 dates are those of the calendar; leap seconds, and the year 0 that
/// some programs cannot represent, are not produced.
enum StringFormat {
    private static let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    private static let label = "[A-Za-z0-9]+(-+[A-Za-z0-9]+)*"
    private static let date =
        "((?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-"
        + "(?:(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
        + "|(?:[0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)"
    private static let time =
        "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])"

    static let patterns: [String: String] = [
        "date": "^\(date)$",
        "time": "^\(time)$",
        "date-time": "^\(date)T\(time)$",
        "duration":
            "^P([0-9]{1,4}W|[0-9]{1,4}D(T\(clock))?|T\(clock)"
            + "|[0-9]{1,4}M([0-9]{1,4}D)?(T\(clock))?|[0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?(T\(clock))?)$",
        "email": "^[A-Za-z0-9]([A-Za-z0-9_+-]|\\.[A-Za-z0-9])*@(\(label)\\.)+[A-Za-z]{2,10}$",
        "hostname": "^(\(label)\\.)*[A-Za-z]+(-+[A-Za-z0-9]+)*$",
        "ipv4": "^(\(octet)\\.){3}\(octet)$",
        "ipv6": "^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$",
        "uri": "^https?://(\(label)\\.)+[A-Za-z]{2,10}(:[1-9][0-9]{0,3})?(/[-A-Za-z0-9._~]+)*/?"
            + "(\\?[-A-Za-z0-9._~=&]*)?(#[-A-Za-z0-9._~]*)?$",
        "uuid": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    ]
    private static let clock = "([0-9]{1,4}S|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?)"

    /// The longest label of a domain has 63 characters; a text of no more keeps that without being counted twice.
    static let most: [String: Int] = ["hostname": 63, "email": 63]

    /// Formats of the standard that we do not have: to ignore them would produce invalid texts.
    static let refused: Set<String> = [
        "idn-email", "idn-hostname", "iri", "iri-reference", "json-pointer", "regex", "relative-json-pointer",
        "uri-reference", "uri-template",
    ]
}
