/// One sample of every signal the board offers; what `Governor`, `DeviceCondition` and the report are made from.
public struct Readings: Sendable, Equatable {
    /// Monotonic nanoseconds at which the sample was taken.
    public var time: UInt64
    /// Seconds since the board booted.
    public var uptimeSeconds: Int?
    public var cpu: CPUHealth
    public var memory: MemoryHealth
    public var disk: DiskHealth
    /// This process's cgroup v2; nil where the memory controller is off (stock Raspberry Pi OS).
    public var cgroup: ControlGroupReadings?

    public init(
        time: UInt64 = 0, uptimeSeconds: Int? = nil, cpu: CPUHealth = CPUHealth(),
        memory: MemoryHealth = MemoryHealth(), disk: DiskHealth = DiskHealth(), cgroup: ControlGroupReadings? = nil
    ) {
        self.time = time
        self.uptimeSeconds = uptimeSeconds
        self.cpu = cpu
        self.memory = memory
        self.disk = disk
        self.cgroup = cgroup
    }

    /// MB this process can still allocate before the kernel must take pages from somebody: the smaller of what the
    /// board and what the cgroup leave. Nil when neither says.
    public var headroomMB: Int? {
        switch (memory.availableMB, cgroup?.headroomMB) {
        case (let board?, let group?): min(board, group)
        case (let board?, nil): board
        case (nil, let group): group
        }
    }

    /// The stronger of the board's and the cgroup's memory pressure, percent; nil without PSI.
    public var pressure: Double? {
        switch (memory.pressureSomeAvg10, cgroup?.pressureSomeAvg10) {
        case (let board?, let group?): max(board, group)
        case (let board?, nil): board
        case (nil, let group): group
        }
    }
}

/// What the configuration and the board allow; the governor and the state are judged against these.
public struct Limits: Sendable, Equatable {
    /// °C above which the governor slows down (`[limits] max_temperature`).
    public var maxTemperatureC: Double
    /// MB of anonymous memory this process may use (`[limits] memory`); nil: no limit.
    public var memoryMB: Double?
    /// MB of free disk below which the spool is in danger.
    public var minimumDiskMB: Int
    /// Worker threads at full speed.
    public var threads: Int
    /// Context cells at full speed.
    public var context: Int
    /// Prompt tokens in one matrix product at full speed.
    public var batch: Int

    public init(
        maxTemperatureC: Double = 78, memoryMB: Double? = 200, minimumDiskMB: Int = 128, threads: Int = 4,
        context: Int = 2048, batch: Int = 256
    ) {
        self.maxTemperatureC = maxTemperatureC
        self.memoryMB = memoryMB
        self.minimumDiskMB = minimumDiskMB
        self.threads = threads
        self.context = context
        self.batch = batch
    }
}
