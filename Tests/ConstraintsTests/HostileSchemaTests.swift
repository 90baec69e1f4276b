import JSON
import Testing

@testable import Constraints

@Suite struct HostileSchemaTests {
    private static let seeds = [
        ##"{"type":"object","properties":{"a":{"type":"integer","minimum":-5,"maximum":1e2},"b":{"$ref":"#/$defs/l"}},"required":["a"],"$defs":{"l":{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#/$defs/l"},"maxItems":3}]}}}"##,
        #"{"allOf":[{"type":"object","patternProperties":{"^s":{"type":"string","maxLength":5}}},{"oneOf":[{"required":["x"]},{"const":3}]}],"minProperties":2}"#,
        #"{"enum":[1,"x",[true]],"uniqueItems":true,"items":{"enum":[1,2,3]},"pattern":"^(a|b){2,9}$","format":"date-time","multipleOf":3}"#,
    ]

    /// Damaged schemas are compiled or refused in one line, and what is compiled can be completed.
    @Test func mutatedSchemasNeitherCrashNorHang() throws {
        var random = Random(state: 7)
        let letters = Array(#"{}[]",:0123456789.-eE^$()|*+?\abcdtrufals#/"#.utf8)
        var compiled = 0
        for round in 0..<600 {
            var text = Array(Self.seeds[round % Self.seeds.count].utf8)
            for _ in 0...random.below(3) {
                let at = random.below(text.count)
                switch random.below(4) {
                case 0: text[at] = letters[random.below(letters.count)]
                case 1: text.remove(at: at)
                case 2: text.insert(letters[random.below(letters.count)], at: at)
                default:
                    let other = random.below(text.count)
                    text.replaceSubrange(
                        min(at, other)..<min(at, other),
                        with: text[min(at, other)..<min(max(at, other), min(at, other) + 20)])
                }
            }
            do throws(GrammarError) {
                let grammar = try Grammar(schema: text)
                compiled += 1
                var state = ConstraintState(Constraint(grammar, Self.trie))
                let completion = state.completion()
                #expect(completion.map { grammar.accepts($0.text) } == true)
            } catch {
                #expect(!error.description.contains("\n"))
            }
        }
        #expect(compiled > 40)
    }

    @Test func `Names and patterns stay on one short line of an error`() {
        let long = String(repeating: "n", count: 100_000)
        let property = ##"{"properties":{"a\n\u0085\##(long)":{"not":{}}}}"##
        for schema in [
            property, ##"{"$ref":"#/\##(long)\n"}"##, ##"{"pattern":"(\n\##(long)"}"##, #"{"pattern":"\n("}"#,
        ] {
            do throws(GrammarError) {
                _ = try Grammar(schema: Array(schema.utf8))
                Issue.record("\(schema.prefix(40)) is no schema that can be followed")
            } catch {
                let controls = error.description.unicodeScalars.filter { $0.properties.generalCategory == .control }
                #expect(controls.isEmpty && error.description.utf8.count < 500)
            }
        }
    }

    private static let trie = testTrie()

    @Test func deepAndWideSchemasAreRefusedOrCompiledSoon() {
        let start = ContinuousClock.now
        var chain = ##"{"$ref":"#/$defs/0","$defs":{"##
        chain += (0..<3000).map { ##""\##($0)":{"$ref":"#/$defs/\##($0 + 1)"}"## }.joined(separator: ",") + "}}"
        let wide =
            #"{"type":"object","properties":{"# + (0..<255).map { #""p\#($0)":{}"# }.joined(separator: ",") + "}}"
        // Each level doubles the alternatives.
        var product = #"{"allOf":["#
        product +=
            (0..<20).map { #"{"anyOf":[{"title":"\#($0)"},{"description":"\#($0)"}]}"# }.joined(separator: ",") + "]}"
        let long = #"{"type":"object","minProperties":200}"#
        for schema in [
            chain, wide, product, long, #"{"type":"string","minLength":900000000}"#,
            String(repeating: "[", count: 99_999),
        ] {
            guard let grammar = try? Grammar.schema(schema) else { continue }
            var machine = Machine(grammar)
            _ = machine.step(machine.start, UInt8(ascii: "{"))
        }
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    /// Texts longer than any context, names longer than a stack, and alternatives that refer to each other.
    @Test func sizesAreRefusedBeforeTheyAreWorkedOut() throws {
        let start = ContinuousClock.now
        for schema in [
            #"{"type":"string","minLength":500000000}"#, #"{"type":"string","minLength":4097}"#,
            #"{"type":"array","minItems":4096,"items":{"type":"string","minLength":4000}}"#,
        ] {
            let thrown = #expect(throws: GrammarError.self) { try Grammar(schema: Array(schema.utf8)) }
            #expect(thrown?.description.contains("Lower") == true)
        }
        let name = String(repeating: "a", count: 400_000)
        let long =
            #"{"type":"object","properties":{"\#(name)":{"type":"null"}},"additionalProperties":{"type":"null"}}"#
        _ = try? Grammar(schema: Array(long.utf8))
        func family(_ prefix: String) -> String {
            (0..<20).map { index in
                let properties = (0..<20).map { ##""p\##($0)":{"$ref":"#/$defs/\##(prefix)\##(($0 + index) % 20)"}"## }
                let required = (0..<20).map { #""p\#($0)""# }
                return ##""\##(prefix)\##(index)":{"type":"object","properties":{"##
                    + properties.joined(separator: ",") + #"},"required":["# + required.joined(separator: ",") + "]}"
            }.joined(separator: ",")
        }
        let two =
            ##"{"oneOf":[{"$ref":"#/$defs/a0"},{"$ref":"#/$defs/b0"}],"$defs":{"##
            + family("a") + "," + family("b") + "}}"
        #expect(throws: GrammarError.self) { try Grammar(schema: Array(two.utf8)) }
        #expect(ContinuousClock.now - start < .seconds(30))
    }
}
