import Linux
import Testing

@testable import Tasks

private func event(_ second: Int64, _ topic: String, _ text: String) -> SummaryEvent {
    // 2026-11-21T03:12:00Z and on.
    SummaryEvent(received: Timestamp(milliseconds: 1_795_230_720_000 + second * 1000), topic: topic, text: text)
}

@Suite struct WrittenNumberTests {
    private func values(_ text: String) -> [Double] { writtenNumbers(text).filter { !$0.isVerbatim }.map(\.value) }
    private func names(_ text: String) -> [String] { writtenNumbers(text).filter(\.isVerbatim).map(\.text) }

    @Test func decimalsAndSigns() {
        #expect(values("from -3.50 to 21.5, then −4") == [-3.5, 21.5, -4])
        #expect(writtenNumbers("21.50").first?.decimals == 2)
    }

    @Test func aHyphenIsNoSign() {
        #expect(values("5-7 and 2026-11-21") == [5, 7, 2026, 11, 21])
    }

    @Test func thousandsSeparators() {
        #expect(values("1,234 and 12,345,678 but 1,23 and 1,2345") == [1234, 12_345_678, 1, 23, 1, 2345])
    }

    @Test func aSentenceEndIsNoDecimalPoint() {
        #expect(values("It was 21. Then 22.") == [21, 22])
    }

    @Test func timesAndNamesAreVerbatim() {
        #expect(names("sensor2 at 03:12 and Q4_1") == ["sensor2", "03:12", "Q4_1"])
        #expect(values("sensor2 at 03:12") == [])
    }

    @Test func cardinalsInWordsCountAndOrdinalsDoNot() {
        #expect(values("Two doors, twelve lamps, one cat") == [2, 12])
        #expect(values("twenty-five, thirty one, ninety, two hundred, a dozen, twice") == [25, 31, 90, 200, 12, 2])
        #expect(values("the first, second and third day, someone, often, tension") == [])
    }

    @Test func numbersOfOtherScriptsAreComparedAsTheyAre() {
        #expect(names("٣ events, ½ of them, 12 m², ５ lamps") == ["٣", "½", "²", "５"])
        #expect(names("21°C, 5 µg, café, 温度") == [])
    }

    @Test func unitsDoNotHideNumbers() {
        #expect(values("98% and 21.5°C") == [98, 21.5])
    }

    @Test func endsOfTextAreSafe() {
        for text in ["", "-", "1,", "1.", "1:", "12:3", "1,234,", "−", "9"] { _ = writtenNumbers(text) }
        #expect(values("1,234,") == [1234])
    }
}

@Suite struct GroundingTests {
    private let digest = WindowDigest([
        event(0, "home/kitchen/temperature", "20.10"), event(60, "home/kitchen/temperature", "21.46"),
        event(120, "home/kitchen/temperature", "23.96"), event(180, "home/door", "opened"),
        event(240, "home/door", "closed"), event(300, "home/door", "opened"),
    ])

    @Test(arguments: [
        "The kitchen went from 20.1 to 23.96.", "About 24 degrees at the end, 20 at the start.",
        "6 events in 5 minutes.", "Three readings with an average of 21.84.", "The door opened two times.",
        "It rose by 3.86 degrees.", "It rose by 19%.", "At 03:12 it was 20.10.", "Nothing stands out.",
        "On 2026-11-21 the door was opened twice.",
    ])
    func whatFollowsFromTheWindowIsGrounded(summary: String) {
        #expect(Grounding(digest).firstInvented(in: summary) == nil)
    }

    @Test(arguments: [
        ("The kitchen reached 25 degrees.", "25"), ("It fell to 19.9.", "19.9"), ("Average 21.8512.", "21.8512"),
        ("Eight events.", "Eight"), ("At 04:30 the door opened.", "04:30"), ("sensor7 was silent.", "sensor7"),
        ("1,234 readings", "1,234"), ("It rose by 90%.", "90"), ("Thirty-one doors.", "Thirty-one"),
        // In the window, but not as what the words say.
        ("The average was 23.96.", "23.96"), ("The highest temperature was 20.1.", "20.1"),
        ("The lowest reading, and the lowest was 21.46.", "21.46"), ("There were 20 readings.", "20"),
        ("It lasted 6 minutes.", "6"), ("It was 19.2 degrees.", "19.2"), ("At 03:12 pm it rang.", "03:12"),
        ("11 events on that day.", "11"), ("It was -21.46 degrees.", "21.46"), ("٣ events.", "٣"),
    ])
    func whatDoesNotFollowIsNamed(summary: String, invented: String) {
        #expect(Grounding(digest).firstInvented(in: summary) == invented)
    }

    @Test func aSentenceThatNamesASeriesSpeaksOfThatSeries() {
        let digest = WindowDigest([
            event(0, "home/climate", "temperature: 21, humidity: 45"),
            event(9, "home/climate", "temperature: 23, humidity: 47"),
        ])
        let grounding = Grounding(digest)
        #expect(grounding.firstInvented(in: "The temperature rose from 21 to 23. Humidity was 45 to 47%.") == nil)
        #expect(grounding.firstInvented(in: "Temperature and humidity ended at 23 and 47.") == nil)
        #expect(grounding.firstInvented(in: "The temperature was 45.") == "45")
        #expect(grounding.firstInvented(in: "The highest value was 47.") == nil)
    }

    @Test func numbersInNamesAreNoCounts() {
        let grounding = Grounding(WindowDigest([event(0, "room/17", "opened"), event(1, "room/17", "closed 3 times")]))
        #expect(grounding.firstInvented(in: "Room 17 was opened and closed 3 times.") == nil)
        #expect(grounding.firstInvented(in: "There were 17 events.") == "17")
    }

