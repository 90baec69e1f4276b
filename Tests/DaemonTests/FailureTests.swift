import Glibc
import Logging
import Spool
import TestSupport
import Testing
import Transport

@testable import Daemon

/// The short form of bench/nth-failure.sh: calls of libc that a daemon and its spool make from start to end fail, each
/// once and for good. Without a network: the broker is the one in memory.
@Suite(.serialized) struct FailureTests {
    /// What makes calls fail; nil on a machine without a C compiler, or without this repository.
    private static let library: String? = {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = try? Child.run(["bash", "/\(root)/bench/counters/build.sh", "failures"])
        return path.map { String($0.filter { $0 != "\n" }) }
    }()

    /// In a process of its own, because the library is loaded at its start and fails everybody's calls.
    @Test(.enabled(if: library != nil, "there is no C compiler")) func noFailedCallLosesAnEvent() async throws {
        setenv("LD_PRELOAD", try #require(Self.library), 1)
        defer { unsetenv("LD_PRELOAD") }
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            exit(try Walk().run(step: 5) ? 0 : 1)
        }
        let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        // Of a crash the last line names the call.
        for line in output.split(separator: "\n").suffix(8) where line.hasPrefix("failures:") { print(line) }
    }

    private final class Walk {
        private let arm: @convention(c) (Int, Int32) -> Int
        private let broker = InMemoryBroker()
        private let folder: TemporaryFolder
        private var number = 0

        init() throws {
            let symbol = try #require(dlsym(nil, "failures_arm"))
            arm = unsafeBitCast(symbol, to: (@convention(c) (Int, Int32) -> Int).self)  // as failures.c defines it
            folder = try TemporaryFolder(inMemory: true)
        }

        /// Whether all went well.
        func run(step: Int) throws -> Bool {
            // The first leaves a session behind, the second is counted.
            _ = try live(failing: 0, forGood: false)
            let calls = try live(failing: 0, forGood: false)
            var (failed, bad) = (0, 0)
            for forGood in [false, true] {
                for nth in stride(from: 1 + failed % step, through: calls, by: step) {
                    print("failures: call \(nth) of \(calls)\(forGood ? ", for good" : "")")
                    fflush(nil)
                    do {
                        _ = try live(failing: nth, forGood: forGood)
                    } catch {
                        print("failures: \(error)")
                        bad += 1
                    }
                    failed += 1
                }
            }
            print("failures: \(failed) of \(calls) calls failed, \(bad) badly")
            return bad == 0 && failed > 20
        }

        /// One event's life in a daemon that meets a failure, and if need be in one that meets none. Returns how many
        /// calls the first made.
        private func live(failing nth: Int, forGood: Bool) throws -> Int {
            number += 1
            let topic = "door/\(number)"
            if number > 1 { broker.publish(MQTTMessage(topic: topic, text: "unusual", qos: 1)) }
            _ = arm(nth, forGood ? 1 : 0)
            let first = try? answer(topic, within: number > 1 ? .milliseconds(200) : .zero)
            let calls = arm(0, 0)
            if number == 1 { return calls }
            let second = try answer(topic, within: first?.isEmpty == false ? .zero : .seconds(20))
            let ids = Set((first ?? []) + second)
            guard ids.count == 1 else { throw Failure("\(topic) has \(ids.count) answers") }
            return calls
        }

        /// A daemon's whole life; the ids of its answers to an event.
        private func answer(_ topic: String, within limit: Duration) throws -> [String] {
            let spool = try Spool(path: folder.path("spool/spool.db"), limitBytes: 4 << 20)
            defer { spool.close() }
            let ledger = try? WorkLedger(folder: folder.path("spool"))
            let harness = try Harness(broker: broker, spool: spool, start: false, ledger: ledger)
            defer { harness.stop() }
            func ids() throws -> [String] {
                try harness.results("door").filter { $0["topic"]?.string == topic }.compactMap { $0["id"]?.string }
            }
            try harness.daemon.start()
            try? wait(limit) {
                harness.daemon.tick()
                return try !ids().isEmpty && harness.daemon.outbox.isEmpty
            }
            harness.daemon.tick()
            return try ids()
        }
    }
}
