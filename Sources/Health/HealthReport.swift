/// The health JSON on `martlet/<device>/health`; keys and units are the published contract.
///
/// Every signal is optional: one the board does not have is nil and its key is left out, never 0.
/// `mb` counts 1,048,576 bytes, as `free -m`, systemd's `200M` and Zigbee2MQTT's `memory_used_mb` do.
public struct HealthReport: Codable, Sendable, Equatable {
    public var device: String
    /// RFC 3339 with milliseconds, UTC.
    public var time: String
    /// Seconds since the board booted.
    public var uptimeSeconds: Int?
    public var state: DeviceState
    public var cpu: CPUHealth
    public var memory: MemoryHealth
    public var disk: DiskHealth
    public var mqtt: MQTTHealth
    public var engine: EngineHealth

    public init(
        device: String, time: String, readings: Readings, state: DeviceState, mqtt: MQTTHealth, engine: EngineHealth
    ) {
        self.device = device
        self.time = time
        self.uptimeSeconds = readings.uptimeSeconds
        self.state = state
        self.cpu = readings.cpu
        self.memory = readings.memory
        self.disk = readings.disk
        self.mqtt = mqtt
        self.engine = engine
    }

    enum CodingKeys: String, CodingKey {
        case device, time
        case uptimeSeconds = "uptime_s"
        case state, cpu, memory, disk, mqtt, engine
    }
}

/// The processor's signals.
public struct CPUHealth: Codable, Sendable, Equatable {
    /// °C of the processor's own sensor, one decimal.
    public var temperatureC: Double?
    /// MHz a performance core runs at now.
    public var frequencyMHz: Int?
    /// Runnable tasks, one-minute average.
    public var load1m: Double?
    /// Share of all cores' time spent working since the previous sample, 0…100.
    public var usagePercent: Double?
    /// Whether heat or a weak supply holds the clock down now.
    public var throttled: Bool?
    /// Whether the supply voltage is too low now (Raspberry Pi).
    public var underVoltage: Bool?
    /// Whether it has been held down since boot; absent where nothing remembers that.
    public var throttledSinceBoot: Bool?

    public init(
        temperatureC: Double? = nil, frequencyMHz: Int? = nil, load1m: Double? = nil, usagePercent: Double? = nil,
        throttled: Bool? = nil, underVoltage: Bool? = nil, throttledSinceBoot: Bool? = nil
    ) {
        self.temperatureC = temperatureC
        self.frequencyMHz = frequencyMHz
        self.load1m = load1m
        self.usagePercent = usagePercent
        self.throttled = throttled
        self.underVoltage = underVoltage
        self.throttledSinceBoot = throttledSinceBoot
    }

    enum CodingKeys: String, CodingKey {
        case temperatureC = "temperature_c"
        case frequencyMHz = "frequency_mhz"
        case load1m = "load_1m"
        case usagePercent = "usage_percent"
        case throttled
        case underVoltage = "under_voltage"
        case throttledSinceBoot = "throttled_since_boot"
    }
}

/// Memory of the board and of this process. Anonymous and file pages are apart, because mapped weights are file
/// pages the kernel can drop, and only anonymous pages can exhaust the board.
public struct MemoryHealth: Codable, Sendable, Equatable {
    public var totalMB: Int?
    /// What new work can have without swapping: the kernel's MemAvailable.
    public var availableMB: Int?
    /// Absent on a board without swap.
    public var swapUsedMB: Int?
    public var processRSSMB: Double?
    public var processAnonymousMB: Double?
    public var processFileMB: Double?
    /// Pages this process had to wait for from disk, a second; weights being re-read when memory is short.
    public var majorFaultsPerSecond: Double?
    /// Percent of the last ten seconds in which some task waited for memory. Absent without PSI.
    public var pressureSomeAvg10: Double?