    @Test func belowZeroMayBeToldWithoutASign() {
        let grounding = Grounding(WindowDigest([event(0, "freezer", "-18"), event(1, "freezer", "-23")]))
        #expect(grounding.firstInvented(in: "The freezer fell by 5 to -23.") == nil)
        #expect(grounding.firstInvented(in: "It is 23 degrees below zero.") == nil)
        #expect(grounding.firstInvented(in: "The freezer is at 23.") == "23")
    }

    @Test func aTemplateSentenceOfAnyWindowIsGrounded() {
        var state: UInt64 = 7
        func random(_ below: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % below
        }
        let topics = ["home/rtl_433/Acurite_606", "room/3/lamp", "zigbee2mqtt/0x00fe62", "a", "co2_ppm", "x/y/z/12.5"]
        let texts = [
            "on", "door 5 open", "1,234 W", "-0.00476", "21.46 °C", "temperature: -3.5, state: OFF, voltage: 3000",
            "peak at 03:12, average 7.25", "Error 0x1F (code 42): average high 99%",
            String(repeating: "word 17 ", count: 40),
        ]
        for _ in 0..<500 {
            let events = (0..<(1 + random(12))).map {
                event(Int64($0 * random(4000)), topics[Int(random(6))], texts[Int(random(9))])
            }
            let digest = WindowDigest(events)
            #expect(Grounding(digest).firstInvented(in: digest.sentence) == nil, "\(digest.sentence)")
        }
    }

    @Test func theTemplateSentenceIsGrounded() {
        #expect(Grounding(digest).firstInvented(in: digest.sentence) == nil)
        #expect(digest.sentence.contains("20.1") && digest.sentence.contains("opened"))
    }
}

@Suite struct WindowDigestTests {
    @Test func numbersAreReducedToFacts() {
        let digest = WindowDigest([1, 2, 6].map { event($0, "a/b/t", "\($0)") })
        #expect(digest.lines == ["b t: 3 readings, first 1, last 6, lowest 1, highest 6, average 3"])
    }

    @Test func fieldsOfARenderedPayloadAreSeriesOfTheirOwn() {
        let digest = WindowDigest([event(0, "z/s", "temperature: 21.5, contact: false, battery: 90")])
        #expect(digest.lines == ["z s contact: false", "z s temperature: 21.5", "z s battery: 90"])
    }

    @Test func repeatedTextsAreCounted() {
        let digest = WindowDigest(["on", "off", "on"].enumerated().map { event(Int64($0.offset), "lamp", $0.element) })
        #expect(digest.lines == ["lamp: on (2 times); off"])
    }

    @Test func aFloodOfTopicsAndTextsStaysSmall() {
        let events = (0..<5000).map { event(Int64($0), "t/\($0 % 700)", $0 % 2 == 0 ? "\($0)" : "text \($0)") }
        let digest = WindowDigest(events)
        #expect(digest.events == 5000)
        #expect(digest.lines.count == WindowDigest.mostLines)
        #expect(digest.numbers.count + digest.nameNumbers.count + digest.verbatim.count <= WindowDigest.mostNumbers)
        #expect(digest.series.count == WindowDigest.mostSeries && digest.texts.count == WindowDigest.mostSeries)
    }

    @Test func plainNumbersCarryNoNoise() {
        #expect(
            [21.5, 21.0, 0.999, 0.05, -3.456, 1e20].map(plainNumber) == ["21.5", "21", "1", "0.05", "-3.46", "1e+20"])
        #expect([0, -0.004, 0.0047642, 1e-12].map(plainNumber) == ["0", "-0.004", "0.00476", "0"])
    }
}

@Suite struct EventFieldsTests {
    private func described(_ text: String) -> [String] {
        EventFields(text).fields.map { field in
            switch field.value {
            case .number(let value): "\(field.name)=\(value)"
            case .text(let text): "\(field.name)='\(text)'"
            }
        }
    }

    @Test func numbersWithAndWithoutUnits() {
        #expect(described("21.5") == ["=21.5"])
        #expect(described(" -3.5 °C ") == ["=-3.5"])
        #expect(described("450ppm") == ["=450.0"])
        #expect(described("5e2") == ["=500.0"])
        #expect(described("98%") == ["=98.0"])
    }

    @Test func whatOnlyBeginsLikeANumberIsText() {
        for text in ["2021-01-21T16:04:12", "12:30", "3 doors open", "5e-lamp", "1.2.3", "-", "0x4800", "nan", "inf"] {
            #expect(described(text) == ["='\(text)'"])
        }
    }

    @Test func fieldsOfARenderedPayload() {
        #expect(
            described("temperature: 21.5, contact: false, update.state: idle")
                == ["temperature=21.5", "contact='false'", "update.state='idle'"])
    }

    @Test func aSentenceIsNoListOfFields() {
        for text in ["Warning: disk full, please clean up", "He said: yes, no: maybe", "a, b, c", "Error in line 3: x"]
        {
            #expect(EventFields(text).fields.count == (text.hasPrefix("He") ? 2 : 1), "\(text)")
        }
    }
}

@Suite struct TidiedTests {
    @Test func anAnswerBecomesOneParagraph() {
        #expect(tidied("- One.\n- Two.\n\n", isComplete: true) == "One. Two.")
        #expect(tidied("It is 21.5 now. It is 21.5 now. Done", isComplete: true) == "It is 21.5 now. Done")
    }

    @Test func aSentenceCutByTheLimitIsLeftOut() {
        #expect(
            tidied("All is well. The temperature is 21.", isComplete: false) == "All is well. The temperature is 21.")
        #expect(tidied("All is well. The temperature is 2", isComplete: false) == "All is well.")
        #expect(tidied("Only half a sent", isComplete: false) == "Only half a sent")
    }
}
