import Testing

@testable import Health

/// A board's heat as one lump: power in, conduction out.
struct ThermalModel {
    var celsius: Double
    let ambient: @Sendable (Double) -> Double
    /// °C above ambient when idle, and what full work adds.
    let idle = 18.0
    let work: Double
    /// Seconds.
    let timeConstant = 90.0

    mutating func advance(_ seconds: Double, at time: Double, share: Double) {
        let target = ambient(time) + idle + work * share
        celsius += (target - celsius) * min(1, seconds / timeConstant)
    }
}

@Suite struct GovernorTests {
    let limits = Limits(maxTemperatureC: 78, memoryMB: 200, threads: 4, context: 2048, batch: 128)

    static func readings(
        _ second: Double, celsius: Double? = nil, throttled: Bool? = nil, underVoltage: Bool? = nil,
        available: Int? = 2000, total: Int = 4000, pressure: Double? = nil, anonymous: Double = 20
    ) -> Readings {
        Readings(
            time: UInt64(second * 1e9),
            cpu: CPUHealth(temperatureC: celsius, throttled: throttled, underVoltage: underVoltage),
            memory: MemoryHealth(
                totalMB: total, availableMB: available, processAnonymousMB: anonymous, pressureSomeAvg10: pressure))
    }

    /// What a simulated day shows.
    struct Day {
        var hottest = -Double.infinity
        var changes = 0
        var work = 0.0
        var levels: Set<Budget.Level> = []
    }

    /// 24 h of steady demand, sampled every 10 s. The engine works `dutyCycle × threads / all threads` of it.
    func simulate(_ model: ThermalModel, demand: (Double) -> Double = { _ in 1 }) -> Day {
        var model = model
        var state = GovernorState()
        var budget = Budget.full(limits)
        var day = Day()
        for step in 0..<8640 {
            let time = Double(step) * 10
            let share = demand(time) * budget.dutyCycle * Double(budget.threads) / Double(limits.threads)
            for _ in 0..<10 { model.advance(1, at: time, share: share) }
            let next = Governor.step(Self.readings(time, celsius: model.celsius), limits: limits, previous: state)
            if next.budget.level != budget.level { day.changes += 1 }
            (budget, state) = (next.budget, next.state)
            day.hottest = max(day.hottest, model.celsius)
            day.work += share / 8640
            day.levels.insert(budget.level)
        }
        return day
    }

    // MARK: A day

    @Test func `A cool board runs a whole day at full speed`() {
        let day = simulate(ThermalModel(celsius: 30, ambient: { _ in 22 }, work: 35))
        #expect(day.levels == [.full])
        #expect(day.changes == 0)
        #expect(day.work > 0.9999)
    }

    @Test func `A board in a hot cupboard stays near its limit, works on and does not flap`() {
        // At full work it would settle at 40 + 18 + 35 = 93 °C.
        let day = simulate(ThermalModel(celsius: 58, ambient: { _ in 40 }, work: 35))
        #expect(day.hottest < 81)
        #expect(day.work > 0.35)
        #expect(day.changes < 30)
        #expect(!day.levels.contains(.paused))
    }

    @Test func `A hot afternoon slows the board only while it lasts`() {
        // 20 °C at night, 45 °C at three in the afternoon.
        let day = simulate(
            ThermalModel(
                celsius: 40,
                ambient: { time in
                    let hour = time / 3600
                    return hour > 11 && hour < 19 ? 45 - abs(hour - 15) * 6 : 20
                }, work: 32))
        #expect(day.hottest < 81)
        #expect(day.work > 0.85)
        #expect(day.levels.contains(.reduced))
    }

    @Test func `Bursts of work do not make the level flap`() {
        let day = simulate(ThermalModel(celsius: 50, ambient: { _ in 35 }, work: 30)) { time in
            Int(time) % 600 < 300 ? 1 : 0.05
        }
        #expect(day.hottest < 81)
        #expect(day.changes < 30)
    }

