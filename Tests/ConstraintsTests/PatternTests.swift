import JSON
import Testing

@testable import Constraints

/// A pattern that can be printed and, by other means than ours, matched: by the positions that a part may end at.
private indirect enum Sketch {
    case letter(Character)
    case set([Character], isInverted: Bool)
    case any
    case start
    case end
    case then(Sketch, Sketch)
    case either(Sketch, Sketch)
    case times(Sketch, Int, Int?)

    static func random(_ random: inout Random, depth: Int) -> Sketch {
        switch random.below(depth > 0 ? 11 : 4) {
        case 0, 1: return .letter(random.below(2) == 0 ? "a" : "b")
        case 2: return .set(random.below(2) == 0 ? ["a"] : ["a", "b"], isInverted: random.below(2) == 0)
        case 3: return .any
        case 4, 5, 6: return .then(.random(&random, depth: depth - 1), .random(&random, depth: depth - 1))
        case 7, 8: return .either(.random(&random, depth: depth - 1), .random(&random, depth: depth - 1))
        default:
            let least = random.below(3)
            let most = random.below(2) == 0 ? nil : least + random.below(3)
            return .times(.random(&random, depth: depth - 1), least, most)
        }
    }

    var pattern: String {
        switch self {
        case .letter(let letter): String(letter)
        case .set(let letters, let isInverted): "[\(isInverted ? "^" : "")\(String(letters))]"
        case .any: "."
        case .start: "^"
        case .end: "$"
        case .then(let a, let b): a.pattern + b.pattern
        case .either(let a, let b): "(?:\(a.pattern)|\(b.pattern))"
        case .times(let a, let least, let most): "(\(a.pattern)){\(least),\(most.map(String.init) ?? "")}"
        }
    }

    /// Where it may end when it begins at one of `from`.
    func ends(_ text: [Character], _ from: Set<Int>) -> Set<Int> {
        func one(_ fits: (Character) -> Bool) -> Set<Int> {
            Set(from.filter { $0 < text.count && fits(text[$0]) }.map { $0 + 1 })
        }
        switch self {
        case .letter(let letter): return one { $0 == letter }
        case .set(let letters, let isInverted): return one { letters.contains($0) != isInverted }
        case .any: return one { $0 != "\n" }
        case .start: return from.filter { $0 == 0 }
        case .end: return from.filter { $0 == text.count }
        case .then(let a, let b): return b.ends(text, a.ends(text, from))
        case .either(let a, let b): return a.ends(text, from).union(b.ends(text, from))
        case .times(let a, let least, let most):
            var ends = from
            for _ in 0..<least { ends = a.ends(text, ends) }
            var all = ends
            for _ in 0..<(most.map { $0 - least } ?? text.count + 1) {
                ends = a.ends(text, ends)
                all.formUnion(ends)
            }
            return all
        }
    }
}

@Suite struct PatternTests {
    private let all = texts(over: ["a", "b", "\n"], upTo: 5)

    @Test func randomPatternsMatchWhatASimpleMatcherDoes() throws {
        var random = Random(state: 1)
        for _ in 0..<150 {
            let sketch = Sketch.random(&random, depth: 3)
            let grammar = try Grammar(pattern: sketch.pattern)
            var machineAgrees = true
            for text in all {
                let letters = Array(text)
                let expected = sketch.ends(letters, [0]).contains(letters.count)
                if grammar.accepts(text) != expected { machineAgrees = false }
            }
            #expect(machineAgrees, "\(sketch.pattern)")
        }
    }

    /// JSON Schema searches; anchors bind.
    @Test func patternsOfSchemasMatchAnywhereUnlessAnchored() throws {
        var random = Random(state: 2)
        for round in 0..<120 {
            var sketch = Sketch.random(&random, depth: 2)
            if round % 3 == 0 { sketch = .then(.start, sketch) }
            if round % 4 == 0 { sketch = .then(sketch, .end) }
            if round % 5 == 0 { sketch = .either(sketch, .then(.start, .letter("b"))) }
            let language = StringLanguage(patterns: [sketch.pattern], least: round % 2)
            let automaton = try language.automaton("it")
            for text in all {
                let letters = Array(text)
                let found = !sketch.ends(letters, Set(0...letters.count)).isEmpty
                let bytes = try #require(Alphabet.json.bytes(text))
                #expect(automaton.matches(bytes) == (found && letters.count >= round % 2), "\(sketch.pattern) \(text)")
            }
        }
    }