    public init(
        totalMB: Int? = nil, availableMB: Int? = nil, swapUsedMB: Int? = nil, processRSSMB: Double? = nil,
        processAnonymousMB: Double? = nil, processFileMB: Double? = nil, majorFaultsPerSecond: Double? = nil,
        pressureSomeAvg10: Double? = nil
    ) {
        self.totalMB = totalMB
        self.availableMB = availableMB
        self.swapUsedMB = swapUsedMB
        self.processRSSMB = processRSSMB
        self.processAnonymousMB = processAnonymousMB
        self.processFileMB = processFileMB
        self.majorFaultsPerSecond = majorFaultsPerSecond
        self.pressureSomeAvg10 = pressureSomeAvg10
    }

    enum CodingKeys: String, CodingKey {
        case totalMB = "total_mb"
        case availableMB = "available_mb"
        case swapUsedMB = "swap_used_mb"
        case processRSSMB = "process_rss_mb"
        case processAnonymousMB = "process_anonymous_mb"
        case processFileMB = "process_file_mb"
        case majorFaultsPerSecond = "major_faults_per_s"
        case pressureSomeAvg10 = "pressure_some_avg10"
    }
}

/// The disk that holds the spool.
public struct DiskHealth: Codable, Sendable, Equatable {
    /// What a user without privileges may still write.
    public var freeMB: Int?
    /// Size of the spool on disk, as the daemon states it.
    public var spoolMB: Double?

    public init(freeMB: Int? = nil, spoolMB: Double? = nil) {
        self.freeMB = freeMB
        self.spoolMB = spoolMB
    }

    enum CodingKeys: String, CodingKey {
        case freeMB = "free_mb"
        case spoolMB = "spool_mb"
    }
}

/// What the daemon states about its broker connection; counts since start.
public struct MQTTHealth: Codable, Sendable, Equatable {
    public var connected: Bool
    public var reconnects: Int
    public var received: Int
    public var published: Int
    /// Results waiting on disk for the broker.
    public var spooled: Int
    /// What kind of trouble the last interruption was: `dns`, `network`, `tls`, `credentials`, `access` and so on; absent
    /// without one.
    public var lastProblem: String?

    public init(
        connected: Bool, reconnects: Int = 0, received: Int = 0, published: Int = 0, spooled: Int = 0,
        lastProblem: String? = nil
    ) {
        self.connected = connected
        self.reconnects = reconnects
        self.received = received
        self.published = published
        self.spooled = spooled
        self.lastProblem = lastProblem
    }

    enum CodingKeys: String, CodingKey {
        case connected, reconnects, received, published, spooled
        case lastProblem = "last_problem"
    }
}

/// What the daemon states about its engine and queue; counts since start.
public struct EngineHealth: Codable, Sendable, Equatable {
    public var queue: Int
    public var dropped: Int
    public var expired: Int
    /// Events that were set aside because the process died of them.
    public var quarantined: Int
    /// Tokens a second; absent until something was measured.
    public var prefillTPS: Double?
    public var decodeTPS: Double?
    /// Absent until an event was answered.
    public var latencyMS: LatencyHealth?
    public var threads: Int
    /// The governor's level: `full`, `reduced`, `minimal` or `paused`.
    public var governor: String

    public init(
        queue: Int = 0, dropped: Int = 0, expired: Int = 0, quarantined: Int = 0, prefillTPS: Double? = nil,
        decodeTPS: Double? = nil,
        latencyMS: LatencyHealth? = nil, threads: Int, governor: String = Budget.Level.full.rawValue
    ) {
        self.queue = queue
        self.dropped = dropped
        self.expired = expired
        self.quarantined = quarantined
        self.prefillTPS = prefillTPS
        self.decodeTPS = decodeTPS
        self.latencyMS = latencyMS
        self.threads = threads
        self.governor = governor
    }

    enum CodingKeys: String, CodingKey {
        case queue, dropped, expired, quarantined
        case prefillTPS = "prefill_tps"
        case decodeTPS = "decode_tps"
        case latencyMS = "latency_ms"
        case threads, governor
    }
}

/// Milliseconds from receiving an event to having its answer.
public struct LatencyHealth: Codable, Sendable, Equatable {
    public var p50: Double
    public var p95: Double
    public var p99: Double

    public init(p50: Double, p95: Double, p99: Double) {
        self.p50 = p50
        self.p95 = p95
        self.p99 = p99
    }
}
