import Testing
import Transport

@Suite struct TopicFilterTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let filter: String
        let topic: String
        let matches: Bool
        var testDescription: String { "\(filter) \(matches ? "covers" : "does not cover") \(topic)" }
    }

    /// The examples of MQTT 5 section 4.7, mosquitto's own test rows and the edges between them.
    static let rows: [Row] = [
        ("sport/tennis/player1", "sport/tennis/player1", true), ("sport/tennis/player1", "sport/tennis/player2", false),
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/tennis/player1/#", "sport/tennis/player10", false), ("sport/#", "sport", true), ("#", "sport", true),
        ("#", "/", true), ("#", "a/b/c", true), ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false), ("sport/+", "sport", false),
        ("sport/+", "sport/", true), ("+/+", "/finance", true), ("/+", "/finance", true), ("+", "/finance", false),
        ("+", "finance", true), ("+/tennis/#", "sport/tennis", true), ("+/tennis/#", "sport/tennis/x/y", true),
        ("sport/+/player1", "sport/tennis/player1", true), ("sport/+/player1", "sport//player1", true),
        ("sport/+/player1", "sport/a/b/player1", false), ("+/+/+", "a/b/c", true), ("+/+/+", "a/b", false),
        ("+/+/#", "a/b", true), ("+/+/#", "a", false), ("a/b/c", "a/b", false), ("a/b", "a/b/c", false),
        ("a/b", "a/b/", false), ("a/b/", "a/b", false), ("a//b", "a//b", true), ("a//b", "a/b", false),
        ("/a", "a", false), ("a", "/a", false), ("/", "/", true), ("/#", "/", true), ("/#", "a", false),
        ("A", "a", false), ("foo/bar", "foo", false), ("foo/+/#", "foo/bar/baz", true), ("foo/+/#", "foo/", true),
        ("foo/+/#", "foo", false),
        // Topics of the broker itself.
        ("#", "$SYS/broker/uptime", false), ("+/broker/uptime", "$SYS/broker/uptime", false),
        ("$SYS/#", "$SYS/broker/uptime", true), ("$SYS/broker/+", "$SYS/broker/uptime", true),
        ("$SYS/#", "$SYS", true), ("a/+", "a/$b", true), ("a/#", "a/$SYS", true),
        ("$SYS/broker/+", "$SYS/broker", false),
        // Shared subscriptions.
        ("$share/group/home/+/alerts", "home/kitchen/alerts", true), ("$share/group/home/#", "home", true),
        ("$share/group/#", "anything/at/all", true), ("$share/group/#", "$SYS/x", false),
        ("$share/group/a", "$share/group/a", false), ("$share/group//a", "/a", true),
        ("$share/g/$SYS/+", "$SYS/x", true),
        // Bytes, not characters.
        ("küche/+", "küche/licht", true), ("caf\u{E9}", "cafe\u{301}", false), ("a/\u{301}b", "a/\u{301}b", true),
        ("+/b", "\u{301}/b", true), ("🏠/#", "🏠/🚪", true),
        // Nothing matches what is not valid.
        ("a/#/b", "a/x/b", false), ("a#", "a#", false), ("a+", "a+", false), ("", "a", false), ("#", "", false),
        ("#", "a/+", false), ("$share/group", "group", false), ("$share//a", "a", false),
    ].map { Row(filter: $0.0, topic: $0.1, matches: $0.2) }

    @Test(arguments: rows) func matchesAsTheStandardSays(_ row: Row) {
        #expect(topicMatches(filter: row.filter, topic: row.topic) == row.matches)
    }

    @Test(arguments: [
        "a", "/", "+", "#", "a/+/b", "a/#", "+/#", "$SYS/#", "$share/g/a", "$share/g/#", "a//b", " ", "$share",
    ])
    func validFiltersHaveNoProblem(_ filter: String) { #expect(topicFilterProblem(filter) == nil) }

    @Test(arguments: [
        "", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+", "##", "a/##", "$share/g", "$share/g/", "$share//a",
        "$share/g+/a",
        "$share/g#/a", "a\0b", String(repeating: "a", count: 65536),
    ])
    func invalidFiltersAreNamed(_ filter: String) { #expect(topicFilterProblem(filter) != nil) }

    @Test func theLongestTopicIsValid() {
        #expect(isValidTopic(String(repeating: "a", count: 65535)))
        #expect(!isValidTopic(String(repeating: "a", count: 65536)))
        #expect(!isValidTopic("a/+"))
        #expect(!isValidTopic(""))
    }
}
