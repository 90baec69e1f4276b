import Linux
import TestSupport
import Testing

@testable import Tokenizers

/// Jinja's language, case by case; what Jinja itself renders is written beside each.
@Suite struct JinjaTests {
    private func render(_ source: String, now: Timestamp = Timestamp(milliseconds: 0)) throws(JinjaError) -> String {
        let template = try JinjaTemplate(source, bos: "<s>", eos: "</s>")
        let messages = [ChatMessage(.user, " A b "), ChatMessage(.assistant, "c")]
        return try template.segments(messages, addGenerationPrompt: true, now: now).map(\.text).joined()
    }

    @Test(arguments: [
        ("{{ 2 + 3 * 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 1.5 * 2 }}", "14 3 -4 2 3.5 3.0"),
        ("{{ 'a' ~ 1 ~ none }} {{ 'ab' * 2 }} {{ true and not false }}", "a1None abab True"),
        (
            "{{ 1 < 2 and 'a' <= 'b' or x }} {{ 1 == 1.0 }} {{ 'b' in 'abc' }} {{ 3 not in [1, 2] }}",
            "True True True True"
        ),
        ("{{ 'x' if false else 'y' }}{{ 'z' if false }}", "y"),
        ("{{ messages[-1].content }}{{ messages[::-1][0]['role'] }}{{ messages[5] is defined }}", "cassistantFalse"),
        ("{{ 'abcdef'[1:4] }} {{ 'abcdef'[::-2] }} {{ 'abc'[-2:] }} {{ [1, 2, 3][5:]|length }}", "bcd fdb bc 0"),
        ("{{ ' x '|trim }}|{{ '--x-'.strip('-') }}|{{ '\\n x'.lstrip() }}|{{ 'x\\t'.rstrip() }}", "x|x|x|x"),
        ("{{ 'a,b,c'.split(',')[-1] }}{{ 'a b  c'.split()|join('+') }}{{ 'a-b-c'.split('-', 1)[1] }}", "ca+b+cb-c"),
        (
            "{{ 'aXbX'.replace('X', 'yy') }} {{ 'hello world'|title }} {{ 'hELLO'|capitalize }}",
            "ayybyy Hello World Hello"
        ),
        ("{{ 'é'|upper }}{{ 'ÀB'|lower }}{{ 'ß'.upper() }}", "Éàb" + "SS"),
        ("{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'bc')) }}{{ 'abc'.find('c') }}", "TrueTrue2"),
        (
            "{% for k, v in {'a': 1, 'b': [2]}.items() if k != 'z' %}{{ k }}{{ v is number }},{% endfor %}",
            "aTrue,bFalse,"
        ),
        (
            "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}"
                + "{{ i }}{{ loop.index }}{{ loop.last }}{% endfor %}", "01False23False"
        ),
        ("{% for i in [] %}x{% else %}none{% endfor %}", "none"),
        (
            "{% set n = namespace(v=1) %}{% for i in [1, 2] %}{% set n.v = n.v + i %}{% set w = 9 %}{% endfor %}{{ n.v }}{{ w }}",
            "4"
        ),
        ("{% macro m(x, y='d') %}[{{ x }}{{ y }}]{% endmacro %}{{ m(1) }}{{ m(1, y=2) }}", "[1d][12]"),
        ("{% set t %}in {{ 1 }}{% endset %}<{{ t }}>", "<in 1>"),
        ("{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join }}", " A b "),
        ("{{ {'a': [1, none, true], 'q': '\"\\n'}|tojson }}", "{\"a\": [1, null, true], \"q\": \"\\\"\\n\"}"),
        ("{{ x|default('d') }}{{ ''|default('e', true) }}{{ x is undefined }}{{ none is none }}", "deTrueTrue"),
        ("{{ strftime_now('%d %b %Y') }}{{ bos_token }}{{ eos_token }}{{ tools is none }}", "01 Jan 1970<s></s>True"),
        ("{{ \"it's\" }}{{ 'a\\\"b\\u00e9\\q' }}{{ 'a' 'b' }}", "it'sa\"bé\\qab"),
        ("{{ {1: 'a', 512: 'b'}[512] }}{% for k, v in {2: 'x', 1: 'y'}|dictsort %}{{ k }}{{ v }}{% endfor %}", "b1y2x"),
        ("{% generation %}g{% endgeneration %}{{ (1, 2)|last }}{{ [3, 3, 1]|unique|list|length }}", "g22"),
    ])
    func `Expressions and blocks`(_ source: String, _ expected: String) throws {
        #expect(try render(source) == expected)
    }

