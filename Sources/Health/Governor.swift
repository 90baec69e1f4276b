/// Turns readings into a budget. Pure: a day can be simulated in milliseconds.
///
/// - **Heat** moves down a ladder of five steps, one step for each 10 s at or above the limit and two at once 5 °C
///   above it, and back up after a cool while at 5 °C below it. A board's temperature follows its power with a time
///   constant of tens of seconds, so faster steps would overshoot. A step up that had to be taken back within ten
///   minutes doubles the wait (1 to 16 minutes): a board that cannot hold full speed settles instead of sawing.
///   10 °C above the limit computing pauses.
/// - **A clock held down** by the kernel or the firmware costs one step for a minute: the board already slows
///   itself, and more would waste it.
/// - **A weak supply** costs two steps, which takes a thread away: current is what makes the voltage sag.
/// - **Memory** asks for a level by itself, at once when it gets short and back after 30 s. The slower of all wins.
///
/// A board without a sensor runs at full speed: guessing would slow boards that are fine.
public enum Governor {
    static let second: UInt64 = 1_000_000_000
    static let stepDownInterval = 10 * second
    static let shortestPatience = 60 * second
    static let longestPatience = 960 * second
    /// A step up taken back within this time was too early.
    static let earlyStepDown = 600 * second
    /// How long memory must be ample before the level rises.
    static let memoryPatience = 30 * second
    /// How long a held-down clock or a weak supply is remembered; both come and go within seconds.
    static let alarmMemory = 60 * second
    /// °C below the limit at which it is cool enough to speed up.
    static let coolMargin = 5.0
    /// °C above the limit at which the governor takes two steps at once.
    static let urgentMargin = 5.0
    /// °C above the limit at which computing stops.
    static let stopMargin = 10.0
    /// The slowest step at which the engine still runs.
    static let lastStep = 4

    /// The budget for the time until the next sample, and what to remember for it.
    ///
    /// - Parameter previous: what the last step returned; `GovernorState()` at first.
    public static func step(
        _ readings: Readings, limits: Limits, previous: GovernorState
    ) -> (budget: Budget, state: GovernorState) {
        var state = previous
        state.followHeat(readings, limits: limits)
        state.followAlarms(readings)
        state.followMemory(readings, limits: limits)
        let steps = max(state.heat, state.alarmSteps(at: readings.time))
        return (Budget.ladder(steps: steps, memory: state.memory, limits: limits), state)
    }

    /// The level memory alone asks for. It never pauses: a paused engine gives no memory back.
    static func memoryLevel(_ readings: Readings, limits: Limits) -> Budget.Level {
        var level = Budget.Level.full
        if let headroom = readings.headroomMB {
            if headroom < MemoryFloor.low(readings) { level = .reduced }
            if headroom < MemoryFloor.critical(readings) { level = .minimal }
        }
        if let pressure = readings.pressure {
            level = max(level, pressure >= 40 ? .minimal : pressure >= 10 ? .reduced : .full)
        }
        if let used = readings.memory.processAnonymousMB, let limit = limits.memoryMB {
            level = max(level, used > limit * 1.1 ? .minimal : used > limit ? .reduced : .full)
        }
        return level
    }
}

/// What the governor remembers between two samples. All times are monotonic nanoseconds.
public struct GovernorState: Sendable, Equatable {
    /// Steps down the thermal ladder, 0…5.
    public private(set) var heat = 0
    /// Level that memory alone asks for.
    public private(set) var memory = Budget.Level.full
    private var heatChanged: UInt64?
    /// Since when it is cool enough to go one step faster.
    private var coolSince: UInt64?
    /// Since when memory is ample again.
    private var ampleSince: UInt64?
    /// How long it must be cool before the next step up.
    private var patience = Governor.shortestPatience
    private var steppedUp: UInt64?
    private var throttledAt: UInt64?
    private var underVoltageAt: UInt64?

    public init() {}

    mutating func followHeat(_ readings: Readings, limits: Limits) {
        let now = readings.time
        // A sensor that stopped answering is no reason to run free, nor to stay slow for ever.
        let over = readings.cpu.temperatureC.map { $0 - limits.maxTemperatureC }
        if let over, over >= 0 { return slowDown(over, at: now) }
        // Computing starts again as soon as the limit is kept; the ladder decides how fast.
        if heat > Governor.lastStep { change(to: Governor.lastStep, at: now) }
        if over ?? -.infinity <= -Governor.coolMargin {
            speedUp(at: now, patience: over == nil ? Governor.longestPatience : patience)
        } else {
            coolSince = nil
        }
    }

    private mutating func slowDown(_ over: Double, at now: UInt64) {
        coolSince = nil
        let pause = Governor.lastStep + 1
        if over >= Governor.stopMargin, heat < pause { return change(to: pause, at: now) }
        guard heat < Governor.lastStep else { return }
        if let changed = heatChanged, passed(from: changed, to: now) < Governor.stepDownInterval { return }
        if let risen = steppedUp, passed(from: risen, to: now) < Governor.earlyStepDown {
            patience = min(patience * 2, Governor.longestPatience)
            steppedUp = nil
        }
        change(to: min(Governor.lastStep, heat + (over >= Governor.urgentMargin ? 2 : 1)), at: now)
    }

    private mutating func speedUp(at now: UInt64, patience wait: UInt64) {
        let since = coolSince ?? now
        coolSince = since
        let cool = passed(from: since, to: now)
        // Long calm at full speed forgives earlier haste.
        if heat == 0, cool >= Governor.longestPatience { patience = Governor.shortestPatience }
        guard heat > 0, cool >= wait else { return }
        change(to: heat - 1, at: now)
        steppedUp = now
        coolSince = now
    }

    private mutating func change(to step: Int, at now: UInt64) {
        heat = step
        heatChanged = now
    }

    mutating func followAlarms(_ readings: Readings) {
        if readings.cpu.underVoltage == true {
            underVoltageAt = readings.time
        } else if readings.cpu.throttled == true {
            throttledAt = readings.time
        }
    }

    func alarmSteps(at now: UInt64) -> Int {
        if let underVoltageAt, passed(from: underVoltageAt, to: now) < Governor.alarmMemory { return 2 }
        if let throttledAt, passed(from: throttledAt, to: now) < Governor.alarmMemory { return 1 }
        return 0
    }

    mutating func followMemory(_ readings: Readings, limits: Limits) {
        let wanted = Governor.memoryLevel(readings, limits: limits)
        guard wanted < memory else {
            memory = wanted
            ampleSince = nil
            return
        }
        let since = ampleSince ?? readings.time
        ampleSince = since
        guard passed(from: since, to: readings.time) >= Governor.memoryPatience else { return }
        memory = wanted
        ampleSince = nil
    }

    /// Zero when the clock went back, which a test may do and a damaged state must survive.
    private func passed(from earlier: UInt64, to now: UInt64) -> UInt64 { now >= earlier ? now - earlier : 0 }
}
