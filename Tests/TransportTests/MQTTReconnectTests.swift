import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// Brokers that go, come late, refuse, or do not answer.
@Suite(.serialized) struct MQTTReconnectTests {
    @Test(arguments: MQTTClientTests.versions)
    func aRestartedBrokerIsFoundAgainAndSubscriptionsAreRenewed(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let client = try MQTTClient(harness.options("returner", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in/#", qos: 1)])
        try recorder.connect(client)
        for round in 1...3 {
            // Without persistence the broker forgets the session: only subscribing again brings messages.
            if round == 2 { harness.kill() } else { harness.stop() }
            #expect(eventually { !client.isConnected && recorder.reasons.count >= round })
            #expect(throws: TransportError.notConnected) {
                try client.publish(MQTTMessage(topic: "x", text: "", qos: 1), token: 1)
            }
            try harness.start()
            #expect(eventually { client.isConnected })
            try harness.publish("in/\(round)", "\(round)", ["-q", "1"])
            #expect(eventually { recorder.messages.count == round }, "\(recorder.events)")
        }
        #expect(client.counters.reconnects == 3)
        #expect(recorder.messages.map(\.text) == ["1", "2", "3"])
    }

    @Test(arguments: MQTTClientTests.versions)
    func whatArrivesWhileAwayIsDeliveredBySession(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let recorder = Recorder()
        let first = try MQTTClient(harness.options("sleeper", version: version))
        try first.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try recorder.connect(first)
        // Only an acknowledged subscription is in the session.
        try harness.publish("in", "awake", ["-q", "1"])
        #expect(eventually { recorder.messages.count == 1 })
        first.stop(drainFor: .seconds(1))
        try harness.publish("in", "asleep", ["-q", "1"])
        let second = try MQTTClient(harness.options("sleeper", version: version))
        defer { second.stop(drainFor: .zero) }
        try recorder.start(second)
        #expect(eventually { recorder.messages.map(\.text) == ["awake", "asleep"] }, "\(recorder.messages)")
        #expect(recorder.events.contains(.connected(sessionPresent: true)))
    }

    /// A reconnect must not look like new events: the broker would repeat retained messages at every SUBSCRIBE.
    @Test(arguments: MQTTClientTests.versions)
    func retainedMessagesDoNotComeAgainWithTheSameSession(_ version: MQTTOptions.ProtocolVersion) throws {
        var settings = PrivateBroker.Settings()
        settings.persistence = true
        let harness = try BrokerHarness(settings)
        try harness.publish("state", "kept", ["-q", "1", "-r"])
        let client = try MQTTClient(harness.options("once", version: version))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "state", qos: 1), MQTTSubscription(filter: "live", qos: 1)])
        try recorder.connect(client)
        #expect(eventually { recorder.messages.count == 1 })
        try harness.restart()
        #expect(eventually { recorder.connections == 2 }, "\(recorder.events)")
        try harness.publish("live", "1", ["-q", "1"])
        #expect(eventually { recorder.messages.last?.text == "1" })
        #expect(recorder.messages.map(\.text) == ["kept", "1"])
    }

    @Test func aBrokerThatComesLateIsConnectedTo() throws {
        let harness = try BrokerHarness()
        harness.stop()
        let client = try MQTTClient(harness.options("early"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try recorder.start(client)
        #expect(eventually { recorder.reasons.count >= 2 })
        #expect(recorder.reasons.allSatisfy { $0.contains("127.0.0.1:\(harness.port)") && $0.contains("refused") })
        try harness.start()
        #expect(eventually { client.isConnected })
        try harness.publish("in", "hello", ["-q", "1"])
        #expect(eventually { recorder.messages.count == 1 })
    }

    @Test func aHostNameThatDoesNotResolveIsNamed() throws {
        let options = MQTTOptions(host: "no-such-host.invalid").with {
            $0.clientID = "lost"
            $0.backoffMilliseconds = 20...50
        }
        let client = try MQTTClient(options)
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.start(client)
        #expect(eventually(seconds: 30) { !recorder.reasons.isEmpty })
        #expect(recorder.reasons.first?.contains("no-such-host.invalid:1883: the host name cannot be resolved") == true)
    }

    @Test(arguments: MQTTClientTests.versions)
    func aWrongPasswordIsNamedAndTriedAgain(_ version: MQTTOptions.ProtocolVersion) throws {
        let folder = try TemporaryFolder()
        let harness = try BrokerHarness(users: ["martlet": "right"], in: folder)
        func tries(_ password: String?) throws -> Recorder {
            let options = harness.options("guest", version: version).with {
                $0.username = password == nil ? nil : "martlet"
                $0.password = password
            }
            let client = try MQTTClient(options)
            let recorder = Recorder()
            try recorder.start(client)
            #expect(eventually { client.isConnected || recorder.reasons.count >= 3 }, "\(recorder.events)")
            client.stop(drainFor: .zero)
            return recorder
        }
        #expect(try tries("right").connections == 1)
        let wrong = try tries("wrong")
        // Three refusals: neither of them ended the attempts, also not MQTT 5's 135.
        #expect(wrong.connections == 0 && wrong.reasons.count >= 3)
        #expect(
            wrong.reasons.allSatisfy { $0.contains("password") && $0.contains("password_file") }, "\(wrong.reasons)")
        let nobody = try tries(nil)
        #expect(nobody.reasons.allSatisfy { $0.contains("without a user name") }, "\(nobody.reasons)")
    }

    @Test func aRefusedSubscriptionAndPublishAreReported() throws {
        let folder = try TemporaryFolder()
        try folder.write("topic readwrite open/#\ntopic read news\n", to: "acl")
        var settings = PrivateBroker.Settings()
        settings.extraLines = ["acl_file \(folder.path("acl"))"]
        let harness = try BrokerHarness(settings)
        let client = try MQTTClient(harness.options("limited"))
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(client)
        try client.subscribe([MQTTSubscription(filter: "secret", qos: 1), MQTTSubscription(filter: "open/a", qos: 1)])
        try client.publish(MQTTMessage(topic: "news", text: "x", qos: 1), token: 5)
        try client.publish(MQTTMessage(topic: "open/a", text: "x", qos: 1), token: 6)
        #expect(eventually { recorder.messages.count == 1 && recorder.published == [6] }, "\(recorder.events)")
        let refused = recorder.events.compactMap { event -> String? in
            switch event {
            case .publishRefused(5, let reason): reason
            case .subscriptionRefused("secret", let reason): reason
            default: nil
            }
        }
        // mosquitto 2.0 grants a subscription that its rules forbid only partly; the publication it must refuse.
        #expect(!refused.isEmpty && refused.allSatisfy { $0.contains("access rules") }, "\(recorder.events)")
    }

    @Test func theLastWillIsPublishedWhenTheProcessIsCutOffAndNotAtStop() throws {
        let harness = try BrokerHarness()
        let watcher = Recorder()
        let witness = try MQTTClient(harness.options("witness"))
        defer { witness.stop(drainFor: .zero) }
        try witness.subscribe([MQTTSubscription(filter: "status/+", qos: 1)])
        try watcher.connect(witness)
        func options(_ id: String) -> MQTTOptions {
            harness.options(id).with {
                $0.will = MQTTMessage(topic: "status/\(id)", text: "offline", qos: 1, retain: true)
            }
        }
        let polite = try MQTTClient(options("polite"))
        try Recorder().connect(polite)
        polite.stop(drainFor: .seconds(1))
        let helper = try Child([builtProgram("CrashHelper"), "will", String(harness.port)])
        #expect(eventually { helper.output.contains("connected") }, "\(helper.output)")
        helper.kill()
        #expect(eventually { !watcher.messages.isEmpty })
        #expect(watcher.messages.map(\.topic) == ["status/crash"] && watcher.messages.first?.text == "offline")
        #expect(throws: TransportError.notConnected) { try polite.publish(MQTTMessage(topic: "a", text: ""), token: 1) }
    }

    @Test func aServerThatDoesNotAnswerIsLeft() throws {
        // A listening socket that nobody accepts from: TCP connects, MQTT does not.
        let silent = try SilentServer()
        let options = MQTTOptions(host: "127.0.0.1", port: silent.port).with {
            $0.clientID = "patient"
            $0.connectTimeout = 1
            $0.backoffMilliseconds = 20...50
        }
        let client = try MQTTClient(options)
        let recorder = Recorder()
        try recorder.start(client)
        #expect(eventually(seconds: 15) { recorder.reasons.count >= 2 })
        #expect(recorder.reasons.allSatisfy { $0.contains("did not answer") }, "\(recorder.reasons)")
        let start = ContinuousClock.now
        client.stop(drainFor: .seconds(5))
        #expect(start.duration(to: .now) < .seconds(3))
    }

    @Test func stopDrainsWhatIsOnItsWayAndEndsTheThread() throws {
        let harness = try BrokerHarness()
        let subscriber = try harness.subscriber("last/#", ["-q", "1", "-C", "100", "-W", "20"])
        let client = try MQTTClient(harness.options("leaver"))
        let recorder = Recorder()
        try recorder.connect(client)
        for index in 0..<100 {
            try client.publish(MQTTMessage(topic: "last/\(index)", text: "\(index)", qos: 1), token: UInt64(index))
        }
        client.stop(drainFor: .seconds(10))
        #expect(recorder.published.count == 100)
        #expect(subscriber.wait(seconds: 20) == 0)
        // Nothing is reported after stop, and it does not start again.
        let events = recorder.events.count
        usleep(200_000)
        #expect(recorder.events.count == events)
        #expect(throws: TransportError.alreadyStarted) { try recorder.start(client) }
        client.stop(drainFor: .zero)
    }

    @Test func twoClientsWithOneIDAreToldWhy() throws {
        let harness = try BrokerHarness()
        let first = try MQTTClient(harness.options("twin").with { $0.backoffMilliseconds = 5000...5000 })
        defer { first.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.connect(first)
        let second = try MQTTClient(harness.options("twin"))
        defer { second.stop(drainFor: .zero) }
        try Recorder().connect(second)
        #expect(eventually { !recorder.reasons.isEmpty })
        #expect(recorder.reasons.first?.contains("same client id") == true, "\(recorder.reasons)")
    }
}

/// Listens and never accepts.
final class SilentServer: Sendable {
    let port: Int
    private let descriptor: Int32

    init() throws {
        port = try #require(PrivateBroker.freePort())
        descriptor = try Self.listener(port)
    }

    static func listener(_ port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(bound == 0 && listen(descriptor, 16) == 0)
        return descriptor
    }

    deinit { close(descriptor) }
}
