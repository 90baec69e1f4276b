import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// The broker is the buffer, not our memory.
@Suite(.serialized) struct MQTTFlowTests {
    @Test func theLimitIsAnnounced() throws {
        let port = try #require(PrivateBroker.freePort())
        let listener = try SilentServer.listener(port)
        defer { close(listener) }
        let client = try MQTTClient(MQTTOptions(host: "127.0.0.1", port: port).with { $0.clientID = "flow" })
        defer { client.stop(drainFor: .zero) }
        try Recorder().start(client)
        let connection = accept(listener, nil, nil)
        defer { close(connection) }
        var packet = [UInt8](repeating: 0, count: 256)
        let count = read(connection, &packet, packet.count)
        // Receive Maximum, 64.
        let announced: [UInt8] = [0x21, 0, 64]
        #expect(packet.prefix(max(0, count)).indices.dropLast(2).contains { Array(packet[$0..<$0 + 3]) == announced })
    }

    /// Of 400 messages that wait, no more are taken than may be unacknowledged, also from a broker that sends more:
    /// mosquitto 2.0.11 keeps to the limit until the first acknowledgements of a resumed session, and then sends all.
    @Test func theBrokerKeepsWhatWeCannotTake() throws {
        struct Count {
            var received: [String] = []
            var acknowledged = 0
            var most = 0
        }
        var settings = PrivateBroker.Settings()
        settings.extraLines = ["max_inflight_messages 0", "max_queued_messages 0"]
        let harness = try BrokerHarness(settings)
        let options = harness.options("flow")
        let absent = try MQTTClient(options)
        try absent.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try Recorder().connect(absent)
        #expect(eventually { absent.state.withLock { $0.granted == ["in"] } })
        absent.stop(drainFor: .zero)
        let lines = (0..<400).map { "\($0)\n" }.joined()
        let place = ["-h", "127.0.0.1", "-p", String(harness.port), "-V", "mqttv5"]
        try Child.run(["mosquitto_pub"] + place + ["-t", "in", "-q", "1", "-l"], input: Array(lines.utf8))

        let count = Mutex(Count())
        let client = try MQTTClient(options)
        defer { client.stop(drainFor: .zero) }
        try client.start(
            onMessage: { message in
                count.withLock { count in
                    count.received.append(message.text)
                    count.most = max(count.most, count.received.count - count.acknowledged)
                }
                return .accepted
            },
            onPause: {
                // As a slow card: the broker has time to send what it may.
                if count.withLock({ $0.received.count < 200 }) { usleep(20_000) }
                return .accepted
            }, onAcknowledged: { count.withLock { $0.acknowledged = $0.received.count } }, onEvent: { _ in })
        #expect(eventually { count.withLock { $0.received.count >= 400 } })
        let result = count.withLock { $0 }
        #expect(result.received == (0..<400).map(String.init))
        #expect(result.most <= 64 && result.most > 1, "\(result.most)")
    }
}