    @Test func `A day's simulation takes milliseconds`() {
        let clock = ContinuousClock()
        let time = clock.measure { _ = simulate(ThermalModel(celsius: 58, ambient: { _ in 40 }, work: 35)) }
        #expect(time < .seconds(2))
    }

    // MARK: Heat

    @Test func `Above the limit one step each ten seconds, two when far above`() {
        var state = GovernorState()
        var steps: [Int] = []
        for second in stride(from: 0.0, through: 40, by: 5) {
            state = Governor.step(Self.readings(second, celsius: 79), limits: limits, previous: state).state
            steps.append(state.heat)
        }
        #expect(steps == [1, 1, 2, 2, 3, 3, 4, 4, 4])
        let urgent = Governor.step(Self.readings(0, celsius: 84), limits: limits, previous: GovernorState())
        #expect(urgent.budget == Budget(level: .reduced, threads: 3, context: 2048, batch: 128, dutyCycle: 0.6))
    }

    @Test func `Far beyond the limit computing pauses, and starts again slowly below it`() {
        let stopped = Governor.step(Self.readings(0, celsius: 88), limits: limits, previous: GovernorState())
        #expect(stopped.budget.level == .paused)
        #expect(stopped.budget.threads == 0)
        let hot = Governor.step(Self.readings(60, celsius: 80), limits: limits, previous: stopped.state)
        #expect(hot.budget.level == .paused)
        let kept = Governor.step(Self.readings(70, celsius: 77), limits: limits, previous: hot.state)
        #expect(kept.budget == Budget(level: .minimal, threads: 1, context: 2048, batch: 128, dutyCycle: 0.3))
    }

    @Test func `Between the margins the level holds; a cool minute gives one step back`() {
        var state = Governor.step(Self.readings(0, celsius: 84), limits: limits, previous: GovernorState()).state
        for second in stride(from: 10.0, through: 300, by: 10) {
            state = Governor.step(Self.readings(second, celsius: 75), limits: limits, previous: state).state
        }
        #expect(state.heat == 2)
        for second in stride(from: 310.0, through: 360, by: 10) {
            state = Governor.step(Self.readings(second, celsius: 70), limits: limits, previous: state).state
        }
        #expect(state.heat == 2)
        state = Governor.step(Self.readings(370, celsius: 70), limits: limits, previous: state).state
        #expect(state.heat == 1)
    }

    @Test func `A step up taken back soon makes the governor more patient`() {
        var state = GovernorState()
        func play(_ from: Double, _ to: Double, _ celsius: Double) {
            for second in stride(from: from, through: to, by: 10) {
                state = Governor.step(Self.readings(second, celsius: celsius), limits: limits, previous: state).state
            }
        }
        play(0, 0, 79)
        play(10, 70, 70)
        #expect(state.heat == 0)
        play(80, 80, 79)
        #expect(state.heat == 1)
        play(90, 150, 70)
        #expect(state.heat == 1, "sixty seconds are no longer enough")
        play(160, 210, 70)
        #expect(state.heat == 0)
    }

    @Test func `A board without a sensor is not slowed; one whose sensor died recovers`() {
        let blind = Governor.step(Self.readings(0), limits: limits, previous: GovernorState())
        #expect(blind.budget == Budget.full(limits))
        var state = Governor.step(Self.readings(0, celsius: 79), limits: limits, previous: GovernorState()).state
        state = Governor.step(Self.readings(100), limits: limits, previous: state).state
        #expect(state.heat == 1)
        state = Governor.step(Self.readings(1100), limits: limits, previous: state).state
        #expect(state.heat == 0)
    }

    // MARK: Alarms

    @Test func `A held-down clock costs one step for a minute`() {
        var step = Governor.step(
            Self.readings(0, celsius: 60, throttled: true), limits: limits, previous: GovernorState())
        #expect(step.budget.level == .reduced)
        #expect(step.budget.threads == 4)
        step = Governor.step(Self.readings(59, celsius: 60, throttled: false), limits: limits, previous: step.state)
        #expect(step.budget.level == .reduced)
        step = Governor.step(Self.readings(60, celsius: 60, throttled: false), limits: limits, previous: step.state)
        #expect(step.budget == Budget.full(limits))
    }

