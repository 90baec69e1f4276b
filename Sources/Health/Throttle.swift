import Linux

/// Whether heat or a weak supply holds the processor's clock down.
///
/// Sources, none of which needs privileges:
/// - a cpufreq cooling device above state 0: the kernel itself slows the CPUs (RK3588 and most ARM boards);
/// - Intel's `core_throttle_count`, which also remembers since boot;
/// - Raspberry Pi: the firmware slows the CPUs, behind cpufreq's back. Its under-voltage alarm is hwmon's
///   `rpi_volt`; the firmware caps the clock while it lasts. Heat is inferred from the documented limit (80 °C).
///
/// Rejected: `…/soc:firmware/get_throttled`. Reading it makes the kernel log a warning with a stack trace
/// ("deprecated, use hwmon sysfs instead"), and it shows a word that may be stale (0 while the firmware says
/// 0x80008). It is read only when `HealthMonitor.Options.readsFirmwareThrottleWord` says so.
/// Rejected: `scaling_cur_freq` below `cpuinfo_max_freq`. On a Pi that file is what the governor asked for, not
/// what the firmware gave, and elsewhere an idle core looks the same as a throttled one.
struct Throttle: Equatable {
    var throttled: Bool?
    var underVoltage: Bool?
    var sinceBoot: Bool?
    /// Sum of Intel's event counters; a rise between two samples is throttling.
    var events: Int64?

    static let firmwareWordPath = "/sys/devices/platform/soc/soc:firmware/get_throttled"
    /// The Pi firmware slows the ARM cores progressively from here on. The 3B+ has a soft limit at 60 °C, which
    /// still leaves 1.2 GHz and is how that board normally runs, so it does not count as throttled here.
    static let raspberryPiHeatLimitC = 80.0

    static func read(_ tree: FileTree, temperatureC: Double?, readsFirmwareWord: Bool) -> Throttle {
        var result = Throttle()
        result.readCoolingDevices(tree)
        result.readCounters(tree)
        result.readRaspberryPi(tree, temperatureC: temperatureC)
        if readsFirmwareWord { result.readFirmwareWord(tree) }
        if result.throttled == true { result.sinceBoot = true }
        return result
    }

    private mutating func noteThrottled(_ value: Bool) { throttled = (throttled ?? false) || value }
    private mutating func noteSinceBoot(_ value: Bool) { sinceBoot = (sinceBoot ?? false) || value }

    private mutating func readCoolingDevices(_ tree: FileTree) {
        let folder = "/sys/class/thermal"
        for name in tree.names(in: folder) where name.hasPrefix("cooling_device") {
            // Fans, GPUs and `Processor` (ACPI idle states) are other types.
            guard let type = tree.text("\(folder)/\(name)/type") else { continue }
            guard type.hasPrefix("cpufreq-") || type.hasPrefix("thermal-cpufreq-") else { continue }
            guard let state = KernelText.count(tree.text("\(folder)/\(name)/cur_state")) else { continue }
            noteThrottled(state > 0)
            // With CONFIG_THERMAL_STATISTICS the kernel counts changes of state since boot.
            if let changes = KernelText.count(tree.text("\(folder)/\(name)/stats/total_trans")) {
                noteSinceBoot(changes > 0)
            }
        }
    }

    private mutating func readCounters(_ tree: FileTree) {
        let folder = "/sys/devices/system/cpu"
        // Core and package counters; capped because a file tree can name any number of CPUs.
        for cpu in CPUTopology.list(tree, "online").prefix(256) {
            for counter in ["core_throttle_count", "package_throttle_count"] {
                let text = tree.text("\(folder)/cpu\(cpu)/thermal_throttle/\(counter)")
                if let value = KernelText.count(text) { events = (events ?? 0) &+ value }
            }
        }
        if let events { noteSinceBoot(events > 0) }
    }

    private mutating func readRaspberryPi(_ tree: FileTree, temperatureC: Double?) {
        guard let sensor = HardwareMonitor.all(tree).first(where: { $0.name == "rpi_volt" }) else { return }
        guard let alarm = tree.integer(sensor.folder + "/in0_lcrit_alarm"), alarm == 0 || alarm == 1 else { return }
        if alarm == 1 || !Self.lacksSupplyMonitor(Board.model(tree)) {
            underVoltage = alarm == 1
            noteThrottled(alarm == 1)
        }
        if let temperatureC { noteThrottled(temperatureC >= Self.raspberryPiHeatLimitC) }
    }

    /// Whether the board has no circuit that watches the supply: then the alarm is there but always 0.
    /// "All boards since the B+ except Pi Zero (including Zero W) and Compute Modules" (raspberrypi/linux#2367, 2018;
    /// the power-supply documentation still excludes the Zero range).
    static func lacksSupplyMonitor(_ model: String?) -> Bool {
        guard let model else { return false }
        let without = ["Raspberry Pi Zero", "Raspberry Pi Compute Module Rev", "Raspberry Pi Compute Module 3"]
        return without.contains { model.hasPrefix($0) }
    }

    /// Bits of the firmware's word: 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft temperature limit;
    /// 16…19 the same since boot.
    private mutating func readFirmwareWord(_ tree: FileTree) {
        guard let text = tree.text(Self.firmwareWordPath) else { return }
        guard let word = UInt32(text.hasPrefix("0x") ? text.dropFirst(2) : text[...], radix: 16) else { return }
        if word & 0x1 != 0 { underVoltage = true }
        noteThrottled(word & 0x6 != 0)
        noteSinceBoot(word & 0x6_0000 != 0)
    }
}
