import JSON
import Testing

@testable import Constraints

@Suite struct SchemaTests {
    @Test(arguments: [
        // Order, optional members, spacing; nothing that is not listed.
        (
            #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"}},"required":["b"]}"#,
            [#"{"a": 1, "b": null}"#, #"{"b": null}"#],
            [
                #"{"b": null, "a": 1}"#, #"{"a": 1}"#, #"{"a":1, "b": null}"#, #"{"b": null, "c": 1}"#,
                #"{"b": null,}"#, "{}",
            ]
        ),
        (
            #"{"type":"object","properties":{"a":true,"b":true},"minProperties":1,"maxProperties":1}"#,
            [#"{"a": 1}"#, #"{"b": [{"x": []}]}"#], ["{}", #"{"a": 1, "b": 1}"#]
        ),
        (
            #"{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}"#, ["[true]", "[true, false]"],
            ["[]", "[true,false]", "[true, true, true]", "[1]", "[true, ]"]
        ),
        (
            #"{"type":"array","prefixItems":[{"const":1},{"enum":["x"]}],"items":false}"#, ["[]", "[1]", #"[1, "x"]"#],
            [#"["x"]"#, #"[1, "x", 2]"#]
        ),
        (
            #"{"items":[{"const":1}],"additionalItems":{"const":2},"type":"array"}"#, ["[1]", "[1, 2, 2]"],
            ["[2]", "[1, 1]"]
        ),
        (
            #"{"type":"array","items":{"enum":["a","b"]},"uniqueItems":true,"minItems":1}"#,
            [#"["a"]"#, #"["b", "a"]"#], ["[]", #"["a", "a"]"#, #"["a", "b", "a"]"#]
        ),
        (
            #"{"type":["string","null"],"minLength":1,"maxLength":2}"#, ["null", #""a""#, #""é😀""#, #""\n\"""#],
            [#""""#, #""abc""#, "1", "\"\n\"", #""\x""#, #""\u0041""#]
        ),
        (#"{"type":"string","pattern":"^a\"\\\\$"}"#, [#""a\"\\""#], [#""a\"""#, #""a""#]),
        (
            #"{"enum":[1,"a",null,[1,{"x":true}],{"b":1}]}"#,
            ["1", #""a""#, "null", #"[1, {"x": true}]"#, #"{"b": 1}"#],
            ["2", "[1]", "true"]
        ),
        (
            #"{"enum":["a","bb",3,3.5,7],"type":["string","integer"],"maxLength":1,"minimum":5}"#, [#""a""#, "7"],
            [#""bb""#, "3", "3.5"]
        ),
        (#"{"const":{"a":[]}}"#, [#"{"a": []}"#], ["{}"]),
        (
            #"{"anyOf":[{"type":"integer"},{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}]}"#,
            ["12", #"{"a": null}"#], ["1.5", "{}", "null"]
        ),
        (
            #"{"type":"object","properties":{"a":{"type":"integer"}},"anyOf":[{"required":["a"]},{"properties":{"a":{"maximum":3}}}]}"#,
            ["{}", #"{"a": 3}"#, #"{"a": 10}"#], [#"{"a": null}"#]
        ),
        (
            #"{"allOf":[{"type":["string","number"]},{"minimum":2},{"maximum":4}],"type":["integer","null"]}"#,
            ["2", "4"],
            ["1", "5", "null", "2.5", #""a""#]
        ),
        (
            ##"{"$ref":"#/$defs/a%20b","$defs":{"a b":{"type":"array","items":{"$ref":"#/$defs/c~1d"}},"c/d":{"const":0}}}"##,
            ["[]", "[0, 0]"], ["[1]"]
        ),
        (##"{"type":"array","items":{"$ref":"#"}}"##, ["[]", "[[], [[]]]"], ["[1]", "[[]"]),
        ("true", ["null", "[]", #"{"a": {"b": [1, "x"]}}"#, "-1.5", #""x""#], ["nul", "[,]", "{1: 2}", "01"]),
        (
            #"{"type":"object","additionalProperties":{"type":"integer"}}"#, ["{}", #"{"x": 1, "y": 2}"#],
            [#"{"x": "1"}"#, #"{"": 1}"#]
        ),
        (
            #"{"type":"object","properties":{"a":{"const":1}},"additionalProperties":{"const":2}}"#,
            [#"{"a": 1, "b": 2}"#, #"{"ab": 2}"#, #"{"é\n": 2}"#], [#"{"a": 2}"#, #"{"b": 2, "a": 1}"#]
        ),
        (
            #"{"type":"object","patternProperties":{"^x":{"const":1},"y$":{"const":2}},"additionalProperties":false}"#,
            [#"{"xa": 1}"#, #"{"ay": 2, "x": 1}"#], [#"{"xy": 1}"#, #"{"z": 1}"#, #"{"xa": 2}"#]
        ),
        (
            #"{"type":"object","properties":{"xa":{"type":"integer"}},"patternProperties":{"^x":{"minimum":3}},"required":["xa"]}"#,
            [#"{"xa": 3}"#], [#"{"xa": 2}"#]
        ),
        (#"{"type":"object","propertyNames":{"pattern":"^[a-c]+$"}}"#, [#"{"ab": 1}"#], [#"{"d": 1}"#]),
        (#"{"oneOf":[{"type":"string"},{"type":"integer"}]}"#, ["1", #""a""#], ["null"]),
        (
            #"{"type":"integer","multipleOf":7,"exclusiveMinimum":-7,"maximum":14}"#, ["0", "7", "14"],
            ["-7", "1", "21"]
        ),
        (#"{"type":"string","format":"made-up"}"#, [#""x""#], []),
        (
            #"{"type":"string","pattern":"b","minLength":2,"maxLength":3}"#, [#""ab""#, #""bbb""#],
            [#""b""#, #""aaa""#, #""abbb""#]
        ),
    ])
    func allows(_ schema: String, _ good: [String], _ bad: [String]) throws {
        let grammar = try Grammar.schema(schema)
        for text in good { #expect(grammar.accepts(text), "\(text)") }
        for text in bad { #expect(!grammar.accepts(text), "\(text)") }
    }

    @Test(arguments: [
        (#"{"not":{}}"#, "/not", "not supported"), (#"{"properties":{"a":{"if":true}}}"#, "/properties/a/if", "anyOf"),
        (#"{"properties":{"a/b":{"contains":true}}}"#, "/properties/a~1b/contains", "items"),
        (#"{"type":"number","multipleOf":0.1}"#, "/multipleOf", "whole numbers"),
        (#"{"multipleOf":-2}"#, "/multipleOf", "whole numbers"), (#"{"type":"date"}"#, "/type", "integer"),
        (#"{"minimum":"1"}"#, "/minimum", "number"),
        (#"{"exclusiveMinimum":true,"minimum":1}"#, "/exclusiveMinimum", "number"),
        (#"{"maxLength":-1}"#, "/maxLength", "whole number"),
        (#"{"type":"string","pattern":"(?=a)"}"#, "/pattern", "look-ahead"),
        (#"{"type":"string","format":"idn-email"}"#, "/format", "not supported"),
        (#"{"$ref":"other.json"}"#, "/$ref", "inside"),
        (##"{"$ref":"#/$defs/x"}"##, "/$ref", "nothing at"), (##"{"$ref":"#"}"##, "root", "itself"),
        (##"{"anyOf":[{"$ref":"#"},{"type":"null"}]}"##, "root", "itself"), (##"{"anyOf":[]}"##, "/anyOf", "list"),
        (#"{"items":{"uniqueItems":true,"items":{"type":"string"}}}"#, "/items/uniqueItems", "enum"),
        (#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#, "/oneOf", "branches 0 and 1"),
        (#"{"oneOf":[{"properties":{"a":true}},{"properties":{"b":true}}]}"#, "/oneOf", "branches"),
        (#"{"enum":[]}"#, "/enum", "list"), (#"{"properties":[]}"#, "/properties", "object"),
        (#"{"required":"a"}"#, "/required", "list"), (#"{"dependentRequired":{}}"#, "/dependentRequired", "anyOf"),
        (#"{"properties":{"a":{"$id":"x"}}}"#, "/properties/a/$id", "inside"),
        (#"{"properties":{"a":1}}"#, "/properties/a", "object"),
        (
            #"{"type":"object","patternProperties":{"^[ab]$":true},"additionalProperties":false}"#, "root",
            "only so many names"
        ),
        (#"{"enum":[[1]],"type":"array","minItems":1}"#, "root", "beside keywords"),
    ])
    func refusesByPointer(_ schema: String, _ pointer: String, _ reason: String) {
        let error = #expect(throws: GrammarError.self) { try Grammar.schema(schema) }
        let text = error?.description ?? ""
        #expect(text.contains("schema's \(pointer) ") && text.contains(reason), "\(text)")
        #expect(!text.contains("\n"))
    }

    @Test(arguments: [
        // Free names could be added for ever, and were until the text was too long. Found by fuzzing.
        #"{"type":"object","patternProperties":{"^n":{"type":"integer"}},"minProperties":30,"maxProperties":6}"#,
        "false", #"{"type":"integer","minimum":2,"maximum":1}"#, #"{"type":"string","minLength":3,"maxLength":2}"#,
        #"{"type":"string","pattern":"^a$","minLength":2}"#, #"{"enum":[1],"type":"string"}"#,
        #"{"type":"object","required":["a"],"additionalProperties":false}"#,
        ##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##,
        #"{"type":"array","items":false,"minItems":1}"#, #"{"type":"integer","minimum":1,"maximum":6,"multipleOf":7}"#,
    ])
    func saysThatNothingFits(_ schema: String) {
        let error = #expect(throws: GrammarError.self) { try Grammar.schema(schema) }
        #expect(error?.description.contains("no text can satisfy") == true, "\(error?.description ?? "")")
    }

    @Test func datesAreThoseOfTheCalendar() throws {
        let grammar = try Grammar.schema(#"{"type":"string","format":"date"}"#)
        func days(_ year: Int, _ month: Int) -> Int {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        }
        func digits(_ value: Int, _ count: Int) -> String {
            String(repeating: "0", count: max(0, count - String(value).count)) + String(value)
        }
        for year in Array(0...12) + [99, 100, 400, 1000, 1900, 1904, 1999, 2000, 2023, 2024, 2100, 2400, 9996, 9999] {
            for month in 0...13 {
                for day in 0...32 {
                    let text = "\"\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))\""
                    let isReal =
                        year > 0 && (1...12).contains(month) && day >= 1 && day <= days(year, max(1, min(12, month)))
                    #expect(grammar.accepts(text) == isReal, "\(text)")
                }
            }
        }
    }

    @Test(arguments: [
        (
            "date-time", ["2024-02-29T23:59:59Z", "2023-12-31T00:00:00.123+05:30"],
            [
                "2023-02-29T00:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00",
                "2024-01-01T00:00:60Z",
            ]
        ),
        ("time", ["00:00:00Z", "23:59:59.5-01:00"], ["24:00:00Z", "1:00:00Z", "12:00:00"]),
        (
            "uuid", ["123e4567-e89b-12d3-a456-426614174000"],
            ["123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g"]
        ),
        ("ipv4", ["0.0.0.0", "255.249.99.10"], ["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4.5"]),
        ("ipv6", ["0:0:0:0:0:0:0:1"], ["1::2:3", ":::"]), ("email", ["a.b-c@d-e.org"], ["a@b", "@b.org", "a..b@c.de"]),
        ("hostname", ["a", "pi-4.local"], ["-a.de", "a-.de", "a..b", ""]),
        ("duration", ["P1D", "PT5M", "P3W", "P1Y2M3DT4H"], ["P", "PT", "1D", "P1S"]),
        ("uri", ["https://a-b.org/x/y?q=1#z"], ["a.org", "https://", "https://a b.org"]),
    ])
    func formats(_ format: String, _ good: [String], _ bad: [String]) throws {
        let grammar = try Grammar.schema(#"{"type":"string","format":"\#(format)"}"#)
        for text in good { #expect(grammar.accepts("\"\(text)\""), "\(text)") }
        for text in bad { #expect(!grammar.accepts("\"\(text)\""), "\(text)") }
    }

    @Test func depthIsCapped() throws {
        let grammar = try Grammar.schema(##"{"type":"array","items":{"$ref":"#"}}"##)
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(grammar.accepts(nested(Grammar.mostLevels)))
        #expect(!grammar.accepts(nested(Grammar.mostLevels + 1)))
    }
}
