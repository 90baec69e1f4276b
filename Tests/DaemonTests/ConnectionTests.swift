import Dispatch
import Glibc
import JSON
import Linux
import Spool
import TestSupport
import Testing
import Transport

@testable import Daemon

@Suite struct Connection {
    @Test func statusInfoAndHealthAreRetained() throws {
        let harness = try Harness()
        #expect(harness.broker.retained["martlet/pi/status"]?.text == "online")
        let info = try JSONValue(parsing: try #require(harness.broker.retained["martlet/pi/info"]).payload)
        #expect(info["tier"] == .string("fake") && info["tasks"]?.array?.count == 2)
        #expect(info["models"]?.text == #"[{"name":"m","architecture":"fake","parameters":1,"bytes":2}]"#)
        harness.daemon.sampleHealth()
        let health = try harness.health
        #expect(
            health.object?.map(\.key).filter { $0 != "uptime_s" }
                == ["device", "time", "state", "cpu", "memory", "disk", "mqtt", "engine"])
        #expect(health["mqtt"]?["connected"] == .bool(true) && health["engine"]?["governor"] != nil)
        harness.broker.cut("martlet-pi", reconnect: false)
        #expect(harness.broker.retained["martlet/pi/status"]?.text == "offline")
        harness.broker.cut("martlet-pi", reconnect: true)
        try wait { harness.broker.retained["martlet/pi/status"]?.text == "online" }
        harness.stop()
        #expect(harness.broker.retained["martlet/pi/status"]?.text == "offline")
    }

    @Test func theFirstHealthReportHasRates() throws {
        let folder = try TemporaryFolder()
        mkdir(folder.path("proc"), 0o700)
        try folder.write("cpu  100 0 0 300 0 0 0 0 0 0\n", to: "proc/stat")
        let harness = try Harness(tree: FileTree(root: folder.root), start: false)
        // What a board takes to load its model.
        harness.clock.advance(.milliseconds(400))
        try folder.write("cpu  130 0 0 310 0 0 0 0 0 0\n", to: "proc/stat")
        try harness.daemon.start()
        #expect(harness.messages("martlet/pi/health").count == 1)
        #expect(try harness.health["cpu"]?["usage_percent"]?.double == 75)
    }

    @Test func aHealthReportTooEarlyForRatesIsMadeAgain() throws {
        let harness = try Harness()
        #expect(harness.messages("martlet/pi/health").count == 1)
        #expect(try harness.health["cpu"]?["usage_percent"] == nil)
        for _ in 1...3 {
            harness.clock.advance(.seconds(5))
            harness.daemon.sampleHealth()
        }
        #expect(harness.messages("martlet/pi/health").count == 2)
    }

    @Test func aRetainedRequestIsRefusedAtEveryConnection() throws {
        let harness = try Harness(start: false)
        harness.broker.publish(
            MQTTMessage(topic: "martlet/pi/request/generate", text: "{\"prompt\":\"again\"}", retain: true))
        try harness.daemon.start()
        try wait { harness.messages("martlet/pi/response/generate").count == 1 }
        let reply = try JSONValue(parsing: harness.messages("martlet/pi/response/generate")[0].payload)
        #expect(reply["status"] == .string("error") && reply["error"]?.string?.contains("retained") == true)
        #expect(try harness.request("generate", "{\"prompt\":\"once\"}")["status"] == .string("ok"))
    }

    /// The first connection comes after six hours; nothing ends, and nothing piles up, before it.
    @Test func aBrokerThatComesAfterHoursIsServed() throws {
        let broker = InMemoryBroker()
        broker.setUp(false)
        let harness = try Harness(broker: broker)
        for minute in 0..<360 {
            harness.clock.advance(.seconds(60))
            harness.daemon.tick()
            harness.daemon.sampleHealth()
            if minute % 60 == 0 { harness.daemon.parts.transport.renew(harness.daemon.live.current.mqttOptions) }
        }
        #expect(harness.daemon.isAlive && !harness.daemon.parts.transport.isConnected)
        #expect(try harness.daemon.parts.spool.counts().messages == 0)
        #expect(harness.daemon.live.lastProblem == .network)
        broker.setUp(true)
        try wait { broker.retained["martlet/pi/status"]?.text == "online" }
        harness.publish("door/a", "unusual")
        #expect(try harness.results("door", count: 1)[0]["label"] == .string("unusual"))
        harness.stop()
    }

    @Test func resultsWaitForTheBrokerAndKeepTheirOrder() throws {
        let harness = try Harness()
        for number in 1...3 { harness.publish("door/a", "block unusual \(number)") }
        try wait { harness.gate.seen.count == 1 }
        harness.broker.setUp(false)
        for _ in 1...3 { harness.gate.open() }
        try wait { harness.daemon.scheduler.isIdle }
        #expect(try harness.daemon.parts.spool.counts().messages == 3)
        #expect(try harness.results("door").isEmpty)
        harness.broker.setUp(true)
        let results = try harness.results("door", count: 3)
        let ids = results.compactMap { $0["id"]?.string }
        #expect(ids == ids.sorted() && Set(ids).count == 3)
        harness.daemon.tick()
        #expect(try harness.daemon.parts.spool.counts().messages == 0)
        harness.stop()
    }

