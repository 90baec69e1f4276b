import Constraints
import GGUF
import JSON
import Linux

@testable import Tokenizers

extension FuzzTarget {
    /// A chat template, and what it writes of a conversation.
    static let template = FuzzTarget(name: "template", longest: 1 << 13) { fixtures in
        let file = try JSONValue(parsing: try contents("\(fixtures)/tokenizers/chat-templates.json"))
        let sources = (file["models"]?.array ?? []).compactMap { $0["source"]?.string }
        guard sources.count > 3 else { throw FuzzSetupError(description: "no chat templates among the fixtures") }
        let filters = """
            {%- set ns = namespace(a=1) -%}{% macro m(x, y='b') %}{{ x ~ y }}{% endmacro %}
            {% for m in messages[::-1] if not loop.last else %}{{ loop.index0 * 2 // 3 % 4 - -1 }}{% set ns.a = ns.a + 1 %}
            {{ m['content'].split('a')[0] | trim | upper | length | string | tojson(indent=2) }}{% endfor %}
            {% if 'x' in 'xyz' and bos_token is defined or none is none %}{{ [1, (2, 3), {'k': 1.5}] | map('string') | join(', ') }}
            {% elif raise_exception('no') %}{% endif %}{{ range(3) | list | last }}{{ strftime_now('%d %b %Y') }}{# c #}
            """
        return sources.map { Array($0.utf8) } + [Array(filters.utf8)]
    } make: {
        let messages = [
            ChatMessage(.system, "Be brief."), ChatMessage(.user, "a <|im_end|> 日本\n"), ChatMessage(.assistant, "Hi"),
            ChatMessage(.user, " b "),
        ]
        return { input in
            let template = ChatTemplate.detect(text(input), bos: "<s>", eos: "</s>")
            let segments = template.segments(messages, addGenerationPrompt: true, now: Timestamp(milliseconds: 0))
            // What the user says never becomes markup: a program could not write the letters of it if it wanted to.
            let markup = segments.filter(\.isMarkup).map(\.text).joined()
            let own = text(input).contains("日") || text(input).contains("\\u") || text(input).contains("\\x")
            require(own || !markup.contains("日"), "content stays content")
        }
    }

    /// A JSON Schema, and the shortest document it allows.
    static let schema = FuzzTarget(name: "schema", longest: 1 << 12) { fixtures in
        try files("\(fixtures)/schemas", ".json")
    } make: {
        let trie = byteTrie()
        return { input in
            guard let grammar = try? Grammar(schema: input) else { return }
            let completion = finish(grammar, trie)
            require((try? JSONValue(parsing: text(completion))) != nil, "\(text(completion)) is JSON")
        }
    }

    /// A regular expression of ECMA-262, and the shortest text it allows.
    static let pattern = FuzzTarget(name: "pattern", longest: 512) { _ in
        [
            #"^[a-z][A-Z0-9_]{2,7}$"#, #"(\d{4})-(?:0[1-9]|1[0-2])"#, #"a|b*c+d?(e|f|)"#, #"^\p{L}+\s\S\w\W\D.$"#,
            #"[^\u0000-\uD7FF\u{1F600}]?"#, #"(a{0,9}){3}(?<n>b)"#, #"\x41\cJ\t\/[\]\\-]"#, #"(?=a)b"#, #"日本|é{2}"#,
        ].map { Array($0.utf8) }
    } make: {
        let trie = byteTrie()
        return { input in
            guard let grammar = try? Grammar(pattern: text(input)) else { return }
            _ = finish(grammar, trie)
        }
    }
}

/// A vocabulary of all bytes, and one token that ends.
private func byteTrie() -> TokenTrie {
    TokenTrie(
        count: 257, append: { token, bytes in bytes.append(UInt8(truncatingIfNeeded: token)) }, isEnd: { $0 == 256 })
}

/// Writes a few bytes that are allowed, then the shortest end.
private func finish(_ grammar: Grammar, _ trie: TokenTrie) -> [UInt8] {
    var state = ConstraintState(Constraint(grammar, trie))
    var written: [UInt8] = []
    for step in 0..<8 where !state.isFinished {
        let mask = state.allowed()
        // Not always the first: it would mostly be a digit or a blank.
        let allowed = (0..<256).filter { mask.contains(Int32($0)) }
        guard !allowed.isEmpty else { break }
        let byte = UInt8(allowed[(step * 7 + allowed.count / 2) % allowed.count])
        guard case .taken = state.take(CollectionOfOne(byte), room: 1 << 17) else { break }
        written.append(byte)
    }
    guard let end = state.completion() else {
        require(false, "every byte has a token")
        return written
    }
    return written + end.text
}
