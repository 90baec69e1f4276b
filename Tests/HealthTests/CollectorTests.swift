import Foundation
import Linux
import Testing

@testable import Health

/// What changes on a live board, played on copies of the captured trees.
@Suite struct CollectorTests {
    static func sample(_ scratch: ScratchTree, firmwareWord: Bool = false) -> Readings {
        var options = HealthMonitor.Options()
        options.readsFirmwareThrottleWord = firmwareWord
        var monitor = HealthMonitor(tree: scratch.tree, options: options)
        return monitor.sample(at: 0)
    }

    // MARK: Temperature

    @Test func `The zone's type decides, not its number`() throws {
        let scratch = try ScratchTree()
        try scratch.write("/sys/class/thermal/thermal_zone0/type", "gpu-thermal\n")
        try scratch.write("/sys/class/thermal/thermal_zone0/temp", "90000\n")
        try scratch.write("/sys/class/thermal/thermal_zone1/type", "cpu-thermal\n")
        try scratch.write("/sys/class/thermal/thermal_zone1/temp", "51234\n")
        #expect(Temperature.read(scratch.tree) == 51.2)
        #expect(Temperature.read(scratch.tree, preferred: "gpu-thermal") == 90)
        #expect(Temperature.read(scratch.tree, preferred: "no-such-zone") == 51.2)
    }

    @Test func `Two sockets report the hotter one`() throws {
        let scratch = try ScratchTree()
        for (zone, temperature) in [(0, "40000"), (1, "63000")] {
            try scratch.write("/sys/class/thermal/thermal_zone\(zone)/type", "x86_pkg_temp\n")
            try scratch.write("/sys/class/thermal/thermal_zone\(zone)/temp", temperature)
        }
        #expect(Temperature.read(scratch.tree) == 63)
    }

    @Test(arguments: ["coretemp", "k10temp", "zenpower"])
    func `A PC's processor is found in hwmon beside other chips`(name: String) throws {
        let scratch = try ScratchTree()
        try scratch.write("/sys/class/hwmon/hwmon0/name", "nvme\n")
        try scratch.write("/sys/class/hwmon/hwmon0/temp1_input", "70000\n")
        try scratch.write("/sys/class/hwmon/hwmon3/name", name + "\n")
        try scratch.write("/sys/class/hwmon/hwmon3/temp1_input", "45875\n")
        #expect(Temperature.read(scratch.tree) == 45.9)
    }

