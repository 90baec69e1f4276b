import Health
import JSON
import Linux
import Synchronization

/// Samples the board, asks the governor, and publishes the report: every interval and at every change of state.
final class HealthPublisher: Sendable {
    /// How often the board is looked at; the governor's steps are made for samples some seconds apart.
    static let sampling: Duration = .seconds(5)

    private struct State {
        var monitor: HealthMonitor
        var governor = GovernorState()
        var condition = DeviceCondition()
        var budget: Budget?
        var published: UInt64?
        var publishedState: DeviceState?
        /// When the counters were looked at first.
        let begun: UInt64
    }

    private let state: Mutex<State>
    private let time: TimeSource
    private let device: String
    private let mqtt: @Sendable () -> MQTTHealth
    private let engine: @Sendable (Budget.Level) -> EngineHealth
    private let spoolBytes: @Sendable () -> Int?

    init(
        monitor: HealthMonitor, device: String, time: TimeSource, mqtt: @escaping @Sendable () -> MQTTHealth,
        engine: @escaping @Sendable (Budget.Level) -> EngineHealth, spoolBytes: @escaping @Sendable () -> Int?
    ) {
        // Rates need two looks at the counters: with this one the first report has them, if loading took its time.
        var monitor = monitor
        let now = time.monotonic()
        _ = monitor.sample(at: now)
        state = Mutex(State(monitor: monitor, begun: now))
        self.time = time
        self.device = device
        self.mqtt = mqtt
        self.engine = engine
        self.spoolBytes = spoolBytes
    }

    /// Makes the next sample a report.
    func publishNext() { state.withLock { $0.published = nil } }

    /// What one look at the board came to.
    struct Sample {
        let budget: Budget
        /// The report, when it is time for one.
        let report: HealthReport?
    }

    /// One sample.
    ///
    /// - Parameter isConnected: nil until the broker was reached once: a device that still connects is not degraded.
    func sample(limits: Limits, interval: Duration, isConnected: Bool?) -> Sample {
        let now = time.monotonic()
        let bytes = spoolBytes()
        return state.withLock { state in
            var readings = state.monitor.sample(at: now)
            readings.disk.spoolMB = bytes.map { (Double($0) / 104_857.6).rounded() / 10 }
            state.condition = state.condition.next(readings, limits: limits, connected: isConnected)
            let step = Governor.step(readings, limits: limits, previous: state.governor)
            state.governor = step.state
            state.budget = step.budget
            // A twentieth early rather than a whole sample late.
            let isDue = state.published.map { now >= $0 + interval.nanoseconds / 20 * 19 } ?? true
            // Before the first connection there is nobody to tell.
            guard isConnected != nil, isDue || state.publishedState != state.condition.state else {
                return Sample(budget: step.budget, report: nil)
            }
            // A report too early for rates is made again by the next sample.
            state.published = now < state.begun + HealthMonitor.shortestInterval ? nil : now
            state.publishedState = state.condition.state
            let report = HealthReport(
                device: device, time: time.wall().description, readings: readings, state: state.condition.state,
                mqtt: mqtt(), engine: engine(step.budget.level))
            return Sample(budget: step.budget, report: report)
        }
    }
}
