import Synchronization
import TestSupport
import Testing

@testable import Transport

/// Every way a broker can say no, sent by a server that says it.
@Suite(.serialized) struct ReasonCodeTests {
    struct Expected: Sendable {
        let fault: ConnectionFault
        let retry: ConnectionProblem.Retry
        init(_ fault: ConnectionFault, _ retry: ConnectionProblem.Retry) { (self.fault, self.retry) = (fault, retry) }
    }

    /// MQTT 3.1.1, table 3.1.
    static let connack311: [UInt8: Expected] = [
        1: Expected(.protocolVersion, .never), 2: Expected(.clientID, .never), 3: Expected(.unavailable, .soon),
        4: Expected(.credentials, .slowly), 5: Expected(.access, .slowly),
    ]

    /// MQTT 5, table 3.1: every code of CONNACK but success.
    static let connack: [UInt8: Expected] = [
        0x80: Expected(.refused, .soon), 0x81: Expected(.protocolVersion, .slowly),
        0x82: Expected(.protocolVersion, .slowly), 0x83: Expected(.refused, .soon),
        0x84: Expected(.protocolVersion, .never), 0x85: Expected(.clientID, .never),
        0x86: Expected(.credentials, .slowly), 0x87: Expected(.access, .slowly), 0x88: Expected(.unavailable, .soon),
        0x89: Expected(.unavailable, .soon), 0x8A: Expected(.access, .slowly), 0x8C: Expected(.credentials, .never),
        0x90: Expected(.refused, .never), 0x95: Expected(.refused, .never), 0x97: Expected(.unavailable, .slowly),
        0x99: Expected(.refused, .never), 0x9A: Expected(.refused, .never), 0x9B: Expected(.refused, .never),
        0x9C: Expected(.refused, .slowly), 0x9D: Expected(.refused, .never), 0x9F: Expected(.unavailable, .soon),
    ]

    /// MQTT 5, table 3.10: every code a server sends in DISCONNECT.
    static let disconnect: [UInt8: Expected] = [
        0x80: Expected(.refused, .soon), 0x81: Expected(.protocolVersion, .soon),
        0x82: Expected(.protocolVersion, .soon), 0x83: Expected(.refused, .soon), 0x87: Expected(.access, .slowly),
        0x89: Expected(.unavailable, .soon), 0x8B: Expected(.unavailable, .soon), 0x8D: Expected(.network, .soon),
        0x8E: Expected(.takeover, .slowly), 0x8F: Expected(.refused, .soon), 0x90: Expected(.refused, .soon),
        0x93: Expected(.refused, .soon), 0x94: Expected(.refused, .soon), 0x95: Expected(.refused, .soon),
        0x96: Expected(.unavailable, .soon), 0x97: Expected(.unavailable, .soon), 0x98: Expected(.unavailable, .soon),
        0x99: Expected(.refused, .soon), 0x9A: Expected(.refused, .soon), 0x9B: Expected(.refused, .soon),
        0x9C: Expected(.refused, .slowly), 0x9D: Expected(.refused, .never), 0x9E: Expected(.refused, .never),
        0x9F: Expected(.unavailable, .soon), 0xA0: Expected(.unavailable, .soon), 0xA1: Expected(.refused, .soon),
        0xA2: Expected(.refused, .never),
    ]

    private func options(_ port: Int, _ version: MQTTOptions.ProtocolVersion) -> MQTTOptions {
        MQTTOptions(host: "127.0.0.1", port: port).with {
            $0.clientID = "asker"
            ($0.username, $0.password) = ("martlet", "not to be seen")
            $0.protocolVersion = version
            $0.backoffMilliseconds = 1...2
        }
    }

    /// The first problem that `answer` makes, and how many connections came within a while.
    private func problem(
        _ answer: [UInt8], _ version: MQTTOptions.ProtocolVersion, connections: Int, timeout: Int = 20
    ) throws -> ConnectionProblem? {
        let server = try ScriptedServer(answer)
        let client = try MQTTClient(options(server.port, version).with { $0.connectTimeout = timeout })
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.start(client)
        #expect(eventually { recorder.problems.count >= connections }, "\(answer): \(recorder.events)")
        #expect(Set(recorder.problems.map(\.reason)).count == 1, "\(recorder.problems)")
        return recorder.problems.first
    }

