import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// Against a real mosquitto; mosquitto_pub and mosquitto_sub are the other side.
@Suite(.serialized) struct MQTTClientTests {
    static let versions: [MQTTOptions.ProtocolVersion] = [.v5, .v311]

    @Test(arguments: versions) func receivesBothQualitiesAndWildcards(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("receiver", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([
            MQTTSubscription(filter: "home/+/alerts", qos: 1), MQTTSubscription(filter: "log/#", qos: 0),
        ])
        try recorder.connect(client)
        try harness.publish("home/kitchen/alerts", "smoke", ["-q", "1"])
        try harness.publish("home/kitchen/light", "on", ["-q", "1"])
        try harness.publish("home/door/alerts", "two", ["-q", "2"])
        try harness.publish("log/a/b", "line", ["-q", "1"])
        #expect(eventually { recorder.messages.count == 3 }, "\(recorder.messages)")
        #expect(recorder.messages.map(\.topic) == ["home/kitchen/alerts", "home/door/alerts", "log/a/b"])
        #expect(recorder.messages.map(\.text) == ["smoke", "two", "line"])
        // QoS 2 comes as 1, because we ask for no more; the subscription's QoS 0 lowers the last.
        #expect(recorder.messages.map(\.qos) == [1, 1, 0])
        #expect(client.counters.received == 3)
    }

    @Test(arguments: versions) func publishesBothQualitiesAndReportsThem(_ version: MQTTOptions.ProtocolVersion) throws
    {
        let harness = try BrokerHarness()
        let subscriber = try harness.subscriber("out/#", ["-q", "1", "-v", "-C", "3", "-W", "20"])
        let client = try MQTTClient(harness.options("sender", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(client)
        try client.publish(MQTTMessage(topic: "out/zero", text: "0"), token: 7)
        try client.publish(MQTTMessage(topic: "out/one", text: "1", qos: 1), token: 8)
        try client.publish(MQTTMessage(topic: "out/empty", text: "", qos: 1), token: 9)
        #expect(eventually { recorder.published.sorted() == [7, 8, 9] }, "\(recorder.events)")
        #expect(subscriber.wait(seconds: 20) == 0)
        #expect(subscriber.output.contains("out/zero 0") && subscriber.output.contains("out/one 1"))
        #expect(client.counters.published == 3)
    }

    @Test func keepsResponseTopicCorrelationDataContentTypeAndExpiry() throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("properties"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "ask", qos: 1), MQTTSubscription(filter: "echo", qos: 1)])
        try recorder.connect(client)
        let properties = [
            ["response-topic", "answer/here"], ["correlation-data", "abc-1"], ["content-type", "application/json"],
            ["message-expiry-interval", "600"],
        ]
        try harness.publish("ask", "{}", ["-q", "1"] + properties.flatMap { ["-D", "publish"] + $0 })
        #expect(eventually { recorder.messages.count == 1 })
        var asked = try #require(recorder.messages.first)
        #expect(asked.responseTopic == "answer/here")
        #expect(asked.correlationData == Array("abc-1".utf8))
        #expect(asked.contentType == "application/json")
        #expect((590...600).contains(asked.expirySeconds ?? 0))
        asked.topic = "echo"
        asked.correlationData = [0, 255, 1]
        try client.publish(asked, token: 1)
        #expect(eventually { recorder.messages.count == 2 })
        #expect(recorder.messages.last?.correlationData == [0, 255, 1])
        #expect(recorder.messages.last?.responseTopic == "answer/here")
    }

