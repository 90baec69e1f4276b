import Glibc
import Spool
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// A QoS 1 message is acknowledged only after it is stored: proven by killing the process in between.
@Suite(.serialized) struct MQTTDurabilityTests {
    @Test(arguments: MQTTClientTests.versions)
    func aProcessKilledInsideTheHandlerGetsTheMessageAgain(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let helper = try crash(harness, version, spool: nil)
        #expect(helper.output.contains("received precious"))
        // Same client id, same session: the broker was never told that the message arrived.
        let recorder = Recorder()
        let client = try MQTTClient(harness.options("crash", version: version))
        defer { client.stop(drainFor: .zero) }
        try recorder.start(client)
        #expect(eventually { recorder.messages.map(\.text) == ["precious"] }, "\(recorder.messages)")
    }

    @Test(arguments: MQTTClientTests.versions)
    func aProcessKilledAfterStoringHasTheMessageInTheSpool(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let folder = try TemporaryFolder()
        _ = try crash(harness, version, spool: folder.path("spool.db"))
        let spool = try Spool(path: folder.path("spool.db"), limitBytes: 1 << 20) { Issue.record("\($0)") }
        let events = try spool.pendingEvents(limit: 10).events
        #expect(events.map(\.payload) == [Array("precious".utf8)])
        // It died before the acknowledgement left, so the broker sends it again: known from the spool, it is not new.
        let client = try MQTTClient(harness.options("crash", version: version))
        defer { client.stop(drainFor: .zero) }
        client.expectRedelivery(
            of: events.map { DeliveryMark(packetID: $0.packetID, topic: $0.topic, payload: $0.payload) })
        let recorder = Recorder()
        try recorder.start(client)
        #expect(eventually { client.counters.duplicates == 1 }, "\(recorder.messages)")
        try harness.publish("in", "next", ["-q", "1"])
        try harness.publish("in", "precious", ["-q", "1"])
        #expect(eventually { recorder.messages.count == 2 })
        #expect(recorder.messages.map(\.text) == ["next", "precious"])
    }

