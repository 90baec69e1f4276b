import Testing

@testable import JSON

@Suite struct JSONParsing {
    @Test func keepsKeyOrderAndNumberDigits() throws {
        let text = #"{"z":21.50,"a":[-0,1e3,-59.50,"é"],"m":{"x":true,"y":null}}"#
        #expect(try JSONValue(parsing: text).text == text)
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "01", "1.", ".5", "-",
        "+1", "1e", "1e+", "tru", "nul", "True", "\"abc", "\"\\x\"", "\"\\u12g4\"", "\"a\nb\"", "[1] 2", "{} {}",
        "\u{FEFF}{}", "NaN", "'a'", "[1 2]", "{\"a\" 1}", "\"\\u00\"",
    ])
    func refusesWhatIsNotJSON(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test func readsEscapesAndSurrogatePairs() throws {
        let value = try JSONValue(parsing: #""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#)
        #expect(value == .string("a\"\\/\u{8}\u{C}\n\r\té😀"))
        #expect(try JSONValue(parsing: #""\ud83dx""#) == .string("\u{FFFD}x"))
        #expect(try JSONValue(parsing: #""\ud83d\u0041""#) == .string("\u{FFFD}A"))
        #expect(try JSONValue(parsing: #""\udc00""#) == .string("\u{FFFD}"))
    }

    @Test func refusesInvalidUTF8() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func stopsAtTheDepthLimit() throws {
        let fits = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        _ = try JSONValue(parsing: fits)
        let bomb = String(repeating: "[", count: 200_000)
        #expect(throws: JSONError(reason: .tooDeep, offset: 64)) { try JSONValue(parsing: bomb) }
    }

    @Test func stopsAtTheValueLimit() {
        let text = "[" + Array(repeating: "0", count: 70_000).joined(separator: ",") + "]"
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test func theLastOfEqualKeysCounts() throws {
        #expect(try JSONValue(parsing: #"{"a":1,"a":2}"#)["a"]?.integer == 2)
    }

    @Test func survivesEveryTruncationOfARealPayload() throws {
        let text = #"{"Time":"2021","ENERGY":{"Total":7970.903,"List":[1,-2.5e3,"x\u00b0"]},"on":true,"n":null}"#
        let bytes = Array(text.utf8)
        _ = try JSONValue(parsing: bytes)
        for count in 0..<bytes.count {
            #expect(throws: JSONError.self) { try JSONValue(parsing: Array(bytes[..<count])) }
        }
    }
}

@Suite struct JSONWriting {
    @Test func writesMembersInTheOrderOfCalls() {
        let bytes = JSONWriter.bytes {
            $0.member("b", 1)
            $0.object("a") { $0.member("x", 41.25, decimals: 1) }
            $0.array("list") {
                $0.integer(1); $0.string("two"); $0.null()
            }
            $0.object("empty") { _ in }
            $0.member("t", true)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text == #"{"b":1,"a":{"x":41.3},"list":[1,"two",null],"empty":{},"t":true}"#)
    }

    @Test func escapesWhatRFC8259Requires() throws {
        let text = "\u{0}\u{1F}\"\\\n\r\t\u{7F}é😀"
        let written = JSONValue.string(text).text
        #expect(written == #""\u0000\u001f\"\\\n\r\t\u007fé😀""#)
        #expect(try JSONValue(parsing: written) == .string(text))
    }

    @Test(arguments: [
        (0.0, "0"), (-0.0, "0"), (3.0, "3"), (0.1, "0.1"), (1e300, "1e+300"), (.infinity, "null"), (.nan, "null"),
    ])
    func writesDoublesAsOtherToolsDo(_ value: Double, _ expected: String) {
        var writer = JSONWriter()
        writer.number(value)
        #expect(writer.text == expected)
    }

    @Test func roundsToDecimals() {
        var writer = JSONWriter()
        writer.array {
            $0.number(0.834567, decimals: 2)
            $0.number(0.999, decimals: 2)
            $0.number(1e16, decimals: 3)
        }
        #expect(writer.text == "[0.83,1,1e+16]")
    }
}

@Suite struct JSONPointers {
    // The example document and answers of RFC 6901, section 5.
    @Test(arguments: [
        ("/foo/0", #""bar""#), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"), ("/m~0n", "8"), ("/ ", "7"),
    ])
    func followsTheExamplesOfTheRFC(_ text: String, _ expected: String) throws {
        let document = try JSONValue(parsing: #"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2," ":7,"m~n":8}"#)
        let pointer = try #require(JSONPointer(text))
        #expect(document[pointer]?.text == expected)
        #expect(pointer.description == text)
    }

    @Test func findsNothingWhereThereIsNothing() throws {
        let document = try JSONValue(parsing: #"{"a":[1,2]}"#)
        for text in ["/b", "/a/2", "/a/-", "/a/01", "/a/-1", "/a/0/x", "/a/99999999999999999999"] {
            #expect(document[try #require(JSONPointer(text))] == nil)
        }
        #expect(document[try #require(JSONPointer(""))] == document)
    }

    @Test func refusesMalformedPointers() {
        #expect(JSONPointer("a") == nil)
        #expect(JSONPointer("/a~") == nil)
        #expect(JSONPointer("/a~2") == nil)
    }
}

@Suite struct JSONEncoding {
    struct Inner: Encodable {
        var z = 1.5
        var a: Int?
        var list = [1, 2]
    }
    struct Outer: Encodable {
        var name = "x"
        var inner = Inner()
        var flag = true
        var map = ["only": UInt8(7)]
        var gone: String?
    }

    @Test func keepsTheOrderOfMembersAndLeavesOutNil() {
        #expect(
            JSONValue(encoding: Outer())?.text
                == #"{"name":"x","inner":{"z":1.5,"list":[1,2]},"flag":true,"map":{"only":7}}"#)
        #expect(JSONValue(encoding: [Int]())?.text == "[]")
        #expect(JSONValue(encoding: "s")?.text == #""s""#)
    }

    @Test func refusesInfiniteNumbers() { #expect(JSONValue(encoding: [Double.infinity]) == nil) }
}