    @Test(arguments: versions) func retainedMessagesAreKeptAndMarked(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("retainer", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(client)
        try client.publish(MQTTMessage(topic: "state", text: "online", qos: 1, retain: true), token: 1)
        #expect(eventually { recorder.published == [1] })
        let out = try Child.run([
            "mosquitto_sub", "-h", "127.0.0.1", "-p", "\(harness.port)", "-t", "state", "-C", "1", "-W", "10",
        ])
        #expect(out == "online\n")
        try client.subscribe([MQTTSubscription(filter: "state", qos: 1)])
        #expect(eventually { recorder.messages.count == 1 })
        #expect(recorder.messages.first?.retain == true)
    }

    @Test func unsubscribingEndsDelivery() throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("leaver"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "a", qos: 1), MQTTSubscription(filter: "b", qos: 1)])
        try recorder.connect(client)
        client.unsubscribe(["a"])
        try harness.publish("a", "1", ["-q", "1"])
        try harness.publish("b", "2", ["-q", "1"])
        #expect(eventually { recorder.messages.contains { $0.topic == "b" } })
        #expect(recorder.messages.map(\.topic) == ["b"])
    }

    @Test func aTenMegabytePayloadIsCutAndMarked() throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("large"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try recorder.connect(client)
        let size = 10_000_000
        try harness.publish("in", bytes: [UInt8](repeating: 0x61, count: size), ["-q", "1"])
        try harness.publish("in", "small", ["-q", "1"])
        #expect(eventually(seconds: 20) { recorder.messages.count == 2 })
        let large = try #require(recorder.messages.first)
        #expect(large.isTruncated && large.originalSize == size && large.payload.count == client.options.maxPayload)
        #expect(recorder.messages.last?.text == "small" && recorder.messages.last?.isTruncated == false)
    }

    @Test func aTenMegabytePayloadIsPublished() throws {
        let harness = try BrokerHarness()
        let subscriber = try harness.subscriber("big", ["-q", "1", "-C", "1", "-W", "30", "-F", "length %l"])
        let client = try MQTTClient(harness.options("large-out"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(client)
        let message = MQTTMessage(topic: "big", payload: [UInt8](repeating: 0x62, count: 10_000_000), qos: 1)
        try client.publish(message, token: 1)
        #expect(throws: TransportError.busy) { try client.publish(message, token: 2) }
        #expect(eventually(seconds: 20) { recorder.published == [1] })
        #expect(subscriber.wait(seconds: 20) == 0)
        #expect(subscriber.output.contains("length 10000000"))
    }

    @Test func aPacketOverTheBrokersLimitIsTurnedDownForGood() throws {
        var settings = PrivateBroker.Settings()
        settings.extraLines = ["max_packet_size 1000"]
        let harness = try BrokerHarness(settings)
        let client = try MQTTClient(harness.options("limited"))
        defer { client.stop(drainFor: .zero) }
        try Recorder().connect(client)
        let message = MQTTMessage(topic: "x", payload: [UInt8](repeating: 0, count: 2000), qos: 1)
        #expect(throws: TransportError.tooLarge(bytes: 2000)) { try client.publish(message, token: 1) }
        #expect(client.isConnected)
    }

    @Test func manyMessagesArriveOnceAndInOrder() throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("stream"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "loop", qos: 1)])
        try recorder.connect(client)
        let count = 2000
        for index in 0..<count {
            // The window is bounded: wait for room as the spool's pump does.
            let sent = eventually(seconds: 20) {
                (try? client.publish(MQTTMessage(topic: "loop", text: "\(index)", qos: 1), token: UInt64(index))) != nil
            }
            try #require(sent)
        }
        #expect(eventually(seconds: 30) { recorder.messages.count == count && recorder.published.count == count })
        #expect(recorder.messages.map(\.text) == (0..<count).map(String.init))
        #expect(recorder.published == (0..<count).map(UInt64.init))
    }

    /// libmosquitto holds locks of its own while it calls back.
    @Test(arguments: versions) func everyHandlerMayPublishAndSubscribe(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("handlers", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.start(
            onMessage: { message in
                recorder.add(message)
                if message.topic == "hello" {
                    try? client.publish(MQTTMessage(topic: "from/message", text: "", qos: 1), token: 2)
                }
                return .accepted
            },
            onEvent: { event in
                recorder.add(event)
                switch event {
                case .connected:
                    try? client.subscribe([MQTTSubscription(filter: "#", qos: 1)])
                    try? client.publish(MQTTMessage(topic: "hello", text: "", qos: 1), token: 1)
                case .published(2):
                    try? client.publish(MQTTMessage(topic: "from/acknowledgement", text: ""), token: 3)
                // QoS 0 is reported while libmosquitto writes.
                case .published(3):
                    try? client.publish(MQTTMessage(topic: "from/write", text: "", qos: 1), token: 4)
                default: break
                }
            })
        #expect(
            eventually { recorder.published == [1, 2, 3, 4] && recorder.messages.count == 4 }, "\(recorder.events)")
    }

    @Test func aProbeSaysWhetherTheBrokerTakesUs() throws {
        let harness = try BrokerHarness()
        let options = harness.options("busy")
        let client = try MQTTClient(options)
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(client)
        #expect(MQTTClient.probe(options) == nil)
        harness.stop()
        #expect(MQTTClient.probe(options)?.reason.contains("connection refused") == true)
        #expect(MQTTClient.libraryVersion.split(separator: ".").count == 3)
        // The running client kept its connection until the broker went.
        #expect(eventually { !recorder.reasons.isEmpty } && recorder.connections == 1)
    }

    @Test func aWrongTopicOrFilterIsRefusedAtOnce() throws {
        let client = try MQTTClient(MQTTOptions(url: "mqtt://127.0.0.1:1").with { $0.clientID = "x" })
        #expect(throws: TransportError.self) { try client.subscribe([MQTTSubscription(filter: "a/#/b", qos: 1)]) }
        #expect(throws: TransportError.invalidTopic("a/+")) {
            try client.publish(MQTTMessage(topic: "a/+", text: ""), token: 1)
        }
        #expect(throws: TransportError.notConnected) { try client.publish(MQTTMessage(topic: "a", text: ""), token: 1) }
    }

    @Test func optionsThatCannotWorkAreNamed() {
        func error(_ change: (inout MQTTOptions) -> Void) -> String? {
            var options = MQTTOptions(host: "h")
            options.clientID = "c"
            change(&options)
            do {
                _ = try MQTTClient(options)
                return nil
            } catch { return error.description }
        }
        #expect(error { _ in } == nil)
        #expect(error { $0.clientID = "" }?.contains("client id") == true)
        #expect(error { $0.password = "p" }?.contains("user name") == true)
        #expect(error { $0.keepAlive = 1 }?.contains("keepAlive") == true)
        #expect(error { $0.tls = .init(certFile: "x") }?.contains("key_file") == true)
        #expect(error { $0.will = MQTTMessage(topic: "#", text: "") }?.contains("topic") == true)
    }
}

extension MQTTOptions {
    func with(_ change: (inout MQTTOptions) -> Void) -> MQTTOptions {
        var copy = self
        change(&copy)
        return copy
    }
}
