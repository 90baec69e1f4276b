import Dispatch
import Glibc
import JSON
import Spool
import Synchronization
import TestSupport
import Testing

@testable import Daemon
@testable import Transport

/// The short form of bench/network-cut.sh: the network between the daemon and a real broker stands still, and goes on or
/// does not, without either side being told.
@Suite(.serialized) struct CutTests {
    @Test func eventsAreAnsweredOnceThroughCutsOfTheNetwork() throws {
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let relay = try Relay(to: broker.port)
        let running = try OnARealBroker.Running(broker, spool: .inMemory(), port: relay.port, keepAlive: 5)
        let talk = try Conversation(broker)
        defer { talk.client.stop(drainFor: .zero) }

        try talk.send(50)
        relay.setFlowing(false)
        try talk.send(50)
        usleep(300_000)
        relay.setFlowing(true)
        try talk.send(50)
        try talk.expectAll(running.daemon)

        // Longer than the keep-alive: the connection is given up on one side only.
        relay.setFlowing(false)
        relay.sever()
        try talk.send(50)
        try wait { !running.daemon.parts.transport.isConnected }
        relay.setFlowing(true)
        try talk.send(50)
        try talk.expectAll(running.daemon)
        #expect(running.daemon.parts.transport.counters.reconnects >= 1)
        running.daemon.stop()
    }
}

/// Who sends events to a daemon and hears its results.
final class Conversation: Sendable {
    let client: MQTTClient
    private let ear = Recorder()
    private let sent = Mutex(0)

    /// Waits until the daemon is there and its subscriptions are too.
    init(_ broker: BrokerHarness) throws {
        client = try MQTTClient(broker.options("sender"))
        try client.subscribe([MQTTSubscription(filter: "martlet/pi/#", qos: 1)])
        try ear.connect(client)
        try wait {
            try client.publish(MQTTMessage(topic: "martlet/pi/request/ping", text: "", qos: 0), token: 0)
            usleep(20_000)
            return ear.messages.contains { $0.topic == "martlet/pi/response/ping" }
        }
    }

    /// Sends events, each with a topic of its own.
    func send(_ count: Int) throws {
        for _ in 0..<count {
            let number = sent.withLock { sent in
                sent += 1
                return sent
            }
            let message = MQTTMessage(topic: "door/\(number)", text: "unusual", qos: 1)
            try wait {
                do {
                    try client.publish(message, token: UInt64(number))
                    return true
                } catch TransportError.busy {
                    return false
                }
            }
        }
    }

    /// The events of all results so far, with their ids.
    func results() throws -> [(topic: String, id: String)] {
        try ear.messages.filter { $0.topic == "martlet/pi/task/door/result" }.map { message in
            let result = try JSONValue(parsing: message.payload)
            return (result["topic"]?.string ?? "", result["id"]?.string ?? "")
        }
    }

    /// Waits until every event is answered, and the broker has the answers; each event must have been taken once.
    ///
    /// - Parameter once: whether each answer must have come once, too. Not where a connection ended while answers were
    ///   on their way: one whose acknowledgement was lost with it is sent again, which QoS 1 wants.
    func expectAll(_ daemon: Daemon, once: Bool = true) throws {
        let count = sent.withLock { $0 }
        try wait {
            daemon.tick()
            return try Set(self.results().map { $0.topic }).count == count && daemon.outbox.isEmpty
        }
        let results = try self.results()
        let ids = Set(results.map { $0.id })
        #expect(ids.count == count, "\(ids.count - count) events were taken twice")
        #expect(!once || results.count == ids.count, "\(results.count - ids.count) results came twice")
    }
}

/// A way to a broker that can be cut.
final class Relay: Sendable {
    private struct State {
        var isFlowing = true
        /// Connections up to this number lead nowhere any more.
        var severed = 0
        var connections = 0
        var sockets: [Int32] = []
    }

    let port: Int
    private let target: Int
    private let state = Mutex(State())

    init(to target: Int) throws {
        self.target = target
        port = try #require(PrivateBroker.freePort())
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let bound = Self.withAddress(port) { bind(listener, $0, $1) }
        try #require(bound == 0 && listen(listener, 16) == 0)
        state.withLock { $0.sockets.append(listener) }
        // Threads of their own: they wait for as long as the test lasts.
        DispatchQueue.global().async { [weak self] in
            while true {
                let near = accept(listener, nil, nil)
                guard near >= 0, let self else { break }
                self.connect(near)
            }
        }
    }

    deinit {
        for descriptor in state.withLock({ $0.sockets }) {
            shutdown(descriptor, Int32(SHUT_RDWR))
            close(descriptor)
        }
    }

    /// Lets everything go on, or holds it; new connections too.
    func setFlowing(_ isFlowing: Bool) { state.withLock { $0.isFlowing = isFlowing } }

    /// What is under way on the present connections, and all that follows, is lost.
    func sever() { state.withLock { $0.severed = $0.connections } }

    private static func withAddress(
        _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    private func connect(_ near: Int32) {
        let far = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let number = state.withLock { state in
            state.connections += 1
            state.sockets += [near, far]
            return state.connections
        }
        guard Self.withAddress(target, { Glibc.connect(far, $0, $1) }) == 0 else { return }
        carry(near, far, number)
        carry(far, near, number)
    }

    /// Passes bytes on in one direction, until one side ends.
    private func carry(_ source: Int32, _ sink: Int32, _ number: Int) {
        DispatchQueue.global().async { [weak self] in
            var bytes = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(source, &bytes, bytes.count, 0)
                guard let isLost = self?.hold(number) else { return }
                if isLost, count > 0 { continue }
                guard count > 0 else { break }
                guard send(sink, bytes, count, Int32(MSG_NOSIGNAL)) == count else { break }
            }
            // A side that is lost is not told that the other one went.
            if self?.hold(number) == false { shutdown(sink, Int32(SHUT_WR)) }
        }
    }

    /// Waits while nothing flows; whether this connection leads nowhere.
    private func hold(_ number: Int) -> Bool {
        while true {
            let (isFlowing, severed) = state.withLock { ($0.isFlowing, $0.severed) }
            if number <= severed { return true }
            if isFlowing { return false }
            usleep(2000)
        }
    }
}