    @Test(arguments: [
        (#"\d{2}"#, ["12"], ["1", "1a", "٣٤"]), (#"[\w-]+"#, ["a-_9"], ["é", ""]),
        (#"\s\S"#, [" a", "\u{A0}b"], ["ab"]),
        (#"\u00e9\x41\u{1F600}\uD83D\uDE00"#, ["éA😀😀"], ["e"]), (#"\^\$\.\*\/\-"#, ["^$.*/-"], []),
        (#"[^\d\n]"#, ["a", "é", "😀"], ["1", "\n"]), (#"a{,2}"#, ["a{,2}"], ["aa"]),
        (#"(?<x>a)|b?"#, ["a", "b", ""], ["ab"]),
        (#"[a\-z\]]+?"#, ["a-z]"], ["b"]), (#"\cJ\t\v\f\0"#, ["\n\t\u{B}\u{C}\0"], []), ("[]", [], ["", "a"]),
        ("[^]", ["a", "\n", "😀"], ["", "ab"]), ("^a$|^b", ["a", "b"], ["ab"]),
        (".", ["é", "€", "😀"], ["\n", "\u{2028}"]),
    ])
    func readsTheSyntax(_ pattern: String, _ good: [String], _ bad: [String]) throws {
        if pattern == "[]" {
            #expect(throws: GrammarError.self) { try Grammar(pattern: pattern) }
            return
        }
        let grammar = try Grammar(pattern: pattern)
        for text in good { #expect(grammar.accepts(text), "\(text)") }
        for text in bad { #expect(!grammar.accepts(text), "\(text)") }
    }

    @Test(arguments: [
        ("a(?=b)", "at 2: look-ahead"), ("(?<!a)b", "at 1: look-behind"), (#"(a)\1"#, "at 4: back references"),
        (#"\bfoo"#, "at 1: word boundaries"), (#"\p{L}"#, "at 1: \\p"), ("(a", "at 1: a group does not end"),
        ("a)", "at 2: there is a )"), ("[a", "at 1: a class does not end"), ("*a", "at 1: there is nothing to repeat"),
        ("a**", "at 3: a repetition is repeated"), ("a{3,2}", "wrong order"), ("[z-a]", "wrong order"),
        ("a\\", "backslash"),
        ("a{99999}", "more than 1000"), (#"\u12"#, "hexadecimal"), (#"\ud800"#, "hexadecimal"), (#"\q"#, "unknown"),
        ("(?i)a", "flags"), (String(repeating: "(", count: 60), "deeper"),
        (String(repeating: "a", count: 1001), "longer"),
    ])
    func refusesWithThePosition(_ pattern: String, _ reason: String) {
        let error = #expect(throws: GrammarError.self) { try Grammar(pattern: pattern) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        "(a|b)*a(a|b){40}", "((a{900}){900}){900}", "(.*.*.*x){200}", "(a?){1000}(a?){1000}b",
        "((((a*)*)*)*)*c{500}.{900}",
    ])
    func hostilePatternsEndSoon(_ pattern: String) {
        let start = ContinuousClock.now
        _ = try? Grammar(pattern: pattern)
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func charactersAreWholeAndValidUTF8() throws {
        let automaton = try StringLanguage.whole("[^\\n]")
        // Every scalar at the ends of UTF-8's ranges, and every broken form of two bytes.
        for value: UInt32 in [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x1_0000, 0x10_FFFF] {
            let scalar = try #require(Unicode.Scalar(value))
            #expect(automaton.matches(Array(String(Character(scalar)).utf8)), "\(value)")
        }
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let isValid = String(validating: [first, second], as: UTF8.self).map { $0.unicodeScalars.count == 1 }
                #expect(automaton.matches([first, second]) == (isValid ?? false))
            }
        }
        for bytes: [UInt8] in [
            [0xED, 0xA0, 0x80], [0xE0, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF0, 0x80, 0x80, 0x80],
        ] {
            #expect(!automaton.matches(bytes))
        }
    }
}
