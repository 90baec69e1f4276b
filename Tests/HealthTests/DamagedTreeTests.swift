import Foundation
import Health
import Linux
import TestSupport
import Testing

/// No content of `/proc` or `/sys` may trap a collector: the files of every tree are damaged one way at a time.
@Suite struct DamagedTreeTests {
    static let damages: [String] = [
        "", "\n", " ", "\0\0\0", "garbage", "-1", "-9223372036854775808", "9223372036854775807", "18446744073709551615",
        "99999999999999999999999999999999", "nan", "inf", "0x1F", "1e400", "max", ":", ")", "()", "cpu ", "cpu  1 2 3",
        "cpu  9223372036854775807 9223372036854775807 9223372036854775807 9223372036854775807 1 1 1 1",
        "cpu  72057594037927936 72057594037927936 72057594037927936 72057594037927936 72057594037927936 1 1 1",
        "MemTotal: 9223372036854775807 kB\nMemAvailable: -5 kB\nSwapTotal: 72057594037927936 kB\nSwapFree: 0 kB",
        "MemTotal: 1 kB\nMemTotal:\nMemAvailable kB\nSwapTotal: 5 MB", "VmRSS: 72057594037927936 kB\nRssAnon: x kB",
        "some avg10=nan avg60=0 avg300=0 total=0", "some avg10=", "some avg10=1e999", "some", "0::/",
        "0::/a/b/../c", "anon 9223372036854775807\nfile 72057594037927936\nshmem 72057594037927936",
        "0-9223372036854775807", "0-1023,0-1023", "1 (x) S 1 1 1 1 1 1 1 1 9223372036854775807 1", "1 (x",
        String(repeating: "9", count: 5000), String(repeating: "a b\n", count: 5000),
    ]

    /// Everything that reads a tree, twice, so that deltas are taken too.
    static func readAll(_ tree: FileTree, then damage: () throws -> Void) rethrows {
        var options = HealthMonitor.Options(diskPath: "/", freeBytes: { _ in UInt64.max })
        options.readsFirmwareThrottleWord = true
        var monitor = HealthMonitor(tree: tree, options: options)
        _ = monitor.sample(at: 0)
        try damage()
        let readings = monitor.sample(at: 10_000_000_000)
        let limits = Limits()
        let step = Governor.step(readings, limits: limits, previous: GovernorState())
        #expect(step.budget.dutyCycle >= 0)
        _ = DeviceCondition().next(readings, limits: limits, connected: false).state
        let board = Board.detect(tree)
        _ = doctorFindings(Examination(tree: tree, readings: readings, board: board, features: "", tier: "generic"))
        #expect(readings.cpu.usagePercent.map { (0...100).contains($0) } ?? true)
        #expect(readings.memory.swapUsedMB ?? 0 >= 0)
    }

    @Test(arguments: Trees.boards)
    func `Every file replaced by every kind of damage`(board: String) throws {
        let scratch = try ScratchTree(board)
        // CPUs beyond the first two of each kind are alike.
        let files = scratch.files.filter { !$0.contains("/cpu1/") && !$0.contains("/cpu2/") && !$0.contains("/cpu6/") }
        let whole = try ScratchTree(board)
        for damage in Self.damages {
            try Self.readAll(whole.tree) {
                for file in files { try whole.write(file, damage) }
            }
        }
        // One file at a time, with the damages that parse furthest.
        for file in files where !file.contains("trip_point") {
            let original = try Data(contentsOf: URL(fileURLWithPath: scratch.root + file))
            for damage in ["", "garbage", "72057594037927936", "-1"] {
                try Self.readAll(scratch.tree) { try scratch.write(file, damage) }
            }
            try Self.readAll(scratch.tree) { try scratch.write(file, original.prefix(original.count / 2)) }
            try scratch.write(file, original)
        }
    }

    @Test func `Random bytes everywhere`() throws {
        var generator = SplitMix(state: 1)
        let scratch = try ScratchTree("pi-4")
        let files = scratch.files
        for _ in 0..<20 {
            for file in files {
                try scratch.write(file, Data((0..<64).map { _ in UInt8.random(in: 0...255, using: &generator) }))
            }
            Self.readAll(scratch.tree) {}
        }
    }

    @Test func `An empty tree has nothing to say`() throws {
        let scratch = try ScratchTree()
        var monitor = HealthMonitor(tree: scratch.tree, performanceCPU: 0)
        let readings = monitor.sample(at: 7)
        #expect(readings == Readings(time: 7))
        let report = HealthReport(
            device: "d", time: "t", readings: readings, state: .ok, mqtt: MQTTHealth(connected: false),
            engine: EngineHealth(threads: 1))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let text = String(decoding: try encoder.encode(report), as: UTF8.self)
        #expect(text.hasPrefix(#"{"cpu":{},"device":"d","disk":{},"#))
        #expect(text.contains(#""memory":{},"#))
        #expect(!text.contains("uptime_s"))
    }

    @Test func `Folders where files are expected, and files where folders are`() throws {
        let scratch = try ScratchTree()
        try scratch.write("/proc/meminfo/x", "")
        try scratch.write("/proc/stat/x", "")
        try scratch.write("/sys/class/thermal", "")
        try scratch.write("/sys/class/hwmon/hwmon0", "")
        try scratch.write("/sys/devices/system/cpu/online/x", "")
        Self.readAll(scratch.tree) {}
    }
}
