import Foundation
import Health
import Linux
import Testing

/// The whole health JSON of every captured board: what is there is right, and what the board lacks is absent.
@Suite struct BoardReportTests {
    /// Two samples ten seconds apart on an unchanged tree, so that rates exist where their counters do.
    static func report(_ board: String) throws -> String {
        let tree = Trees.board(board)
        let known = Board.detect(tree)
        let options = HealthMonitor.Options(
            diskPath: "/var/lib/martlet", freeBytes: { _ in 8211 << 20 }, thermalZone: known?.thermalZone)
        var monitor = HealthMonitor(tree: tree, options: options)
        _ = monitor.sample(at: 1_000_000_000)
        var readings = monitor.sample(at: 11_000_000_000)
        readings.disk.spoolMB = 0.3
        let limits = Limits(maxTemperatureC: known?.maxTemperatureC ?? 78)
        let condition = DeviceCondition().next(readings, limits: limits, connected: true)
        let report = HealthReport(
            device: "kitchen-pi", time: "2026-11-21T03:12:08.123Z", readings: readings, state: condition.state,
            mqtt: MQTTHealth(connected: true, reconnects: 1, received: 5123, published: 5121, spooled: 0),
            engine: EngineHealth(
                prefillTPS: 212.4, decodeTPS: 38.9, latencyMS: LatencyHealth(p50: 41, p95: 77, p99: 120), threads: 4))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }

    /// The sections the daemon states are the same everywhere.
    static func expected(state: String, uptime: Int, cpu: String, memory: String) -> String {
        """
        {"cpu":{\(cpu)},"device":"kitchen-pi","disk":{"free_mb":8211,"spool_mb":0.3},\
        "engine":{"decode_tps":38.9,"dropped":0,"expired":0,"governor":"full",\
        "latency_ms":{"p50":41,"p95":77,"p99":120},"prefill_tps":212.4,"quarantined":0,"queue":0,"threads":4},\
        "memory":{\(memory)},\
        "mqtt":{"connected":true,"published":5121,"received":5123,"reconnects":1,"spooled":0},\
        "state":"\(state)","time":"2026-11-21T03:12:08.123Z","uptime_s":\(uptime)}
        """
    }

    /// A martlet with SmolLM2-135M mapped.
    static let process =
        #""process_anonymous_mb":14.1,"process_file_mb":104.1,"process_rss_mb":118.2,"#

    @Test func `Pi Zero 2 W: no PSI, no supply monitor, throttling judged by heat`() throws {
        let cpu = #""frequency_mhz":1000,"load_1m":0.16,"temperature_c":47.8,"throttled":false"#
        let memory =
            #""available_mb":228,"major_faults_per_s":0,"# + Self.process + #""swap_used_mb":4,"total_mb":416"#
        #expect(try Self.report("pi-zero-2w") == Self.expected(state: "ok", uptime: 976, cpu: cpu, memory: memory))
    }

    @Test func `Pi 3: as the Zero, but the supply is watched`() throws {
        let cpu =
            #""frequency_mhz":1200,"load_1m":1.24,"temperature_c":48.3,"throttled":false,"under_voltage":false"#
        let memory =
            #""available_mb":787,"major_faults_per_s":0,"# + Self.process + #""swap_used_mb":36,"total_mb":909"#
        #expect(try Self.report("pi-3") == Self.expected(state: "ok", uptime: 2_508_015, cpu: cpu, memory: memory))
    }

    @Test func `Pi 4 booted with psi=1 tells memory pressure`() throws {
        let cpu =
            #""frequency_mhz":1800,"load_1m":0.05,"temperature_c":53.1,"throttled":false,"under_voltage":false"#
        let memory =
            #""available_mb":724,"major_faults_per_s":0,"pressure_some_avg10":0.22,"# + Self.process
            + #""swap_used_mb":0,"total_mb":857"#
        #expect(try Self.report("pi-4") == Self.expected(state: "ok", uptime: 5760, cpu: cpu, memory: memory))
    }

    @Test func `Pi 5 finds the supply alarm at hwmon3 and takes the processor's zone, not the RP1's`() throws {
        let cpu =
            #""frequency_mhz":2400,"load_1m":0.62,"temperature_c":44.6,"throttled":false,"under_voltage":false"#
        let memory =
            #""available_mb":15800,"major_faults_per_s":0,"process_anonymous_mb":15,"process_file_mb":241,"#
            + #""process_rss_mb":256,"swap_used_mb":249,"total_mb":16220"#
        #expect(try Self.report("pi-5") == Self.expected(state: "ok", uptime: 39018, cpu: cpu, memory: memory))
    }

    @Test func `Orange Pi 5: no swap, no supply alarm, throttling told by cpufreq's cooling devices`() throws {
        let cpu = #""frequency_mhz":2400,"load_1m":0.28,"temperature_c":26.8,"throttled":false"#
        let memory =
            #""available_mb":7578,"major_faults_per_s":0,"pressure_some_avg10":0,"process_anonymous_mb":15,"#
            + #""process_file_mb":241,"process_rss_mb":256,"total_mb":7934"#
        #expect(
            try Self.report("orange-pi-5") == Self.expected(state: "ok", uptime: 109_921, cpu: cpu, memory: memory))
    }

    @Test func `A virtual x86-64 machine has a clock and a load, and no sensors`() throws {
        let cpu = #""frequency_mhz":2596,"load_1m":1.4"#
        let memory =
            #""available_mb":23585,"major_faults_per_s":0,"pressure_some_avg10":0,"# + Self.process
            + #""total_mb":24105"#
        #expect(try Self.report("x86-64") == Self.expected(state: "ok", uptime: 2730, cpu: cpu, memory: memory))
    }

    @Test func `A report survives a round trip`() throws {
        let text = try Self.report("pi-4")
        let report = try JSONDecoder().decode(HealthReport.self, from: Data(text.utf8))
        #expect(report.cpu.underVoltage == false)
        #expect(report.memory.pressureSomeAvg10 == 0.22)
        #expect(report.cpu.throttledSinceBoot == nil)
        #expect(report.engine.latencyMS == LatencyHealth(p50: 41, p95: 77, p99: 120))
    }
}
