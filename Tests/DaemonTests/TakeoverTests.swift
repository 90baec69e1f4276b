import JSON
import Spool
import TestSupport
import Testing
import Transport

@testable import Daemon

/// Another client takes the daemon's session: what it had not acknowledged comes to the daemon when that is back.
@Suite(.serialized) struct TakeoverTests {
    @Test func eventsOfALostSessionAreAnsweredOnceInMemory() throws {
        let harness = try Harness()
        harness.publish("door/before", "unusual")
        let intruder = InMemoryTransport(broker: harness.broker, clientID: "martlet-pi")
        let taken = Heard()
        try intruder.start(
            onMessage: { message in
                taken.append(message)
                return .refused
            }, onEvent: { _ in })
        #expect(!harness.daemon.parts.transport.isConnected && intruder.isConnected)
        #expect(harness.daemon.live.lastProblem == .takeover)
        for number in 0..<20 { harness.publish("door/\(number)", "unusual") }
        // It took the first and did not accept it, which ended its connection.
        #expect(taken.all.map(\.topic) == ["door/0"] && !intruder.isConnected)
        harness.daemon.parts.transport.renew(harness.daemon.live.current.mqttOptions)
        let topics = try harness.results("door", count: 21).compactMap { $0["topic"]?.string }
        #expect(Set(topics) == Set(["door/before"] + (0..<20).map { "door/\($0)" }))
        intruder.stop(drainFor: .zero)
        // Its session is the daemon's now: a goodbye of the intruder does not touch it.
        harness.publish("door/after", "unusual")
        _ = try harness.results("door", count: 22)
        harness.stop()
    }

    @Test func eventsOfALostSessionAreAnsweredOnceOnARealBroker() throws {
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let running = try OnARealBroker.Running(broker, spool: .inMemory())
        let talk = try Conversation(broker)
        defer { talk.client.stop(drainFor: .zero) }
        // While nothing is under way, and what comes then meets the other client first.
        for round in 1...2 {
            try talk.send(50)
            try talk.expectAll(running.daemon)
            try takeOver(broker) { try talk.send(50) }
            try talk.expectAll(running.daemon)
            #expect(running.daemon.parts.transport.counters.reconnects == round)
        }
        // In the middle of events.
        for round in 3...5 {
            try talk.send(50)
            try takeOver(broker) { try talk.send(50) }
            try wait { running.daemon.parts.transport.counters.reconnects == round }
        }
        try talk.expectAll(running.daemon, once: false)
        running.daemon.stop()
    }

    /// A client with the daemon's id, which takes what comes and acknowledges nothing.
    private func takeOver(_ broker: BrokerHarness, meanwhile: () throws -> Void) throws {
        let intruder = try MQTTClient(broker.options("martlet-pi").with { $0.backoffMilliseconds = 60_000...60_000 })
        let seen = Recorder()
        try intruder.start(
            onMessage: { _ in .refused }, onEvent: { seen.add($0) })
        try wait { seen.connections > 0 }
        try meanwhile()
        intruder.stop(drainFor: .zero)
    }
}

extension MQTTOptions {
    func with(_ change: (inout MQTTOptions) -> Void) -> MQTTOptions {
        var copy = self
        change(&copy)
        return copy
    }
}
