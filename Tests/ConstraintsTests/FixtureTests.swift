import Foundation
import JSON
import Testing

@testable import Constraints

/// The schemas that `bench/schemas.sh` has documents written and validated under.
@Suite struct FixtureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/schemas")
    private static let names = [
        "alert", "all-of", "any-of-required", "any", "big-numbers", "calendar-event", "invoice", "linked-list", "map",
        "network", "optional", "pattern-properties", "person", "sensor-reading", "shapes", "tags", "tree", "tuple",
        "types", "unicode",
    ]

    /// Tokens are drawn blindly, in as few as fit and in more.
    @Test(arguments: names) func documentsDrawnBlindlyAreWhole(_ name: String) throws {
        let schema = try Data(contentsOf: Self.folder.appendingPathComponent("\(name).json"))
        let constraint = Constraint(try Grammar(schema: Array(schema)), testTrie())
        var first = ConstraintState(constraint)
        let shortest = first.completion()
        let least = try #require(shortest).tokens
        var random = Random(state: 8)
        for room in [least, least + 5, least + 40, least + 200] {
            var state = ConstraintState(constraint)
            var text: [UInt8] = []
            var left = room
            while !state.isFinished {
                let mask = state.allowed()
                let tokens = (0..<256).map(Int32.init).filter(mask.contains)
                guard !tokens.isEmpty else { break }
                let token = tokens[random.below(tokens.count)]
                if state.take(token, room: left - 1) == .taken {
                    text += constraint.trie.text(token)
                    left -= 1
                } else {
                    let completion = state.completion()
                    text += try #require(completion).text
                    break
                }
            }
            #expect(constraint.grammar.accepts(text), "\(String(decoding: text, as: UTF8.self))")
            _ = try JSONValue(parsing: text)
        }
    }
}