    private func check(
        _ codes: [UInt8: Expected], _ version: MQTTOptions.ProtocolVersion, _ answer: (UInt8) -> [UInt8]
    ) throws {
        for (code, expected) in codes.sorted(by: { $0.key < $1.key }) {
            let problem = try problem(answer(code), version, connections: expected.retry == .never ? 1 : 3)
            #expect(problem?.fault == expected.fault && problem?.retry == expected.retry, "\(code): \(problem as Any)")
            let text = problem?.description ?? ""
            #expect(text.contains("broker") && !text.contains("unknown") && !text.contains("not to be seen"), "\(text)")
            #expect(text.contains("not tried again") == (expected.retry == .never), "\(text)")
        }
    }

    @Test func everyConnackOfMQTT311IsTriedAgainOrNotAsItDeserves() throws {
        try check(Self.connack311, .v311) { [0x20, 2, 0, $0] }
    }

    @Test func everyConnackOfMQTT5IsTriedAgainOrNotAsItDeserves() throws {
        try check(Self.connack, .v5) { [0x20, 3, 0, $0, 0] }
    }

    @Test func everyDisconnectOfMQTT5IsTriedAgainOrNotAsItDeserves() throws {
        try check(Self.disconnect, .v5) { [0x20, 3, 0, 0, 0, 0xE0, 2, $0, 0] }
    }

    @Test func theServerThatABrokerNamesIsToldAndNotFollowed() throws {
        let place = Array("other.example".utf8)
        // Property 28, server reference.
        let properties = [28, 0, UInt8(place.count)] + place
        let count = UInt8(properties.count)
        let moved = try problem([0x20, 3 + count, 0, 0x9D, count] + properties, .v5, connections: 1)
        #expect(moved?.reason.contains("\"other.example\"") == true && moved?.retry == .never)
    }

    /// A broker may let us in and throw us out for what we then ask for.
    @Test func aProbeIsToldWhyTheBrokerEndedItLater() throws {
        let connect = ScriptedServer.Step(after: 1) { _ in [0x20, 3, 0, 0, 0] }
        // 162: wildcard subscriptions are not supported.
        let subscribe = ScriptedServer.Step(after: 8) { _ in [0xE0, 2, 0xA2, 0] }
        let server = try ScriptedServer([[connect, subscribe], []])
        let welcome = MQTTClient.welcome(options(server.port, .v5), filters: ["a/#"], timeout: .seconds(20))
        #expect(welcome.problem?.retry == .never, "\(welcome)")
        let silent = try ScriptedServer([[connect]])
        let half = MQTTClient.welcome(options(silent.port, .v5), filters: ["a/#"], timeout: .seconds(1))
        #expect(half.problem?.reason.contains("did not answer all") == true, "\(half)")
    }

    @Test func whatDoesNotSpeakMQTTIsNamed() throws {
        // Some of it looks like the beginning of a packet, so that the time must run out.
        for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"] {
            let problem = try problem(Array(answer.utf8), .v5, connections: 1, timeout: 2)
            #expect(problem?.retry == .soon && problem?.fault == .network, "\(problem as Any)")
        }
    }

    /// Where only another configuration helps, one attempt is made; renewing is the other configuration.
    @Test func afterAHopelessRefusalOnlyRenewingTriesAgain() throws {
        let hopeless = try ScriptedServer([0x20, 3, 0, 0x85, 0])
        let harness = try BrokerHarness()
        let client = try MQTTClient(options(hopeless.port, .v5))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.start(client)
        #expect(eventually { recorder.problems.count == 1 })
        // Back-offs of 1 to 2 ms: a hundred attempts would fit.
        #expect(!eventually(seconds: 0.3) { hopeless.connections > 1 })
        client.renew(options(hopeless.port, .v5))
        #expect(eventually { recorder.problems.count == 2 })
        client.renew(options(harness.port, .v5))
        #expect(eventually { client.isConnected }, "\(recorder.events)")
        #expect(hopeless.connections == 2)
    }

    @Test func aHopelessClientStopsAtOnce() throws {
        let server = try ScriptedServer([0x20, 3, 0, 0x84, 0])
        let client = try MQTTClient(options(server.port, .v5))
        let recorder = Recorder()
        try recorder.start(client)
        #expect(eventually { recorder.problems.count == 1 })
        let start = ContinuousClock.now
        client.stop(drainFor: .seconds(5))
        #expect(start.duration(to: .now) < .seconds(3))
    }
}
