import Synchronization
import TestSupport
import Testing

@testable import Transport

/// The twin keeps the rules that the daemon's tests lean on.
@Suite struct InMemoryTests {
    @Test func messagesTravelByWildcardWithTheLowerQuality() throws {
        let broker = InMemoryBroker()
        let client = InMemoryTransport(broker: broker, clientID: "a")
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in/+", qos: 1), MQTTSubscription(filter: "low", qos: 0)])
        try recorder.connect(client)
        broker.publish(MQTTMessage(topic: "in/1", text: "x", qos: 1))
        broker.publish(MQTTMessage(topic: "in/1/2", text: "no", qos: 1))
        broker.publish(MQTTMessage(topic: "low", text: "y", qos: 1))
        #expect(recorder.messages.map(\.text) == ["x", "y"])
        #expect(recorder.messages.map(\.qos) == [1, 0])
        try client.publish(MQTTMessage(topic: "in/9", text: "self", qos: 1), token: 3)
        #expect(recorder.messages.last?.text == "self" && recorder.published == [3])
        #expect(client.counters.received == 3 && client.counters.published == 1)
    }

    @Test func retainedMessagesAreKeptReplacedAndRemoved() throws {
        let broker = InMemoryBroker()
        broker.publish(MQTTMessage(topic: "state", text: "old", qos: 1, retain: true))
        broker.publish(MQTTMessage(topic: "state", text: "new", qos: 1, retain: true))
        broker.publish(MQTTMessage(topic: "gone", text: "x", retain: true))
        broker.publish(MQTTMessage(topic: "gone", text: "", retain: true))
        let client = InMemoryTransport(broker: broker, clientID: "a")
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "#", qos: 1)])
        try recorder.connect(client)
        #expect(recorder.messages.map(\.text) == ["new"])
        #expect(recorder.messages.first?.retain == true)
        broker.publish(MQTTMessage(topic: "state", text: "live", retain: true))
        #expect(recorder.messages.last?.retain == false)
        #expect(broker.retained.keys.sorted() == ["state"])
    }

    @Test func theWillIsSentAtACutAndNotAtStop() throws {
        let broker = InMemoryBroker()
        let watcher = Recorder()
        let witness = InMemoryTransport(broker: broker, clientID: "witness")
        try witness.subscribe([MQTTSubscription(filter: "status", qos: 1)])
        try watcher.connect(witness)
        var options = MQTTOptions(host: "memory")
        options.clientID = "a"
        options.will = MQTTMessage(topic: "status", text: "offline", qos: 1)
        let client = InMemoryTransport(broker: broker, options: options)
        try Recorder().connect(client)
        broker.cut("a", reconnect: true)
        #expect(watcher.messages.map(\.text) == ["offline"])
        #expect(client.isConnected && client.counters.reconnects == 1)
        client.stop(drainFor: .zero)
        #expect(watcher.messages.count == 1 && !client.isConnected)
    }

    @Test func anAbsentBrokerIsWaitedForAndTheSessionKeepsMessages() throws {
        let broker = InMemoryBroker()
        let client = InMemoryTransport(broker: broker, clientID: "a")
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        broker.setUp(false)
        try recorder.start(client)
        #expect(!client.isConnected && recorder.reasons.count == 1)
        #expect(throws: TransportError.notConnected) { try client.publish(MQTTMessage(topic: "x", text: ""), token: 1) }
        broker.setUp(true)
        #expect(client.isConnected)
        broker.cut("a", reconnect: false)
        broker.publish(MQTTMessage(topic: "in", text: "kept", qos: 1))
        broker.publish(MQTTMessage(topic: "in", text: "lost", qos: 0))
        broker.cut("a", reconnect: true)
        #expect(recorder.messages.map(\.text) == ["kept"])
        #expect(recorder.events.last == .connected(sessionPresent: true))
    }

    @Test func aRefusedMessageComesAgainAtTheNextConnection() throws {
        let broker = InMemoryBroker()
        let client = InMemoryTransport(broker: broker, clientID: "a")
        let recorder = Recorder()
        let full = Mutex(true)
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try client.start(
            onMessage: { message in
                recorder.add(message)
                return full.withLock { $0 } ? .refused : .accepted
            }, onEvent: { recorder.add($0) })
        broker.publish(MQTTMessage(topic: "in", text: "1", qos: 1))
        broker.publish(MQTTMessage(topic: "in", text: "2", qos: 1))
        #expect(recorder.messages.map(\.text) == ["1"] && !client.isConnected && client.counters.refused == 1)
        full.withLock { $0 = false }
        broker.cut("a", reconnect: true)
        #expect(recorder.messages.map(\.text) == ["1", "1", "2"])
    }

    @Test func sharedSubscriptionsTakeTurns() throws {
        let broker = InMemoryBroker()
        let recorders = [Recorder(), Recorder()]
        let clients = ["a", "b"].map { InMemoryTransport(broker: broker, clientID: $0) }
        for (client, recorder) in zip(clients, recorders) {
            try client.subscribe([MQTTSubscription(filter: "$share/g/in/#", qos: 1)])
            try recorder.connect(client)
        }
        for number in 0..<10 { broker.publish(MQTTMessage(topic: "in/\(number)", text: "\(number)", qos: 1)) }
        #expect(recorders.map(\.messages.count) == [5, 5])
    }

    @Test func aHandlerMayPublish() throws {
        let broker = InMemoryBroker()
        let client = InMemoryTransport(broker: broker, clientID: "a")
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "#", qos: 1)])
        try client.start(
            onMessage: { message in
                recorder.add(message)
                if message.topic == "ask" {
                    try? client.publish(MQTTMessage(topic: "answer", text: message.text, qos: 1), token: 1)
                }
                return .accepted
            }, onEvent: { recorder.add($0) })
        broker.publish(MQTTMessage(topic: "ask", text: "?", qos: 1))
        #expect(recorder.messages.map(\.topic) == ["ask", "answer"])
        #expect(recorder.published == [1])
    }

    @Test func aLongPayloadIsCutAndMarked() throws {
        let broker = InMemoryBroker()
        var options = MQTTOptions(host: "memory")
        options.clientID = "a"
        options.maxPayload = 4
        let client = InMemoryTransport(broker: broker, options: options)
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
        try recorder.connect(client)
        broker.publish(MQTTMessage(topic: "in", text: "123456789", qos: 1))
        #expect(recorder.messages.first?.text == "1234" && recorder.messages.first?.originalSize == 9)
    }
}