    @Test(arguments: [
        ("a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"),
        ("a \n {%- if true -%} \n b {%- endif +%}\nc", "ab\nc"),
        ("  {{ 1 }}\n  {# c #}\n d", "  1\n d"), ("x {%+ if true %}y{% endif %}", "x y"), ("{{- 1 -}}  \n 2", "12"),
        ("a\r\nb\n\n", "a\nb\n"), ("x\n\t{%- set y = 1 %}\nz", "xz"),
    ])
    func `White space around tags`(_ source: String, _ expected: String) throws {
        #expect(try render(source) == expected)
    }

    @Test(arguments: [
        "{{", "{% if %}{% endif %}", "{% if true %}", "{% endif %}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ 'a }}",
        "{# c",
        "{% for in x %}{% endfor %}", "{{ 1 // 0 }}", "{{ 9223372036854775807 + 1 }}", "{{ 99999999999999999999 }}",
        "{{ x.y }}", "{{ x() }}", "{{ messages }}", "{{ 1|no_such }}", "{{ 1 is no_such }}",
        "{% block x %}{% endblock %}",
        "{{ 'a' + 1 }}", "{{ [1][::0] }}", "{{ -'a' }}", "{% set a.b = 1 %}", "{{ range('x') }}", "{{ 1 < 'a' }}",
        "{{ 'a' * 99999999 }}", "{% raw %}x{% endraw %}", "{{ 'a'.split(1) }}", "{{ 1 $ 2 }}",
        "{{ -9223372036854775807 - 2 }}",
    ])
    func `What is wrong is an error`(_ source: String) {
        #expect(throws: JinjaError.self) { try render(source) }
    }

