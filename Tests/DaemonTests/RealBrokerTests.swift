import JSON
import Logging
import Spool
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Daemon

/// A daemon on a real mosquitto, with the engine faked: what mosquitto_pub sends and mosquitto_sub hears.
@Suite(.serialized) struct OnARealBroker {
    final class Running: Sendable {
        let daemon: Daemon
        let gate = Gate()

        /// - Parameters:
        ///   - port: of something between it and the broker.
        ///   - reloaded: the configuration that a reload finds.
        init(
            _ broker: BrokerHarness, spool: Spool, port: Int? = nil, keepAlive: Int = 60, reloaded: String? = nil
        ) throws {
            let configuration = try parse(oneDoor("mqtt://127.0.0.1:\(port ?? broker.port)"))
            var options = configuration.mqttOptions
            options.backoffMilliseconds = 50...400
            options.keepAlive = keepAlive
            let gate = gate
            var parts = DaemonParts(
                transport: try MQTTClient(options), spool: spool,
                makeRunner: { (models, _) throws(DaemonError) in FakeRunner(models, gate: gate) },
                logger: Logger(label: "test") { _ in SilentLog() })
            if let reloaded {
                parts.loadConfiguration = { () throws(ConfigurationError) in
                    try Configuration.parse(Array(reloaded.utf8), file: "m.toml", context: testContext)
                }
            }
            daemon = Daemon(configuration, parts)
            try daemon.start()
        }
    }

    static func lines(_ child: Child, containing text: String) -> [Substring] {
        child.output.split(separator: "\n").filter { $0.contains(text) }
    }

    @Test func answersAndTellsItsStatus() throws {
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let running = try Running(broker, spool: .inMemory())
        let ear = try broker.subscriber("martlet/#", ["-v", "-q", "1"])
        try wait { running.daemon.parts.transport.isConnected }
        // Retained: being connected is not yet being subscribed.
        try broker.publish("door/front", "an unusual visitor", ["-q", "1", "-r"])
        try wait { !Self.lines(ear, containing: "task/door/result {").isEmpty }
        let line = try #require(Self.lines(ear, containing: "task/door/result {").first)
        let result = try JSONValue(parsing: String(line.drop { $0 != "{" }))
        #expect(result["label"] == .string("unusual") && result["topic"] == .string("door/front"))
        try wait { ear.output.contains("martlet/pi/task/door/state unusual") }
        #expect(ear.output.contains("martlet/pi/status online") && ear.output.contains("martlet/pi/info {"))
        try broker.publish("martlet/pi/request/ping", "{\"transaction\":5}")
        try wait { ear.output.contains("martlet/pi/response/ping {\"status\":\"ok\"") }
        running.daemon.stop()
        try wait { ear.output.contains("martlet/pi/status offline") }
        #expect(running.daemon.parts.transport.isConnected == false)
    }

    /// A new login needs a new connection; what the reload says goes out over the old one before.
    @Test func aReloadThatConnectsAnewIsAnsweredAndUnsubscribes() throws {
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let other = oneDoor("mqtt://127.0.0.1:\(broker.port)", broker: "username = \"other\"")
        let running = try Running(broker, spool: .inMemory(), reloaded: other.replacing("door/#", with: "hall/#"))
        let ear = try broker.subscriber("martlet/#", ["-v", "-q", "1"])
        let transport = running.daemon.parts.transport
        try wait { transport.isConnected }
        try broker.publish("martlet/pi/request/reload", "{}", ["-q", "1"])
        try wait { ear.output.contains("martlet/pi/response/reload {\"status\":\"ok\"") }
        try wait { transport.counters.reconnects == 1 && transport.isConnected }
        try broker.publish("door/a", "unusual", ["-q", "1"])
        try broker.publish("hall/a", "unusual", ["-q", "1", "-r"])
        try wait { !Self.lines(ear, containing: "task/door/result {").isEmpty }
        #expect(Self.lines(ear, containing: "task/door/result {").allSatisfy { $0.contains("hall/a") })
        #expect(transport.counters.received == 2)
        running.daemon.stop()
    }

    @Test func resultsMadeWhileTheBrokerIsAwayArriveLater() throws {
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let running = try Running(broker, spool: .inMemory())
        try wait { running.daemon.parts.transport.isConnected }
        // Retained: being connected is not yet being subscribed. It goes with this broker, which keeps nothing.
        try broker.publish("door/a", "block unusual", ["-q", "1", "-r"])
        // Alone: what arrives before it is taken would be computed in its company.
        try wait { running.gate.seen.count == 1 }
        for number in 1...4 { try broker.publish("door/a", "routine \(number)", ["-q", "1"]) }
        try wait { running.daemon.scheduler.count == 4 }
        broker.kill()
        running.gate.open()
        try wait { running.daemon.scheduler.isIdle }
        try broker.start()
        let ear = try broker.subscriber("martlet/pi/task/+/result", ["-q", "1"])
        // The broker acknowledged them all, so by then it has the subscriptions sent before them too.
        try wait {
            running.daemon.tick()
            return try running.daemon.parts.spool.counts().messages == 0
        }
        #expect(try running.daemon.parts.spool.counts().events == 0)
        try broker.publish("door/a", "unusual again", ["-q", "1"])
        try wait { !Self.lines(ear, containing: "unusual").isEmpty }
        running.daemon.stop()
    }
}