    @Test func aResultOfQoS0IsNotWrittenToDiskWhileTheBrokerIsThere() throws {
        let harness = try Harness()
        for _ in 0..<20 { harness.publish("door/a", "routine", qos: 0) }
        _ = try harness.results("door", count: 20)
        #expect(try harness.daemon.parts.spool.enqueue(SpooledMessage(topic: "probe", payload: [])) == 1)
        harness.stop()
    }

    @Test func aResultStoredDuringAReadKeepsTheOutboxBehind() {
        var state = Outbox.State()
        let reasons = state.reasons
        state.fallBehind()
        state.catchUp(with: reasons)
        #expect(state.isBehind)
        state.catchUp(with: state.reasons)
        #expect(!state.isBehind)
    }

    @Test func whatTheBrokerHasIsNotForgottenWhileItMayBeSentAgain() {
        var settled = SettledMessages()
        let look = settled.begin()
        settled.insert(7)
        let later = settled.begin()
        settled.removed([7])
        settled.end(later)
        #expect(settled.contains(7))
        settled.end(look)
        settled.end(look)
        #expect(!settled.contains(7))
        settled.insert(8)
        settled.removed([8])
        #expect(!settled.contains(8))
    }

    /// Answers come from the engine and, for what is shed, from the network's thread; a third one sends what waits.
    @Test func answersOfSeveralThreadsLeaveOnce() throws {
        let harness = try Harness()
        let outbox = harness.daemon.outbox
        let each = 400
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            for number in 0..<each {
                let key = SpooledEvent.Key(id: "none", task: "none")
                outbox.send(
                    [SpooledMessage(topic: "many", payload: Array("\(thread) \(number)".utf8))], completing: [key])
                if number % 3 == thread % 3 { outbox.removeAcknowledged() }
                if number % 50 == 0 { outbox.pump() }
            }
        }
        try wait {
            outbox.pump()
            return outbox.isEmpty
        }
        let texts = harness.messages("many").map(\.text)
        #expect(Set(texts).count == 4 * each && texts.count == 4 * each, "\(texts.count) of \(4 * each)")
        harness.stop()
    }

    /// A disk that filled up while the broker is away: answers wait in memory, and are told when it is back.
    @Test func answersThatTheSpoolHasNoRoomForAreHeld() throws {
        let spool = try Spool.inMemory(limitBytes: 256 << 10)
        while (try? spool.enqueue(SpooledMessage(topic: "filler", payload: [UInt8](repeating: 0, count: 5000)))) != nil
        {}
        let harness = try Harness(spool: spool)
        harness.broker.setUp(false)
        let outbox = harness.daemon.outbox
        outbox.keep((0..<40).map { SpooledMessage(topic: "held", payload: Array("\($0)".utf8)) })
        #expect(outbox.lost == 0 && !outbox.isEmpty)
        harness.broker.setUp(true)
        try wait { harness.messages("held").count == 40 }
        #expect(harness.messages("held").map(\.text) == (0..<40).map(String.init))
        harness.broker.setUp(false)
        outbox.keep(
            (0..<Outbox.mostOverflow + 5).map { _ in
                SpooledMessage(topic: "held", payload: [UInt8](repeating: 1, count: 5000))
            })
        #expect(outbox.isCrowded)
        harness.stop()
    }

    @Test func noResultIsForgottenWhenItComesWhileTheSpoolIsRead() throws {
        for _ in 0..<10 {
            let harness = try Harness()
            harness.broker.setUp(false)
            harness.broker.setUp(true)
            // The engine adds results while this thread reads the spool for earlier ones.
            for number in 0..<40 {
                harness.publish("door/a", "unusual \(number)")
                harness.daemon.outbox.connected()
            }
            try wait { Set(try harness.results("door").compactMap { $0["id"] }.map(\.text)).count == 40 }
            harness.stop()
        }
    }

    @Test func everyEventIsAnsweredThroughCutsAndPressure() throws {
        let harness = try Harness(limits: "queue = 50")
        var sent = 0
        for round in 0..<40 {
            for number in 0..<25 {
                harness.publish(number % 5 == 0 ? "home/t" : "door/\(number)", "unusual \(round)", qos: 1)
                sent += 1
            }
            if round % 7 == 3 { harness.broker.cut("martlet-pi", reconnect: true) }
            harness.daemon.tick()
        }
        try wait { harness.daemon.scheduler.isIdle && harness.daemon.outbox.isEmpty }
        // A cut can lose an acknowledgement: the result comes twice then, with the same id.
        let door = Set(try harness.results("door").compactMap { $0["id"]?.string })
        #expect(door.count == sent / 5 * 4)
        var windows: [String: Int] = [:]
        for digest in try harness.results("digest") {
            windows[try #require(digest["id"]?.string)] = digest["window"]?["events"]?.integer
        }
        #expect(windows.values.reduce(0, +) + sent / 5 % 3 == sent / 5)
        harness.daemon.tick()
        #expect(try harness.daemon.parts.spool.counts().messages == 0)
        #expect(try harness.daemon.parts.spool.counts().events == sent / 5 % 3)
        harness.stop()
    }
}
