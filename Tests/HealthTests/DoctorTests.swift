import Linux
import Testing

@testable import Health

@Suite struct DoctorTests {
    static func findings(
        _ tree: FileTree, freeMB: UInt64 = 8000, modelMB: Int? = 170, tier: String? = nil,
        change: (inout Readings) -> Void = { _ in }
    ) -> [String: Finding] {
        let board = Board.detect(tree)
        var monitor = HealthMonitor(
            tree: tree, options: HealthMonitor.Options(diskPath: "/", freeBytes: { _ in freeMB << 20 }))
        var readings = monitor.sample(at: 0)
        change(&readings)
        let list = doctorFindings(
            Examination(
                tree: tree, readings: readings, limits: Limits(maxTemperatureC: board?.maxTemperatureC ?? 78),
                board: board, features: "neon", tier: tier ?? board?.tier ?? "generic", modelMB: modelMB))
        return Dictionary(list.map { ($0.title, $0) }, uniquingKeysWith: { first, _ in first })
    }

    @Test func `Stock Raspberry Pi OS: how to switch on the memory controller and PSI`() throws {
        let findings = Self.findings(Trees.board("pi-5"))
        let controller = try #require(findings["cgroup memory"])
        #expect(controller.severity == .warning)
        #expect(
            controller.advice
                == "Append cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt and reboot.")
        #expect(findings["memory pressure"]?.severity == .notice)
        #expect(findings["memory pressure"]?.advice?.contains("psi=1") == true)
        #expect(findings["board"]?.detail.contains("Raspberry Pi 5 Model B Rev 1.1") == true)
        #expect(findings["power supply"]?.severity == .ok)
    }

    @Test func `A Pi set up as advised has nothing to complain about`() {
        for finding in Self.findings(Trees.board("pi-4")).values {
            #expect(finding.severity == .ok, "\(finding)")
            #expect(finding.advice == nil)
        }
    }

    @Test(arguments: Trees.boards)
    func `Every finding that is not fine says what to do`(board: String) {
        let findings = Self.findings(Trees.board(board), freeMB: 5)
        #expect(findings["disk"]?.severity == .problem)
        for finding in findings.values {
            #expect((finding.severity == .ok) == (finding.advice == nil), "\(finding)")
            #expect(finding.detail.hasSuffix("."))
        }
    }

    @Test func `Elsewhere boot parameters go to the kernel command line`() throws {
        let scratch = try ScratchTree("orange-pi-5")
        try scratch.write("/sys/fs/cgroup/cgroup.controllers", "cpu io pids\n")
        let advice = Self.findings(scratch.tree)["cgroup memory"]?.advice
        #expect(advice == "Add cgroup_enable=memory to the kernel command line and reboot.")
    }

    @Test func `Without cgroup v2 the limits cannot be read`() {
        #expect(Self.findings(Trees.board("x86-64"))["cgroup memory"]?.severity == .notice)
    }

    @Test func `Weights above the memory or the unit's limit are a problem`() {
        #expect(Self.findings(Trees.board("pi-zero-2w"), modelMB: 700)["memory"]?.severity == .problem)
        #expect(Self.findings(Trees.board("pi-4"), modelMB: 650)["cgroup memory"]?.severity == .problem)
        #expect(Self.findings(Trees.board("pi-4"), modelMB: nil)["memory"]?.severity == .ok)
    }

    @Test func `Heat, throttling and a weak supply are named`() {
        let findings = Self.findings(Trees.board("pi-5")) { readings in
            readings.cpu.temperatureC = 83
            readings.cpu.throttled = true
            readings.cpu.underVoltage = true
        }
        #expect(findings["temperature"]?.severity == .warning)
        #expect(findings["throttling"]?.advice == "Mend the power supply first.")
        #expect(findings["power supply"]?.severity == .problem)
        let past = Self.findings(Trees.board("pi-5")) { $0.cpu.throttledSinceBoot = true }
        #expect(past["throttling"]?.severity == .notice)
    }

    @Test func `Swap on a card is noticed when used, zram is fine`() throws {
        #expect(Self.findings(Trees.board("pi-5"))["swap"]?.severity == .notice)
        #expect(Self.findings(Trees.board("pi-zero-2w"))["swap"]?.severity == .ok)
        #expect(Self.findings(Trees.board("pi-4"))["swap"]?.detail.contains("compressed") == true)
        #expect(Self.findings(Trees.board("orange-pi-5"))["swap"]?.detail == "None; mapped weights do not need any.")
    }

    @Test func `A clock pinned to its lowest is a warning, Intel's powersave is not`() throws {
        let scratch = try ScratchTree("pi-4")
        let folder = "/sys/devices/system/cpu/cpu0/cpufreq/"
        try scratch.write(folder + "scaling_governor", "powersave\n")
        #expect(Self.findings(scratch.tree)["clock"]?.severity == .warning)
        try scratch.write(folder + "scaling_driver", "intel_pstate\n")
        #expect(Self.findings(scratch.tree)["clock"]?.severity == .ok)
        #expect(Self.findings(Trees.board("x86-64"))["clock"] == nil)
    }

    @Test func `A tier below what the board can run is a warning`() {
        #expect(Self.findings(Trees.board("pi-5"), tier: "neon")["processor"]?.severity == .warning)
        #expect(Self.findings(Trees.board("pi-4"), tier: "generic")["processor"]?.severity == .warning)
        #expect(Self.findings(Trees.board("x86-64"), tier: "avx512vnni")["processor"]?.severity == .ok)
        #expect(Self.findings(Trees.board("pi-5"), tier: "i8mm")["processor"]?.severity == .ok)
    }
}
