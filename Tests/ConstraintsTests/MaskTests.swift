import JSON
import Testing

@testable import Constraints

@Suite struct MaskTests {
    private let trie = testTrie()

    private static let schemas = [
        #"{"type":"object","properties":{"name":{"type":"string","maxLength":5},"n":{"type":"number","maximum":12.5}},"required":["name"]}"#,
        "true", #"{"type":"object","additionalProperties":{"type":["boolean","null"]},"minProperties":3}"#,
        #"{"enum":["日本","日月",20,"né"]}"#, #"{"type":"string","pattern":"(ab|é)+$","maxLength":9}"#,
    ]

    /// Walks at random through what is allowed; each mask equals trying every token by itself.
    @Test(arguments: schemas) func masksAreWhatEachTokenAloneSays(_ schema: String) throws {
        let grammar = try Grammar.schema(schema)
        let constraint = Constraint(grammar, trie)
        var random = Random(state: 5)
        for _ in 0..<6 {
            var state = ConstraintState(constraint)
            var text: [UInt8] = []
            for _ in 0..<40 where !state.isFinished {
                let mask = state.allowed()
                var machine = Machine(grammar)
                let place = text.reduce(machine.start) { machine.step($0, $1) }
                for token in 0..<Int32(trie.vocabularyCount) {
                    let bytes = trie.text(token)
                    let end = bytes.reduce(place) { $0 == Machine.nothing ? $0 : machine.step($0, $1) }
                    let isEnd = trie.ends.contains(token)
                    let fits = isEnd ? machine.isComplete(place) : !bytes.isEmpty && end != Machine.nothing
                    #expect(mask.contains(token) == fits, "\(token) behind \(String(decoding: text, as: UTF8.self))")
                }
                let tokens = (0..<Int32(trie.vocabularyCount)).filter { mask.contains($0) && !trie.ends.contains($0) }
                #expect(mask.count == tokens.count + (machine.isComplete(place) ? 1 : 0))
                guard !tokens.isEmpty else { break }
                let token = tokens[random.below(tokens.count)]
                if state.take(token, room: 1000) == .taken { text += trie.text(token) }
            }
        }
    }

    /// Whatever is chosen, a text ends inside its tokens and is allowed.
    @Test(arguments: schemas) func textsEndInsideTheirTokens(_ schema: String) throws {
        let grammar = try Grammar.schema(schema)
        let constraint = Constraint(grammar, trie)
        var first = ConstraintState(constraint)
        let shortest = first.completion()
        let least = try #require(shortest).tokens
        var random = Random(state: 6)
        for round in 0..<150 {
            var state = ConstraintState(constraint)
            var room = least + round % 40
            var text: [UInt8] = []
            while !state.isFinished {
                let mask = state.allowed()
                let tokens = (0..<Int32(trie.vocabularyCount)).filter { mask.contains($0) && !trie.ends.contains($0) }
                guard let token = tokens.isEmpty ? nil : tokens[random.below(tokens.count)] else { break }
                let verdict = state.take(token, room: room - 1)
                if verdict == .taken {
                    text += trie.text(token)
                    room -= 1
                } else if verdict == .tooLong {
                    let completion = state.completion()
                    let end = try #require(completion)
                    #expect(end.tokens <= room)
                    text += end.text
                    break
                }
                if random.below(8) == 0, state.isComplete { break }
            }
            #expect(grammar.accepts(text), "\(String(decoding: text, as: UTF8.self))")
            let value = try JSONValue(parsing: text)
            if case .object(let members) = value { #expect(Set(members.map(\.key)).count == members.count) }
        }
    }

    @Test func namesOfAnObjectStayDifferent() throws {
        let grammar = try Grammar.schema(
            #"{"type":"object","additionalProperties":{"type":"object"},"minProperties":3}"#)
        var state = ConstraintState(Constraint(grammar, trie))
        func take(_ text: String) -> ConstraintState.Verdict { state.take(Array(text.utf8), room: 1000) }
        #expect(take(#"{"ab": {"ab": {}}, "a"#) == .taken)
        #expect(take(#"b""#) == .refused)
        #expect(take(#"c": {}, "ab"#) == .taken)
        #expect(take(#"""#) == .refused)
        // The shortest end cannot be the quote.
        let completion = state.completion()
        let end = try #require(completion)
        #expect(take(String(decoding: end.text, as: UTF8.self)) == .taken && state.isComplete)
    }

    @Test func forcedTextIsWhatHasNoAlternative() throws {
        let grammar = try Grammar.schema(
            #"{"type":"object","properties":{"name":{"enum":["left","lemon"]},"z":{"const":[1,2]}},"required":["name","z"]}"#
        )
        var state = ConstraintState(Constraint(grammar, trie))
        #expect(String(decoding: state.forced(), as: UTF8.self) == #"{"name": "le"#)
        #expect(state.take(state.forced(), room: 100) == .taken && state.forced().isEmpty)
        #expect(state.take([UInt8(ascii: "f")], room: 100) == .taken)
        #expect(String(decoding: state.forced(), as: UTF8.self) == #"t", "z": [1, 2]}"#)
        #expect(state.take(state.forced(), room: 100) == .taken && state.isFinished)
    }

    @Test func tablesThatFillAreMadeAnewWithoutLosingThePlace() throws {
        // Each character is a state of its own, so that the tables fill.
        let grammar = try Grammar.schema(#"{"type":"string","maxLength":40000}"#)
        let constraint = Constraint(grammar, trie)
        var state = ConstraintState(constraint)
        #expect(state.take([UInt8(ascii: "\"")], room: .max) == .taken)
        let first = constraint.withTables { $0.machine.epoch }
        var count = 0
        while constraint.withTables({ $0.machine.epoch }) == first, count < 39_000 {
            #expect(state.take(Array("é".utf8), room: .max) == .taken)
            count += 1
        }
        #expect(constraint.withTables { $0.machine.epoch } > first)
        #expect(state.take(Array(String(repeating: "x", count: 40_000 - count).utf8), room: .max) == .taken)
        #expect(state.take([UInt8(ascii: "x")], room: .max) == .refused)
        #expect(state.take([UInt8(ascii: "\"")], room: .max) == .taken && state.isFinished)
    }

    @Test func generationsShareAConstraintOnSeveralThreads() async throws {
        let constraint = Constraint(try Grammar.schema(Self.schemas[0]), trie)
        let expected = Set([#"{"name": ""}"#])
        let ends = await withTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var state = ConstraintState(constraint)
                    for _ in 0..<20 { _ = state.allowed() }
                    return String(decoding: state.completion()?.text ?? [], as: UTF8.self)
                }
            }
            return await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(ends == expected)
    }
}
