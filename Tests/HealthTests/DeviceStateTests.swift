import Testing

@testable import Health

@Suite struct DeviceStateTests {
    let limits = Limits(maxTemperatureC: 78, memoryMB: 200, minimumDiskMB: 100)

    static func readings(
        celsius: Double? = 50, throttled: Bool? = false, underVoltage: Bool? = false, available: Int? = 2000,
        pressure: Double? = 0, anonymous: Double? = 20, disk: Int? = 5000
    ) -> Readings {
        Readings(
            cpu: CPUHealth(temperatureC: celsius, throttled: throttled, underVoltage: underVoltage),
            memory: MemoryHealth(
                totalMB: 4000, availableMB: available, processAnonymousMB: anonymous, pressureSomeAvg10: pressure),
            disk: DiskHealth(freeMB: disk))
    }

    func state(_ readings: Readings, connected: Bool? = true) -> DeviceState {
        DeviceCondition().next(readings, limits: limits, connected: connected).state
    }

    @Test func `Each condition has its word`() {
        #expect(state(Self.readings()) == .ok)
        #expect(state(Self.readings(celsius: 70)) == .warm)
        #expect(state(Self.readings(celsius: 78)) == .hot)
        #expect(state(Self.readings(throttled: true)) == .hot)
        #expect(state(Self.readings(available: 199)) == .tight)
        #expect(state(Self.readings(pressure: 10)) == .tight)
        #expect(state(Self.readings(anonymous: 201)) == .tight)
        #expect(state(Self.readings(underVoltage: true)) == .degraded)
        #expect(state(Self.readings(disk: 99)) == .degraded)
        #expect(state(Self.readings(), connected: false) == .degraded)
    }

    @Test func `The gravest word is said`() {
        #expect(state(Self.readings(celsius: 90, available: 1)) == .hot)
        #expect(state(Self.readings(celsius: 71, available: 1)) == .tight)
        #expect(state(Self.readings(celsius: 90, underVoltage: true, available: 1)) == .degraded)
    }

    @Test func `A board without sensors is judged by what it has`() {
        let blind = Self.readings(
            celsius: nil, throttled: nil, underVoltage: nil, available: nil, pressure: nil, anonymous: nil, disk: nil)
        #expect(state(blind) == .ok)
        #expect(state(blind, connected: nil) == .ok)
    }

    /// The states a sequence of readings passes through.
    func walk(_ sequence: [Readings]) -> [DeviceState] {
        var condition = DeviceCondition()
        return sequence.map { readings in
            condition = condition.next(readings, limits: limits, connected: true)
            return condition.state
        }
    }

    @Test func `Heat leaves a state below where it entered it`() {
        let celsius = [69.9, 70, 69, 67, 66.9, 77.9, 78, 77, 75, 74.9, 66]
        let states = walk(celsius.map { Self.readings(celsius: $0) })
        #expect(states == [.ok, .warm, .warm, .warm, .ok, .warm, .hot, .hot, .hot, .warm, .ok])
    }

    @Test func `Memory and disk leave a state above where they entered it`() {
        #expect(walk([199, 201, 249, 250].map { Self.readings(available: $0) }) == [.tight, .tight, .tight, .ok])
        #expect(walk([10, 5, 4.9].map { Self.readings(pressure: $0) }) == [.tight, .tight, .ok])
        #expect(walk([201, 191, 190].map { Self.readings(anonymous: $0) }) == [.tight, .tight, .ok])
        #expect(walk([99, 105, 110].map { Self.readings(disk: $0) }) == [.degraded, .degraded, .ok])
    }

    @Test func `Noise around a threshold does not flap`() {
        let noise = (0..<200).map { Self.readings(celsius: $0 % 2 == 0 ? 78.4 : 76.6) }
        let states = walk(noise)
        #expect(zip(states, states.dropFirst()).count { $0 != $1 } == 0)
    }
}