    @Test func `Hostile templates end soon`() {
        let loops =
            (0..<9).map { "{% for i\($0) in range(99) %}" }.joined() + "x"
            + String(repeating: "{% endfor %}", count: 9)
        let doubling =
            "{% set n = namespace(s='abcdefgh') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}"
        let lists =
            "{% set n = namespace(s=[1, 2]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s, n.s] %}{% endfor %}"
        let sources = [
            loops, doubling, lists + "{{ n.s|tojson }}", lists + "{{ n.s == n.s }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{{ " + String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000) + " }}",
            "{{ " + String(repeating: "not ", count: 5000) + "1 }}",
            "{{ 1" + String(repeating: " + 1", count: 5000) + " }}",
            "{{ " + String(repeating: "-", count: 5000) + "1 }}",
            "{{ 1" + String(repeating: "|string", count: 5000) + " }}",
            String(repeating: "{% if true %}", count: 5000) + String(repeating: "{% endif %}", count: 5000),
            "{% set n = namespace() %}{% set n.a = [n] %}{{ n == n }}", String(repeating: "x", count: 1 << 20),
            "{{ '" + String(repeating: "a", count: 60_000) + "b' in '" + String(repeating: "a", count: 120_000)
                + "' }}",
        ]
        for source in sources {
            let time = processorSeconds { _ = try? render(source) }
            // 0.3 s here at most.
            #expect(time < 10, "\(source.prefix(60))")
        }
    }

    /// Each chain is short enough; together they have 4,590 links.
    static let chains = "x" + String(repeating: "|string" + String(repeating: ".a", count: 50), count: 90)

    @Test(arguments: [
        (
            "{% set a = namespace(l=0) %}{% set b = namespace(l=0) %}{% set a.l=[[a]] %}{% set b.l=[[b]] %}{{ a == b }}",
            "a namespace is to hold another"
        ),
        ("{% set n = namespace() %}{% set n.a = [{'b': 1}.items] %}", "a namespace is to hold another"),
        (
            "{% set ns = namespace(l=0) %}{% for i in range(5800) %}{% set ns.l = [[[[[[ns.l]]]]]] %}{% endfor %}",
            "a value nests too deep"
        ),
        ("{% set l=1 %}" + String(repeating: "{% set l=[[l]] %}", count: 9000), "a value nests too deep"),
        ("{% set l=1 %}" + String(repeating: "{% set l={'a': l} %}", count: 9000), "a value nests too deep"),
        (
            "{% set l=1 %}" + String(repeating: "{% set l=namespace(a=l).values %}", count: 7000),
            "a value nests too deep"
        ),
        (
            "{% set l=1 %}" + String(repeating: "{% for l in [[l]] %}{% set l=[l] %}", count: 39)
                + String(repeating: "{% set l=[l] %}", count: 70) + String(repeating: "{% endfor %}", count: 39),
            "a value nests too deep"
        ),
        ("{{ " + JinjaTests.chains + " }}", "an expression is too long"),
        (
            "{{ " + String(repeating: "(", count: 28) + "x"
                + String(
                    repeating: String(repeating: "|f" + String(repeating: ".a", count: 99), count: 40) + ")", count: 28)
                + " }}", "an expression is too long"
        ),
        (
            "{{ 'a'|map(" + String(repeating: "'map',", count: 40_000) + "'upper')|list }}",
            "it calls itself too often"
        ),
        (
            "{% set n = namespace(s=['x']) %}{% for i in range(90) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ 'a'.startswith(n.s) }}",
            "it takes too many steps"
        ),
        (
            "{% set t = 'a ' * 9000 %}{% set t = t * 8 %}{{ t.split()|length }}",
            "it splits a text into too many pieces"
        ),
        (
            "{% set n = namespace(s=[]) %}{% set t = 'ab' * 9000 %}{% for i in range(200) %}{% set n.s = n.s + [t|list] %}{% endfor %}",
            "it makes too much text"
        ),
        // 32 MB of text from 100 bytes of template.
        (
            "{% set n = namespace(s='abcdefgh') %}{% for i in range(20) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
            "it makes too much text"
        ),
        ("{{ {messages[0].content: 1} }}", "a dictionary's key comes from a message"),
        (
            "{{ {'a' ~ messages[0].content: 1}|items|first|first }}", "a dictionary's key comes from a message"
        ),
        ("{{ strftime_now(messages[0].content) }}", "a format of the time comes from a message"),
    ])
    func `What would take the stack, the memory or the mark of content is refused`(
        _ source: String, _ reason: String
    ) {
        #expect(throws: JinjaError(reason)) { try render(source) }
    }

    @Test func `Values may nest and chains may be long within bounds`() throws {
        let lists = "{% set l=1 %}" + String(repeating: "{% set l=[l] %}", count: 98)
        #expect(try render(lists + "{{ l == l }}") == "True")
        let namespaces = "{% set n = namespace(l=0) %}{% set m = [n, {'a': n}] %}{% set n.l = [[1], [2]] %}"
        #expect(try render(namespaces + "{{ m[1].a.l[1][0] }}{{ m[0] == m[1].a }}") == "2True")
        #expect(try render("{{ {'a': messages[0].content}.a }}{{ {'a': 1}['a'] }}") == " A b 1")
        #expect(try render("{{ [" + String(repeating: "messages[0].role, ", count: 900) + "]|length }}") == "900")
        #expect(try render("{{ 'aXbXX'.replace('X', '') }}{{ 'a b'.split(' ', 0)|length }}") == "ab1")
    }

    @Test func `Taking off a set of characters takes linear time`() throws {
        let set = (0..<20_000).compactMap { Unicode.Scalar(0x4E00 + $0).map { String(Character($0)) } }.joined()
        let source = "{{ ('y' * 9000 * 100 ~ 'x' ~ 'y' * 9000).strip('\(set)y') }}"
        var result = ""
        let time = processorSeconds { result = (try? render(source)) ?? "" }
        #expect(result == "x")
        // 0.1 s here; the product of the lengths is 18 thousand million.
        #expect(time < 2, "\(time) s")
    }

    @Test func `Damaged templates are errors, not traps`() throws {
        let source = Array(
            "{%- macro m(x, y=1) %}{{ x[1:]|trim ~ y }}{% endmacro %}{% for m in messages if m.role != 'x' %}{{ loop.index0 % 2 }}{% set a = namespace(b=[1]) %}{% set a.b = a.b + [m] %}{{- '<|' + m['role'] + '|>\\n' }}{{ m.content.split('b')[-1] }}{% elif %}{% else %}{% endfor %}"
                .utf8)
        var random = SplitMix(state: 1)
        for round in 0..<5000 {
            var damaged = source
            for _ in 0...round % 3 {
                let place = Int.random(in: 0..<damaged.count, using: &random)
                switch round % 4 {
                case 0: damaged[place] = UInt8.random(in: 0x20...0x7E, using: &random)
                case 1: damaged.remove(at: place)
                case 2: damaged.insert(source[Int.random(in: 0..<source.count, using: &random)], at: place)
                default: damaged.swapAt(place, Int.random(in: 0..<damaged.count, using: &random))
                }
            }
            _ = try? render(String(decoding: damaged, as: UTF8.self))
        }
    }

    @Test func `Content stays content through every operation`() throws {
        let template = try JinjaTemplate(
            "{{ ('<' ~ messages[0].content|trim|upper ~ '>').replace('A', '<|a|>').split(' ')|join('<b>') }}", bos: "",
            eos: "")
        let segments = try template.segments([ChatMessage(.user, " x<s> y ")], addGenerationPrompt: false, now: .now())
        #expect(
            segments == [
                TextSegment("<", isMarkup: true), TextSegment("X<S>", isMarkup: false),
                TextSegment("<b>", isMarkup: true),
                TextSegment("Y", isMarkup: false), TextSegment(">", isMarkup: true),
            ])
    }
}
