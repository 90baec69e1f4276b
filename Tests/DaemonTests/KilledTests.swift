import Glibc
import JSON
import Linux
import Logging
import Spool
import TestSupport
import Testing
import Transport

@testable import Daemon

/// The short form of bench/kill9.sh: a daemon on a real broker, killed at moments of its choice.
@Suite(.serialized) struct KilledTests {
    /// Where the children find their broker and their spool.
    private static let variable = "MARTLET_TEST_KILLED"

    @Test func aKilledDaemonAnswersEveryEvent() async throws {
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let folder = try TemporaryFolder()
        setenv(Self.variable, "\(broker.port) \(folder.path("spool.db"))", 1)
        let ear = try broker.subscriber("martlet/pi/task/door/result", ["-q", "1"])
        // From the first connection on the broker keeps events for it.
        await #expect(processExitsWith: .signal(SIGKILL)) { try KilledTests.live(KilledTests.untilConnected) }
        var sent: Set<String> = []
        for round in 0..<6 {
            for number in 0..<15 {
                let topic = "door/\(round)-\(number)"
                try broker.publish(topic, "unusual", ["-q", "1"])
                sent.insert(topic)
            }
            await #expect(processExitsWith: .signal(SIGKILL)) { try KilledTests.live(KilledTests.aWhile) }
        }
        await #expect(processExitsWith: .success) { try KilledTests.live(KilledTests.untilAllIsTold) }

        var ids: [String: Set<String>] = [:]
        for line in ear.output.split(separator: "\n") where line.hasPrefix("{") {
            let result = try JSONValue(parsing: String(line))
            ids[result["topic"]?.string ?? "", default: []].insert(result["id"]?.string ?? "")
        }
        #expect(Set(ids.keys) == sent)
        // It may have been answered twice, but it is one event.
        #expect(ids.values.allSatisfy { $0.count == 1 }, "\(ids.filter { $0.value.count > 1 })")
    }

    /// Nothing remembers requests, so one that kills the process must not come again: it is acknowledged before it is
    /// read.
    @Test func aRequestThatKillsTheDaemonComesOnce() async throws {
        let broker = try BrokerHarness()
        defer { broker.stop() }
        let folder = try TemporaryFolder()
        setenv(Self.variable, "\(broker.port) \(folder.path("spool.db"))", 1)
        let ear = try broker.subscriber("martlet/pi/response/generate", ["-q", "1"])
        await #expect(processExitsWith: .signal(SIGKILL)) { try KilledTests.live(KilledTests.untilConnected) }
        try broker.publish("martlet/pi/request/generate", "{\"prompt\":\"die\"}", ["-q", "1"])
        await #expect(processExitsWith: .signal(SIGKILL)) {
            try KilledTests.live { _ in
                // The request does it.
                try? wait(until: { false })
                exit(3)
            }
        }
        try broker.publish("martlet/pi/request/generate", "{\"prompt\":\"live\"}", ["-q", "1"])
        await #expect(processExitsWith: .success) {
            try KilledTests.live { daemon in
                try wait { daemon.latency.quantiles != nil && daemon.scheduler.isIdle }
                daemon.stop()
                exit(0)
            }
        }
        try wait { ear.output.contains("live!") }
        #expect(ear.output.split(separator: "\n").filter { $0.hasPrefix("{") }.count == 1, "\(ear.output)")
    }

    /// A daemon that lives as long as `life` takes, and is killed if that returns.
    private static func live(_ life: (Daemon) throws -> Void) throws {
        let words = String(cString: try #require(getenv(variable))).split(separator: " ")
        let configuration = try parse(oneDoor("mqtt://127.0.0.1:\(words[0])"))
        var options = configuration.mqttOptions
        options.backoffMilliseconds = 50...400
        let parts = DaemonParts(
            transport: try MQTTClient(options), spool: try Spool(path: String(words[1]), limitBytes: 4 << 20),
            makeRunner: { (models, _) throws(DaemonError) in FakeRunner(models, gate: Gate(keeps: false)) },
            logger: Logger(label: "test") { _ in SilentLog() })
        let daemon = Daemon(configuration, parts)
        try daemon.start()
        try life(daemon)
        kill(getpid(), SIGKILL)
    }

    private static func untilConnected(_ daemon: Daemon) throws {
        try wait { daemon.parts.transport.isConnected }
        // Being connected is not yet being subscribed.
        usleep(300_000)
    }

    private static func aWhile(_ daemon: Daemon) {
        let moment = monotonicNanoseconds() + UInt64.random(in: 1_000_000...60_000_000)
        while monotonicNanoseconds() < moment { daemon.tick() }
    }

    private static func untilAllIsTold(_ daemon: Daemon) throws {
        try wait { daemon.parts.transport.isConnected }
        // The broker may still have some for us: nothing must be on its way for a while.
        var quiet = 0
        try wait {
            daemon.tick()
            let counts = try daemon.parts.spool.counts()
            quiet = counts.events == 0 && counts.messages == 0 && daemon.outbox.isEmpty ? quiet + 1 : 0
            return quiet > 700
        }
        daemon.stop()
        exit(0)
    }
}
