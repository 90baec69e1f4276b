import Glibc
import JSON
import Linux
import Spool
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Daemon

/// Events that kill the process, told by a ledger that outlives it.
@Suite struct Quarantine {
    private let folder: TemporaryFolder
    private let bad = SpooledEvent.Key(id: "01BAD", task: "door")
    private let good = SpooledEvent.Key(id: "01GOOD", task: "door")

    init() throws { folder = try TemporaryFolder() }

    private func ledger(boot: String = "00000000-0000-0000-0000-000000000001") throws -> WorkLedger {
        try WorkLedger(folder: folder.root, bootID: boot)
    }

    /// A run of the process that ends while these are in work.
    private func die(over keys: [SpooledEvent.Key], crashing: Bool, at place: WorkLedger.Place = .engine) throws {
        let ledger = try ledger()
        ledger.begin([good], at: place)
        ledger.end(at: place)
        ledger.begin(keys, at: place)
        if crashing { ledger.noteCrash() }
    }

    @Test(arguments: [WorkLedger.Place.intake, .engine])
    func twoCrashesAreEnoughAndWhatWasDoneIsNotSuspected(_ place: WorkLedger.Place) throws {
        try die(over: [bad], crashing: true, at: place)
        #expect(try ledger().suspicion(of: bad) == .init(crashes: 1))
        try die(over: [bad], crashing: true, at: place)
        let suspicion = try #require(try ledger().suspicion(of: bad))
        #expect(suspicion == .init(crashes: 2) && suspicion.isEnough)
        #expect(try ledger().suspicion(of: good) == nil)
    }

    @Test func killsAreCountedLongerThanCrashes() throws {
        for count in 1...5 {
            try die(over: [bad, good], crashing: false)
            let suspicion = try #require(try ledger().suspicion(of: bad))
            #expect(suspicion.kills == count && suspicion.isEnough == (count == 5))
        }
    }

    @Test func aCleanEndAndALossOfPowerSayNothing() throws {
        _ = try ledger()
        #expect(try ledger().suspicion(of: bad) == nil)
        try die(over: [bad], crashing: true)
        // The same file on a machine that has started again.
        #expect(try ledger(boot: "00000000-0000-0000-0000-000000000002").suspicion(of: bad) == nil)
    }

    /// The daemon starts on a full disk, and what it works on is still written, over what stood there.
    @Test(.enabled(if: SmallDisk.isPermitted, "mounting a tmpfs is not permitted")) func aFullDiskOnlyForgets() throws {
        let disk = try #require(SmallDisk(on: folder.root, "size=256k"))
        defer { disk.unmount() }
        try die(over: [bad], crashing: true)
        var filler = 0
        while (try? folder.write([UInt8](repeating: 1, count: 4096), to: "fill\(filler)")) != nil { filler += 1 }
        try #require(filler < 64)
        #expect(throws: (any Error).self) { try folder.write("x", to: "full") }
        #expect(try ledger().suspicion(of: bad) == .init(crashes: 1))
        // That run left nothing in work.
        #expect(try ledger().suspicion(of: bad) == nil)
        try die(over: [bad], crashing: true)
        #expect(try ledger().suspicion(of: bad) == .init(crashes: 1))
    }