    @Test(arguments: ["-274000", "999999999", "", "hot", "9223372036854775808"])
    func `An implausible temperature is absent`(text: String) throws {
        let scratch = try ScratchTree()
        try scratch.write("/sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
        try scratch.write("/sys/class/thermal/thermal_zone0/temp", text)
        #expect(Temperature.read(scratch.tree) == nil)
    }

    @Test func `Frost is a temperature`() throws {
        let scratch = try ScratchTree("pi-4")
        try scratch.write("/sys/class/thermal/thermal_zone0/temp", "-7500\n")
        #expect(Self.sample(scratch).cpu.temperatureC == -7.5)
    }

    // MARK: Throttling

    @Test func `A sagging supply throttles a Pi now`() throws {
        let scratch = try ScratchTree("pi-5")
        try scratch.write("/sys/class/hwmon/hwmon3/in0_lcrit_alarm", "1\n")
        let cpu = Self.sample(scratch).cpu
        #expect(cpu.underVoltage == true)
        #expect(cpu.throttled == true)
        #expect(cpu.throttledSinceBoot == true)
    }

    @Test func `A hot Pi is throttled by its firmware from 80 °C on`() throws {
        let scratch = try ScratchTree("pi-4")
        try scratch.write("/sys/class/thermal/thermal_zone0/temp", "79900\n")
        #expect(Self.sample(scratch).cpu.throttled == false)
        try scratch.write("/sys/class/thermal/thermal_zone0/temp", "80341\n")
        let cpu = Self.sample(scratch).cpu
        #expect(cpu.throttled == true)
        #expect(cpu.underVoltage == false)
    }

    @Test func `A Zero without sensor knows nothing of throttling`() throws {
        let scratch = try ScratchTree("pi-zero-2w")
        try scratch.remove("/sys/class/thermal")
        try scratch.remove("/sys/class/hwmon/hwmon0")
        let cpu = Self.sample(scratch).cpu
        #expect(cpu.throttled == nil)
        #expect(cpu.underVoltage == nil)
    }

    @Test func `A cpufreq cooling device above 0 is throttling; a fan is not`() throws {
        let scratch = try ScratchTree("orange-pi-5")
        try scratch.write("/sys/class/thermal/cooling_device4/cur_state", "4\n")
        #expect(Self.sample(scratch).cpu.throttled == false)
        try scratch.write("/sys/class/thermal/cooling_device1/cur_state", "2\n")
        #expect(Self.sample(scratch).cpu.throttled == true)
        try scratch.write("/sys/class/thermal/cooling_device1/type", "cpufreq-cpu4\n")
        #expect(Self.sample(scratch).cpu.throttled == true)
    }

    @Test func `A kernel with thermal statistics remembers since boot`() throws {
        let scratch = try ScratchTree("orange-pi-5")
        try scratch.write("/sys/class/thermal/cooling_device0/stats/total_trans", "0\n")
        #expect(Self.sample(scratch).cpu.throttledSinceBoot == false)
        try scratch.write("/sys/class/thermal/cooling_device0/stats/total_trans", "12\n")
        #expect(Self.sample(scratch).cpu.throttledSinceBoot == true)
    }

    @Test func `Intel's counters: throttled while they rise, and since boot when above 0`() throws {
        let scratch = try ScratchTree("x86-64")
        let counter = "/sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count"
        try scratch.write(counter, "0\n")
        var monitor = HealthMonitor(tree: scratch.tree)
        var cpu = monitor.sample(at: 0).cpu
        #expect(cpu.throttled == false)
        #expect(cpu.throttledSinceBoot == false)
        try scratch.write(counter, "3\n")
        cpu = monitor.sample(at: 1_000_000_000).cpu
        #expect(cpu.throttled == true)
        #expect(cpu.throttledSinceBoot == true)
        cpu = monitor.sample(at: 2_000_000_000).cpu
        #expect(cpu.throttled == false)
        #expect(cpu.throttledSinceBoot == true)
    }

    @Test func `What a Pi does not remember the monitor does`() throws {
        let scratch = try ScratchTree("pi-5")
        var monitor = HealthMonitor(tree: scratch.tree)
        #expect(monitor.sample(at: 0).cpu.throttledSinceBoot == nil)
        try scratch.write("/sys/class/hwmon/hwmon3/in0_lcrit_alarm", "1\n")
        #expect(monitor.sample(at: 1_000_000_000).cpu.throttledSinceBoot == true)
        try scratch.write("/sys/class/hwmon/hwmon3/in0_lcrit_alarm", "0\n")
        let cpu = monitor.sample(at: 2_000_000_000).cpu
        #expect(cpu.throttled == false)
        #expect(cpu.throttledSinceBoot == true)
    }

    @Test(arguments: [
        ("0", false, false, Bool?.some(false)), ("50005", true, true, true), ("50000", false, false, true),
        ("80008", false, false, false), ("0x20002", false, true, true), ("junk", false, false, nil),
    ])
    func `The firmware's word is read only when asked for`(word: String, low: Bool, slow: Bool, ever: Bool?) throws {
        let scratch = try ScratchTree("pi-4")
        try scratch.write(Throttle.firmwareWordPath, word + "\n")
        #expect(Self.sample(scratch).cpu.throttledSinceBoot == nil)
        let cpu = Self.sample(scratch, firmwareWord: true).cpu
        #expect(cpu.underVoltage == low)
        #expect(cpu.throttled == slow)
        #expect(cpu.throttledSinceBoot == ever)
    }

    // MARK: Rates

    @Test func `Usage is the share of ticks worked since the sample before`() throws {
        let scratch = try ScratchTree("pi-4")
        var monitor = HealthMonitor(tree: scratch.tree)
        try scratch.write("/proc/stat", "cpu  100 0 100 1000 50 0 0 0 0 0\ncpu0 1 2 3 4\n")
        #expect(monitor.sample(at: 0).cpu.usagePercent == nil)
        // 300 worked of 800; iowait counts as idle, guest time is inside user.
        try scratch.write("/proc/stat", "cpu  300 50 120 1450 100 10 10 10 99 0\ncpu0 1 2 3 4\n")
        #expect(monitor.sample(at: 10_000_000_000).cpu.usagePercent == 37.5)
        // A counter that went back gives no percentage; the next sample starts afresh.
        try scratch.write("/proc/stat", "cpu  1 1 1 1 1 1 1 1\n")
        #expect(monitor.sample(at: 20_000_000_000).cpu.usagePercent == nil)
        try scratch.write("/proc/stat", "cpu  101 1 1 1 1 1 1 1\n")
        #expect(monitor.sample(at: 30_000_000_000).cpu.usagePercent == 100)
    }

    @Test func `Two samples at once give no rates and lose none`() throws {
        let scratch = try ScratchTree("pi-4")
        var monitor = HealthMonitor(tree: scratch.tree)
        try scratch.write("/proc/stat", "cpu  0 0 0 0\n")
        _ = monitor.sample(at: 1_000_000_000)
        try scratch.write("/proc/stat", "cpu  1 0 0 3\n")
        #expect(monitor.sample(at: 1_000_000_001).cpu.usagePercent == nil)
        #expect(monitor.sample(at: 500_000_000).cpu.usagePercent == nil)
        try scratch.write("/proc/stat", "cpu  50 0 0 50\n")
        #expect(monitor.sample(at: 2_000_000_000).cpu.usagePercent == 50)
    }

    @Test func `Major faults are counted a second, whatever the process is called`() throws {
        let scratch = try ScratchTree("pi-4")
        var monitor = HealthMonitor(tree: scratch.tree)
        func stat(_ faults: Int) -> String { "9 (a) b (c d)) S 1 9 9 0 -1 4194560 100 0 \(faults) 0 5 5 0 0 20 0\n" }
        try scratch.write("/proc/self/stat", stat(100))
        #expect(monitor.sample(at: 0).memory.majorFaultsPerSecond == nil)
        try scratch.write("/proc/self/stat", stat(125))
        #expect(monitor.sample(at: 10_000_000_000).memory.majorFaultsPerSecond == 2.5)
        try scratch.write("/proc/self/stat", stat(3))
        #expect(monitor.sample(at: 20_000_000_000).memory.majorFaultsPerSecond == nil)
    }

    // MARK: Control groups

    @Test func `Mapped weights are headroom, anonymous memory is not`() throws {
        let group = try #require(Self.sample(try ScratchTree("pi-4")).cgroup)
        #expect(group.path == "/system.slice/martlet.service")
        #expect(group.highMB == 599)
        #expect(group.maxMB == 685)
        #expect(group.currentMB == 120)
        #expect(group.anonymousMB == 14)
        #expect(group.fileMB == 104)
        // 629,043,200 − (126,803,968 − 109,158,400) bytes.
        #expect(group.headroomMB == 583)
        #expect(group.oomKills == 0)
        #expect(group.pressureSomeAvg10 == 0)
    }

    @Test func `A tighter slice around the service is the limit, and tmpfs is not headroom`() throws {
        let scratch = try ScratchTree("pi-4")
        let slice = "/sys/fs/cgroup/system.slice"
        try scratch.write(slice + "/memory.max", "209715200\n")
        try scratch.write(slice + "/memory.current", "188743680\n")
        try scratch.write(slice + "/memory.stat", "anon 1\nfile 104857600\nshmem 52428800\n")
        let readings = Self.sample(scratch)
        let group = try #require(readings.cgroup)
        #expect(group.maxMB == 200)
        #expect(group.currentMB == 120)
        #expect(group.headroomMB == 70)
        #expect(readings.headroomMB == 70)
    }

    @Test func `Without the controller there is no group, and the board's memory is the headroom`() throws {
        let readings = Self.sample(try ScratchTree("pi-5"))
        #expect(readings.cgroup == nil)
        #expect(readings.headroomMB == readings.memory.availableMB)
        #expect(readings.pressure == nil)
    }

    @Test(arguments: ["0::/../outside", "0::" + String(repeating: "/a", count: 40), "0::", "0::relative", ""])
    func `A group that cannot be reached is absent`(line: String) throws {
        let scratch = try ScratchTree("pi-4")
        try scratch.write("/proc/self/cgroup", line + "\n")
        #expect(Self.sample(scratch).cgroup == nil)
    }

    @Test func `The stronger pressure counts`() throws {
        let scratch = try ScratchTree("pi-4")
        try scratch.write(
            "/sys/fs/cgroup/system.slice/martlet.service/memory.pressure",
            "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=1\n")
        #expect(Self.sample(scratch).pressure == 12.5)
    }

    // MARK: Disk

    @Test func `The real disk has free space, and a missing folder none to tell`() throws {
        #expect(try #require(Disk.freeBytes("/tmp")) > 0)
        #expect(Disk.freeBytes("/no/such/folder") == nil)
    }

    @Test func `The machine itself can be sampled`() {
        var monitor = HealthMonitor(options: HealthMonitor.Options(diskPath: "/tmp"))
        let readings = monitor.sample(at: monotonicNanoseconds())
        #expect(readings.memory.totalMB ?? 0 > 100)
        #expect(readings.memory.processAnonymousMB ?? 0 > 0)
        #expect(readings.disk.freeMB != nil)
        #expect(readings.uptimeSeconds != nil)
    }
}
