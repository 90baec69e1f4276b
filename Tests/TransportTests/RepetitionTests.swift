import Synchronization
import TestSupport
import Testing

@testable import Transport

/// A broker that uses the lowest free packet id sends equal readings under equal ids; DUP alone does not tell whether
/// one of them was seen.
@Suite struct Repetitions {
    /// "open" on "in", as packet 1.
    private static func publish(repeated: Bool) -> [UInt8] {
        [repeated ? 0x3A : 0x32, 10, 0, 2] + Array("in".utf8) + [0, 1] + Array("open".utf8)
    }
    private static let resumed: [UInt8] = [0x20, 2, 1, 0]

    private static func open(repeated: Bool) -> ScriptedServer.Step {
        ScriptedServer.Step(after: 1) { _ in resumed + publish(repeated: repeated) }
    }

    /// The acknowledgement of our answer, whose topic has one letter.
    private static let answered = ScriptedServer.Step(after: 3) { [0x40, 2, $0[5], $0[6]] }
    private static let unanswered = ScriptedServer.Step(after: 3) { _ in [] }

    /// A client that answers each message, until `isOver`; its marks go to `marks` at the end.
    private func run(
        _ scripts: [[ScriptedServer.Step]], known: [DeliveryMark] = [], until isOver: (Recorder, MQTTClient) -> Bool
    ) throws -> (texts: [String], duplicates: Int, confirmed: [DeliveryMark]) {
        let server = try ScriptedServer(scripts)
        var options = MQTTOptions(host: "127.0.0.1", port: server.port)
        options.clientID = "repeated"
        options.protocolVersion = .v311
        options.backoffMilliseconds = 1...2
        let client = try MQTTClient(options)
        defer { client.stop(drainFor: .zero) }
        client.expectRedelivery(of: known)
        let recorder = Recorder()
        let answered = Mutex(0)
        try client.start(
            onMessage: { message in
                recorder.add(message)
                return .accepted
            }, onPause: { .accepted },
            onAcknowledged: {
                let count = recorder.messages.count
                guard count > answered.withLock({ $0 }) else { return }
                answered.withLock { $0 = count }
                try? client.publish(MQTTMessage(topic: "a", text: "", qos: 1), token: UInt64(count))
            }, onEvent: { recorder.add($0) })
        #expect(eventually { isOver(recorder, client) }, "\(recorder.events)")
        return (recorder.messages.map(\.text), client.counters.duplicates, client.takeConfirmed())
    }

    @Test func behindAnAnswerOfTheBrokerItIsAnotherMessage() throws {
        let again = ScriptedServer.Step(after: 3) { [0x40, 2, $0[5], $0[6]] + Self.publish(repeated: false) }
        let seen = try run([[Self.open(repeated: false), again, Self.answered], [Self.open(repeated: true)]]) {
            recorder, _ in recorder.messages.count == 3
        }
        #expect(seen.texts == ["open", "open", "open"] && seen.duplicates == 0)
        #expect(seen.confirmed.first == DeliveryMark(packetID: 1, topic: "in", payload: Array("open".utf8)))
    }

    /// mosquitto, killed before it has written that it had our acknowledgement. Its packet ids are new ones for long.
    @Test func aBrokerThatForgotOurAcknowledgementIsNotAnsweredTwice() throws {
        let seen = try run([[Self.open(repeated: false), Self.answered], [Self.open(repeated: true)]]) {
            $1.counters.duplicates == 1
        }
        #expect(seen.texts == ["open"] && seen.confirmed.isEmpty)
    }

    @Test func whatMayBeUnacknowledgedIsKnown() throws {
        let seen = try run([[Self.open(repeated: false), Self.unanswered], [Self.open(repeated: true)]]) {
            $1.counters.duplicates == 1
        }
        #expect(seen.texts == ["open"] && seen.confirmed.isEmpty)
    }

    /// The marks of an earlier run hold until the first message that is no repetition.
    @Test func marksOfAnEarlierRunEndWithTheRepetitions() throws {
        let mark = DeliveryMark(packetID: 1, topic: "in", payload: Array("open".utf8))
        let other = DeliveryMark(packetID: 7, topic: "in", payload: [])
        let again = ScriptedServer.Step(after: 1) { _ in
            Self.resumed + Self.publish(repeated: true) + Self.publish(repeated: false)
        }
        let seen = try run([[again]], known: [other, mark]) { recorder, _ in recorder.messages.count == 1 }
        #expect(seen.texts == ["open"] && seen.duplicates == 1)
        #expect(seen.confirmed == [other])
    }
}
