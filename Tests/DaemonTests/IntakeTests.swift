import TestSupport
import Testing

@testable import Daemon

/// The text a task without (or with) a template reads for a payload.
func text(_ payload: String, topic: String = "home/x", template: String? = nil) throws -> String {
    try EventText.make(
        topic: topic, payload: Payload(Array(payload.utf8)), template: try template.map { try EventTemplate($0) })
}

@Suite struct IntakeOfPayloads {
    @Test(arguments: [
        ("Front door opened", "Front door opened"), ("21.50", "21.50"), ("-3", "-3"), ("ON", "ON"), ("true", "true"),
        ("\"open\"", "open"), ("  padded\n", "padded"), ("{broken", "{broken"), ("{}", "{}"), ("[]", "[]"),
        ("[1,2.50,null,\"x\"]", "1 2.50 x"),
    ])
    func readsTextAndNumbers(_ payload: String, _ expected: String) throws {
        #expect(try text(payload) == expected)
    }

    // Shapes of Zigbee2MQTT, Tasmota, ESPHome, rtl_433 and Theengs.
    @Test(arguments: [
        (
            #"{"battery":null,"illuminance":21,"occupancy":true,"color":{"x":0.443,"y":0.10}}"#,
            "illuminance: 21, occupancy: true, color.x: 0.443, color.y: 0.10"
        ),
        (
            #"{"Time":"2019-11-25T01:23:17","AM2301":{"Temperature":20.40,"Humidity":43.9},"TempUnit":"C"}"#,
            "Time: 2019-11-25T01:23:17, TempUnit: C, AM2301.Temperature: 20.40, AM2301.Humidity: 43.9"
        ),
        (
            #"{"model" : "SCMplus", "id" : 1, "mic" : "CRC", "rssi" : -0.106}"#,
            "model: SCMplus, id: 1, mic: CRC, rssi: -0.106"
        ),
        (
            #"{"frames":{"count":7},"stats":[{"device":154,"ok":4},{"device":1}]}"#,
            "frames.count: 7, stats.0.device: 154, stats.0.ok: 4, stats.1.device: 1"
        ),
    ])
    func flattensJSON(_ payload: String, _ expected: String) throws {
        #expect(try text(payload) == expected)
    }

    @Test func readsTheExamplesOfTheSenMLRFC() throws {
        // RFC 8428, sections 5.1.1, 5.1.2 and 5.1.5 (shortened).
        #expect(
            try text(#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#)
                == "urn:dev:ow:10e2073a01080063 23.1 Cel")
        #expect(
            try text(
                #"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.10},{"n":"current","u":"A","v":1.2}]"#
            )
                == "urn:dev:ow:10e2073a01080063:voltage 120.10 V, urn:dev:ow:10e2073a01080063:current 1.2 A")
        #expect(
            try text(#"[{"bn":"x","bt":1.32e9,"bu":"%RH","v":20},{"u":"lon","v":24.3},{"vb":false},{"vs":"ok"}]"#)
                == "x 20 %RH, x 24.3 lon, x false %RH, x ok %RH")
        #expect(try text(#"[{"bn":"t","bv":20.1,"v":0.2}]"#) == "t 20.3")
        #expect(try text(#"[{"n":"a","v":1,"extra":2}]"#) == "0.n: a, 0.v: 1, 0.extra: 2")
    }

    @Test func repairsInvalidUTF8AndStillReadsTheJSON() throws {
        let payload = Payload(Array("{\"t\":\"21 ".utf8) + [0xB0] + Array("C\"}".utf8))
        #expect(try EventText.make(topic: "t", payload: payload, template: nil) == "t: 21 \u{FFFD}C")
    }

    @Test func stripsWhatCannotBeSeen() throws {
        #expect(try text("a\u{0}b\u{7}c\u{200B}d\u{202E}e\u{FEFF}\u{E0041}f\u{AD}g") == "a b cdefg")
        #expect(try text("one\r\ntwo\n\n\nthree\t\tfour \u{A0} five") == "one\ntwo\nthree four five")
    }

    @Test func capsTheLengthAtACharacter() throws {
        let text = try text(String(repeating: "é", count: 20_000))
        #expect(text.utf8.count <= EventText.longest && text.utf8.count > EventText.longest - 4)
        #expect(text.hasSuffix("é…"))
        let family = EventText.clean("ab" + String(repeating: "👍🏽", count: 10), longest: 16)
        #expect(family == "ab👍🏽…")
    }

    @Test func refusesEmptyMessages() {
        #expect(throws: EventFailure.emptyPayload) { try text("") }
        #expect(throws: EventFailure.emptyPayload) { try text(" \n") }
        #expect(throws: EventFailure.emptyText) { try text("\u{200B}\u{0}") }
    }

    @Test func survivesAnyBytes() {
        var generator = SplitMix(state: 1)
        for _ in 0..<500 {
            let count = Int.random(in: 1...200, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            _ = try? EventText.make(topic: "t", payload: Payload([UInt8(ascii: "{")] + bytes), template: nil)
            _ = try? EventText.make(topic: "t", payload: Payload(bytes), template: nil)
        }
    }
}

@Suite struct Subscriptions {
    @Test(arguments: [
        ("home/#", "home/+/alerts", true), ("#", "a", true), ("home/#", "home", true), ("+/b", "a/b", true),
        ("a/+", "+/b", false), ("a/+", "a/#", false), ("a/b", "a/+", false), ("#", "$SYS/x", false),
        ("a", "a/b", false), ("$share/g/a/#", "a/b", false), ("+/#", "#", false),
    ])
    func aFilterCoversAnother(_ outer: String, _ inner: String, _ expected: Bool) {
        #expect(TopicCover.covers(outer, inner) == expected)
    }

    @Test func coveredFiltersAreNotSubscribedTwice() {
        let filters = ["home/+/alerts", "home/#", "home/#", "$share/g/home/#", "door"]
        #expect(TopicCover.withoutCovered(filters) == ["home/#", "$share/g/home/#", "door"])
    }
}

@Suite struct Templates {
    let payload =
        #"{"contact":false,"temp":21.50,"update":{"state":"idle"},"list":[1,{"a":"b"}],"a.b":"dot","a/b":2,"nil":null}"#

    @Test(arguments: [
        ("{{topic}}: {{payload.contact}} {{payload.action}}", "home/x: false"),
        ("{{ payload.temp }} °C", "21.50 °C"), ("{{payload.update.state}}", "idle"), ("{{payload.list.1.a}}", "b"),
        ("{{payload./a.b}}/{{payload./a~1b}}", "dot/2"), ("{{payload.nil}}x", "x"), ("{{topic.1}}", "x"),
        ("{{topic.7}}-", "-"), ("{{payload.update}}", #"{"state":"idle"}"#), ("}} {{topic}} }", "}} home/x }"),
        ("plain", "plain"),
    ])
    func renders(_ template: String, _ expected: String) throws {
        #expect(try text(payload, template: template) == expected)
    }

    @Test func thePayloadAloneReadsAsWithoutATemplate() throws {
        #expect(try text(#"{"a":1}"#, template: "{{topic}}: {{payload}}") == "home/x: a: 1")
        #expect(try text("21.5", template: "{{topic.1}} is {{payload}}") == "x is 21.5")
    }

    @Test func aTemplateOfTheTopicAloneAcceptsEmptyMessages() throws {
        #expect(try text("", template: "{{topic}} fired") == "home/x fired")
        #expect(throws: EventFailure.emptyPayload) { try text("", template: "{{payload.x}}") }
    }
}