    @Test func damagedFilesAreReadAsFarAsTheyGo() throws {
        for seed in 0..<30 {
            var random = SplitMix(state: UInt64(seed))
            let bytes = (0..<Int.random(in: 0...66_000, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            try folder.write(bytes, to: "work")
            try folder.write(
                Array("9 9 9\n300 1 a b\n1 1 01X door\n-1 0 a b\n".utf8) + bytes.prefix(500), to: "suspects")
            #expect(try ledger().suspicion(of: .init(id: "01X", task: "door")) == .init(crashes: 1, kills: 1))
        }
    }

    @Test func aFolderThatCannotBeWrittenIsNamed() {
        let error = #expect(throws: SystemError.self) { try WorkLedger(folder: "/proc/none") }
        #expect(error?.description.contains("/proc/none/") == true)
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    // MARK: In the daemon

    private func stored(_ id: String, _ text: String, in spool: Spool) throws {
        try spool.accept(
            SpooledEvent(id: id, task: "door", topic: "door/x", payload: Array(text.utf8), received: .now()))
    }

    @Test func anEventThatCrashedTheProcessTwiceIsAnsweredKeptAndReported() throws {
        let spool = try Spool.inMemory()
        try stored(bad.id, "unusual\0bytes", in: spool)
        try stored(good.id, "unusual", in: spool)
        for _ in 0..<2 { try die(over: [bad], crashing: true) }
        let harness = try Harness(spool: spool, ledger: try ledger())
        let results = try harness.results("door", count: 2)
        let answers = Dictionary(uniqueKeysWithValues: results.map { ($0["id"]?.string ?? "", $0) })
        #expect(answers[bad.id]?["error"]?.string?.contains("died 2 times") == true, "\(results)")
        #expect(answers[good.id]?["label"] == .string("unusual"))
        #expect(harness.gate.seen == ["unusual"], "the bad one is not computed again")
        #expect(try spool.counts().events == 0)
        let kept = try #require(FileTree.machine.names(in: folder.path("quarantine")).first)
        #expect(folder.bytes("quarantine/\(kept)").suffix(13).elementsEqual("unusual\0bytes".utf8))
        harness.daemon.sampleHealth()
        #expect(try harness.health["engine"]?["quarantined"]?.integer == 1)
        harness.stop()
        // Answered: nothing is suspected any more.
        #expect(folder.read("suspects").isEmpty)
    }

    @Test func aSuspectIsComputedAlone() throws {
        let spool = try Spool.inMemory()
        for number in 1...4 { try stored("01N\(number)", "unusual \(number)", in: spool) }
        try stored(bad.id, "unusual suspect", in: spool)
        for number in 5...8 { try stored("01N\(number)", "unusual \(number)", in: spool) }
        try die(over: [bad], crashing: true)
        let harness = try Harness(spool: spool, ledger: try ledger())
        _ = try harness.results("door", count: 9)
        #expect(harness.gate.together.allSatisfy { !$0.contains("unusual suspect") }, "\(harness.gate.together)")
        #expect(harness.gate.seen.contains("unusual suspect"))
        harness.stop()
        #expect(folder.bytes("work").first == UInt8(ascii: "-"))
    }

    @Test func namesFromADamagedSpoolStayInTheFolder() throws {
        let event = SpooledEvent(
            id: "../../../escape", task: "/etc/passwd", topic: "t", payload: [1], received: .now())
        let ledger = try ledger()
        for number in 0..<40 {
            var event = event
            event.id += "\(number)"
            try ledger.keep(event, .init(crashes: 2))
        }
        let names = FileTree.machine.names(in: folder.path("quarantine"))
        #expect(names.count == 32 && names.allSatisfy { !$0.contains("/") })
        #expect(FileTree.machine.names(in: folder.root).sorted() == ["quarantine", "work"])
    }

    // MARK: A hung engine

    @Test func aHungEngineStartsTheDaemonAnewWhereNobodyElseWatches() throws {
        let hangs = Mutex(0)
        let ledger = try ledger()
        let harness = try Harness(ledger: ledger) { hangs.withLock { $0 += 1 } }
        harness.publish("door/x", "block")
        try wait { harness.gate.seen.count == 1 }
        harness.daemon.watch()
        #expect(hangs.withLock { $0 } == 0, "it may take its time")
        // The fake engine waits at its gate and uses no processor time.
        for _ in 0..<3 {
            harness.clock.advance(.seconds(10))
            harness.daemon.watch()
        }
        #expect(hangs.withLock { $0 } >= 1)
        // The new process suspects the event that hung.
        #expect(folder.bytes("work").first == UInt8(ascii: "!"))
        #expect(folder.bytes("work").dropFirst(WorkLedger.Place.engine.rawValue).contains(UInt8(ascii: "d")))
        harness.gate.open()
        _ = try harness.results("door", count: 1)
        harness.stop()
    }
}
