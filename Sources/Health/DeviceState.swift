/// The device in one word, for dashboards; the worst condition that holds.
public enum DeviceState: String, Codable, Sendable, CaseIterable {
    case ok
    /// Close to the temperature limit; still at full speed.
    case warm
    /// Memory is short.
    case tight
    /// At or above the temperature limit, or the clock is held down.
    case hot
    /// Something the device needs fails: supply voltage, broker, disk, or the kernel killed for memory.
    case degraded
}

/// Which conditions hold, each with its own memory, so that the published state does not flap.
///
/// | condition | holds from | until |
/// |---|---|---|
/// | warm | limit − 8 °C | below limit − 11 °C |
/// | hot | the limit, or `throttled` | below limit − 3 °C and not throttled |
/// | tight | headroom < max(5% of memory, 32 MB), pressure ≥ 10%, or anonymous memory over its limit | headroom ≥ 1.25 of that, pressure < 5% and anonymous memory under 95% |
/// | degraded | under-voltage, broker gone, disk under its minimum | all fine, disk 10% above its minimum |
///
/// Order of gravity: degraded, hot, tight, warm, ok.
public struct DeviceCondition: Sendable, Equatable {
    public var warm = false
    public var hot = false
    public var tight = false
    public var degraded = false

    public init() {}

    public var state: DeviceState {
        if degraded { return .degraded }
        if hot { return .hot }
        if tight { return .tight }
        return warm ? .warm : .ok
    }

    /// The conditions after one more sample. Pure: no clock, no files.
    ///
    /// - Parameter connected: whether the broker is connected; nil where there is none to speak of.
    public func next(_ readings: Readings, limits: Limits, connected: Bool? = nil) -> DeviceCondition {
        var next = self
        let cpu = readings.cpu
        if let celsius = cpu.temperatureC {
            next.warm = celsius >= limits.maxTemperatureC - (warm ? 11 : 8)
        } else {
            next.warm = false
        }
        let tooHot = cpu.temperatureC.map { $0 >= limits.maxTemperatureC - (hot ? 3 : 0) } ?? false
        next.hot = tooHot || cpu.throttled == true
        next.tight = isTight(readings, limits: limits)
        let minimum = limits.minimumDiskMB
        let diskFloor = degraded ? minimum + minimum / 10 : minimum
        let diskFull = readings.disk.freeMB.map { $0 < diskFloor } ?? false
        next.degraded = cpu.underVoltage == true || connected == false || diskFull
        return next
    }

    private func isTight(_ readings: Readings, limits: Limits) -> Bool {
        let floor = Double(MemoryFloor.low(readings))
        let short = readings.headroomMB.map { Double($0) < floor * (tight ? 1.25 : 1) } ?? false
        let pressed = readings.pressure.map { $0 >= (tight ? 5 : 10) } ?? false
        var over = false
        if let used = readings.memory.processAnonymousMB, let limit = limits.memoryMB {
            over = used > limit * (tight ? 0.95 : 1)
        }
        return short || pressed || over
    }
}

/// Where memory counts as short; shared by the state and the governor so that they agree.
enum MemoryFloor {
    /// MB of headroom under which work should shrink: 5% of the board, at least 32.
    static func low(_ readings: Readings) -> Int { max(32, (readings.memory.totalMB ?? 0) / 20) }
    /// MB under which only the smallest work is safe.
    static func critical(_ readings: Readings) -> Int { low(readings) / 2 }
}