    /// The connection breaks after a message was stored and before its acknowledgement left.
    @Test(arguments: MQTTClientTests.versions)
    func aStoredMessageIsNotHandedOverTwice(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("broken", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try client.start(
            onMessage: { message in
                recorder.add(message)
                if message.text == "1" { client.state.withLock { $0.handle?.breakConnection() } }
                return .accepted
            }, onEvent: { recorder.add($0) })
        #expect(eventually { client.isConnected })
        try harness.publish("in", "0", ["-q", "1"])
        try harness.publish("in", "1", ["-q", "1"])
        // "0" is among them when the acknowledgement of both was in one write.
        #expect(eventually { client.counters.duplicates >= 1 }, "\(recorder.events)")
        try harness.publish("in", "1", ["-q", "1"])
        #expect(eventually { recorder.messages.count == 3 })
        #expect(recorder.messages.map(\.text) == ["0", "1", "1"])
    }

    /// Starts the helper, sends one message and waits for its death by its own hand.
    private func crash(
        _ harness: BrokerHarness, _ version: MQTTOptions.ProtocolVersion, spool: String?
    ) throws -> Child {
        let more = spool.map { [$0] } ?? []
        let arguments = ["receive", String(harness.port), version == .v5 ? "5" : "311"] + more
        let helper = try Child([builtProgram("CrashHelper")] + arguments)
        #expect(eventually { helper.output.contains("connected") }, "\(helper.output)")
        // Subscribed once the broker has answered; a retained-free way to know is to publish until it dies.
        usleep(200_000)
        try harness.publish("in", "precious", ["-q", "1"])
        #expect(helper.wait(seconds: 10) == 128 + SIGKILL, "\(helper.output)")
        return helper
    }

    @Test(arguments: MQTTClientTests.versions)
    func aRefusedMessageIsNotAcknowledgedAndComesAgain(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("choosy", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        let refusals = Mutex(0)
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try client.start(
            onMessage: { message in
                recorder.add(message)
                // The second message meets a full disk twice.
                let refuse =
                    message.text == "1"
                    && refusals.withLock { count in
                        count += 1
                        return count <= 2
                    }
                return refuse ? .refused : .accepted
            }, onEvent: { recorder.add($0) })
        #expect(eventually { client.isConnected })
        for number in 0..<5 { try harness.publish("in", "\(number)", ["-q", "1"]) }
        #expect(eventually { Set(recorder.messages.map(\.text)).count == 5 }, "\(recorder.messages.map(\.text))")
        #expect(recorder.messages.filter { $0.text == "1" }.count == 3)
        #expect(client.counters.refused == 2)
        #expect(recorder.reasons.count == 2 && recorder.reasons.allSatisfy { $0.contains("could not be stored") })
        // Nothing is delivered once more after all was accepted.
        let count = recorder.messages.count
        usleep(300_000)
        #expect(recorder.messages.count == count)
    }

    /// What arrived together is stored together, or comes again together; nothing is worked on before it is stored.
    @Test(arguments: MQTTClientTests.versions)
    func whatCannotBeStoredComesAgain(_ version: MQTTOptions.ProtocolVersion) throws {
        struct Log {
            var waiting: [String] = []
            var stored: [String] = []
            var worked: [String] = []
            var refusals = 0
        }
        let harness = try BrokerHarness()
        // A session that collects messages while nobody is there.
        let first = try MQTTClient(harness.options("batch", version: version))
        try first.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try Recorder().connect(first)
        usleep(200_000)
        first.stop(drainFor: .zero)
        for number in 0..<15 { try harness.publish("in", "\(number)", ["-q", "1"]) }

        let client = try MQTTClient(harness.options("batch", version: version))
        defer { client.stop(drainFor: .zero) }
        let log = Mutex(Log())
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try client.start(
            onMessage: { message in
                log.withLock { $0.waiting.append(message.text) }
                return .accepted
            },
            onPause: {
                log.withLock { log in
                    defer { log.waiting = [] }
                    guard log.waiting.isEmpty || log.refusals >= 2 else {
                        log.refusals += 1
                        return .refused
                    }
                    log.stored += log.waiting
                    return .accepted
                }
            }, onAcknowledged: { log.withLock { $0.worked = $0.stored } }, onEvent: { _ in })
        let expected = (0..<15).map(String.init)
        #expect(eventually { log.withLock { $0.worked.count >= 15 } })
        usleep(300_000)
        #expect(log.withLock { $0.stored.sorted() } == expected.sorted() && log.withLock { $0.refusals } == 2)
        #expect(client.counters.refused >= 2)
    }

    @Test func aRefusedMessageOfQualityZeroKeepsTheConnection() throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("choosy"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try client.start(
            onMessage: { message in
                recorder.add(message)
                return .refused
            }, onEvent: { recorder.add($0) })
        #expect(eventually { client.isConnected })
        try harness.publish("in", "a", ["-q", "0"])
        try harness.publish("in", "b", ["-q", "0"])
        #expect(eventually { recorder.messages.count == 2 })
        #expect(client.isConnected && recorder.reasons.isEmpty)
    }

    /// What was unacknowledged at a break is the caller's again: libmosquitto must not send it behind its back.
    @Test func unacknowledgedMessagesAreForgottenAtABreak() throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("sender").with { $0.keepAlive = 5 })
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(client)
        // A stopped broker takes packets but acknowledges none.
        let broker = try #require(harness.broker.processID)
        Glibc.kill(broker, SIGSTOP)
        for token in 1...20 {
            try client.publish(MQTTMessage(topic: "out", text: "\(token)", qos: 1), token: UInt64(token))
        }
        usleep(100_000)
        Glibc.kill(broker, SIGCONT)
        harness.kill()
        #expect(eventually { !client.isConnected })
        let before = recorder.published.count
        try harness.start()
        let subscriber = try harness.subscriber("out", ["-q", "1", "-C", "1", "-W", "20"])
        #expect(eventually { recorder.connections == 2 })
        try client.publish(MQTTMessage(topic: "out", text: "again", qos: 1), token: 21)
        #expect(subscriber.wait(seconds: 20) == 0)
        #expect(subscriber.output.contains("again"))
        #expect(eventually { recorder.published.count == before + 1 && recorder.published.last == 21 })
    }

    @Test func tooManyOnTheWayIsBusyAtOnce() throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("flood").with { $0.maxOutstanding = 10 })
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(client)
        let broker = try #require(harness.broker.processID)
        Glibc.kill(broker, SIGSTOP)
        defer { Glibc.kill(broker, SIGCONT) }
        for token in 1...10 { try client.publish(MQTTMessage(topic: "out", text: "x", qos: 1), token: UInt64(token)) }
        #expect(throws: TransportError.busy) {
            try client.publish(MQTTMessage(topic: "out", text: "x", qos: 1), token: 11)
        }
        Glibc.kill(broker, SIGCONT)
        #expect(eventually { recorder.published.count == 10 })
        try client.publish(MQTTMessage(topic: "out", text: "x", qos: 1), token: 12)
        #expect(eventually { recorder.published.count == 11 })
    }
}