    @Test func `A weak supply takes a thread away`() {
        let step = Governor.step(
            Self.readings(0, celsius: 50, throttled: true, underVoltage: true), limits: limits,
            previous: GovernorState())
        #expect(step.budget.threads == 3)
        #expect(step.budget.level == .reduced)
    }

    // MARK: Memory

    @Test(arguments: [
        (2000, Budget.Level.full, 128, 2048), (199, .reduced, 32, 2048), (99, .minimal, 8, 512), (0, .minimal, 8, 512),
    ])
    func `Short memory cuts batch and context`(available: Int, level: Budget.Level, batch: Int, context: Int) {
        let step = Governor.step(
            Self.readings(0, available: available), limits: limits, previous: GovernorState())
        #expect(step.budget.level == level)
        #expect(step.budget.batch == batch)
        #expect(step.budget.context == context)
        #expect(step.budget.threads == 4)
    }

    @Test func `Pressure and the process's own limit count too`() {
        func level(_ readings: Readings) -> Budget.Level {
            Governor.step(readings, limits: limits, previous: GovernorState()).budget.level
        }
        #expect(level(Self.readings(0, pressure: 9.9)) == .full)
        #expect(level(Self.readings(0, pressure: 10)) == .reduced)
        #expect(level(Self.readings(0, pressure: 40)) == .minimal)
        #expect(level(Self.readings(0, anonymous: 201)) == .reduced)
        #expect(level(Self.readings(0, anonymous: 221)) == .minimal)
    }

    @Test func `Memory must be ample for half a minute before the level rises`() {
        var step = Governor.step(Self.readings(0, available: 10), limits: limits, previous: GovernorState())
        for second in stride(from: 10.0, through: 30, by: 10) {
            step = Governor.step(Self.readings(second), limits: limits, previous: step.state)
            #expect(step.budget.level == .minimal)
        }
        step = Governor.step(Self.readings(40), limits: limits, previous: step.state)
        #expect(step.budget.level == .full)
    }

    @Test func `On a Zero 2 W 32 MB are the floor`() {
        #expect(MemoryFloor.low(Self.readings(0, total: 416)) == 32)
        #expect(MemoryFloor.low(Self.readings(0, total: 4000)) == 200)
    }

    // MARK: Budget

    @Test func `One core stays one thread on every step`() {
        let single = Limits(threads: 1, context: 1, batch: 1)
        for steps in -1...4 {
            let budget = Budget.ladder(steps: steps, memory: .minimal, limits: single)
            #expect(budget.threads == 1 && budget.context == 1 && budget.batch == 1)
        }
        #expect(Budget.full(Limits(threads: 0, context: -5, batch: 0)).threads == 1)
    }

    @Test func `The rest after work keeps the duty cycle and has an end`() {
        func rest(_ cycle: Double, _ work: UInt64) -> UInt64 {
            Budget(level: .full, threads: 1, context: 1, batch: 1, dutyCycle: cycle).rest(after: work)
        }
        #expect(rest(1, 1000) == 0)
        #expect(rest(0.5, 1000) == 1000)
        #expect(rest(0.75, 3000) == 1000)
        #expect(rest(0.3, .max) == 10_000_000_000)
        #expect(rest(0, 1000) == 0)
    }

    @Test func `Time that goes back changes nothing for the worse`() {
        var state = Governor.step(Self.readings(1000, celsius: 79), limits: limits, previous: GovernorState()).state
        state = Governor.step(Self.readings(10, celsius: 70), limits: limits, previous: state).state
        #expect(state.heat == 1)
        state = Governor.step(Self.readings(0, celsius: 70), limits: limits, previous: state).state
        #expect(state.heat == 1)
    }
}
