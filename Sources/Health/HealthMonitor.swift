import Linux

/// Reads every signal the board offers, and remembers the counters that rates are made from.
///
/// A value: one task owns it. A sample costs some dozens of small file reads and starts nothing.
public struct HealthMonitor: Sendable {
    /// What the machine cannot tell by itself.
    public struct Options: Sendable {
        /// Folder of the process in the tree.
        public var process: String
        /// Folder on the disk to watch: where the spool lives. Nil: the disk section stays empty.
        public var diskPath: String?
        /// Bytes free at a path; injectable because it is a system call, not a file.
        public var freeBytes: @Sendable (String) -> UInt64?
        /// The board's own zone type, tried first; see `Board.thermalZone`.
        public var thermalZone: String?
        /// Reads the Raspberry Pi firmware's word although the kernel warns once; see `Throttle`.
        public var readsFirmwareThrottleWord: Bool

        public init(
            process: String = "/proc/self", diskPath: String? = nil,
            freeBytes: @escaping @Sendable (String) -> UInt64? = Disk.freeBytes, thermalZone: String? = nil,
            readsFirmwareThrottleWord: Bool = false
        ) {
            self.process = process
            self.diskPath = diskPath
            self.freeBytes = freeBytes
            self.thermalZone = thermalZone
            self.readsFirmwareThrottleWord = readsFirmwareThrottleWord
        }
    }

    public let tree: FileTree
    public let options: Options
    /// The CPU whose clock is reported: a performance core.
    private let clockedCPU: Int
    private var previous: Counters?
    /// Remembers throttling this process has seen, for boards that do not remember themselves.
    private var sawThrottling = false

    private struct Counters {
        var time: UInt64
        var ticks: CPUTicks?
        var majorFaults: Int64?
        var throttleEvents: Int64?
    }

    /// Shorter than this and one tick of 10 ms more or less would decide the percentage.
    public static let shortestInterval: UInt64 = 200_000_000

    /// - Parameter performanceCPU: the CPU whose clock is reported; nil: the first performance core in `tree`.
    public init(tree: FileTree = .machine, options: Options = Options(), performanceCPU: Int? = nil) {
        self.tree = tree
        self.options = options
        clockedCPU = performanceCPU ?? CPUTopology.detect(tree, allowed: { _ in true }).performance.first ?? 0
    }

    /// One sample of every signal. Rates (usage, major faults) appear from the second sample on.
    ///
    /// - Parameter time: monotonic nanoseconds.
    public mutating func sample(at time: UInt64) -> Readings {
        var readings = Readings(time: time)
        readings.uptimeSeconds = Load.uptimeSeconds(tree)
        readings.cpu.temperatureC = Temperature.read(tree, preferred: options.thermalZone)
        readings.cpu.frequencyMHz = Frequency.read(tree, cpu: clockedCPU)
        readings.cpu.load1m = Load.oneMinute(tree)
        sampleMemory(&readings)
        if let path = options.diskPath {
            readings.disk.freeMB = options.freeBytes(path).map { Int($0 >> 20) }
        }
        let throttle = Throttle.read(
            tree, temperatureC: readings.cpu.temperatureC, readsFirmwareWord: options.readsFirmwareThrottleWord)
        readings.cpu.throttled = throttle.throttled
        readings.cpu.underVoltage = throttle.underVoltage
        sampleRates(&readings, throttle: throttle)
        sawThrottling = sawThrottling || readings.cpu.throttled == true
        readings.cpu.throttledSinceBoot = sawThrottling ? true : throttle.sinceBoot
        return readings
    }

    private func sampleMemory(_ readings: inout Readings) {
        let system = SystemMemory.read(tree)
        let process = ProcessMemory.read(tree, process: options.process)
        readings.memory = MemoryHealth(
            totalMB: system.totalMB, availableMB: system.availableMB, swapUsedMB: system.swapUsedMB,
            processRSSMB: process.rssMB, processAnonymousMB: process.anonymousMB, processFileMB: process.fileMB,
            pressureSomeAvg10: Pressure.someAvg10(tree, "/proc/pressure/memory"))
        readings.cgroup = ControlGroup.read(tree, process: options.process)
    }

    private mutating func sampleRates(_ readings: inout Readings, throttle: Throttle) {
        let now = Counters(
            time: readings.time, ticks: CPUTicks.read(tree),
            majorFaults: ProcessMemory.majorFaults(tree, process: options.process), throttleEvents: throttle.events)
        guard let before = previous else {
            previous = now
            // Counters start with the first sample; a board that has them is not throttled until they rise.
            if throttle.events != nil, readings.cpu.throttled == nil { readings.cpu.throttled = false }
            return
        }
        guard now.time >= before.time, now.time - before.time >= Self.shortestInterval else { return }
        previous = now
        if let old = before.ticks, let new = now.ticks { readings.cpu.usagePercent = new.usagePercent(since: old) }
        if let old = before.majorFaults, let new = now.majorFaults, new >= old {
            let seconds = Double(now.time - before.time) / 1e9
            readings.memory.majorFaultsPerSecond = (Double(new - old) / seconds).rounded(digits: 1)
        }
        if let old = before.throttleEvents, let new = now.throttleEvents {
            readings.cpu.throttled = readings.cpu.throttled == true || new > old
        }
    }
}
