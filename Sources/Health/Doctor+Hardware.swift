import Linux

extension Doctor {
    func swap() -> Finding {
        let entries = tree.lines("/proc/swaps").dropFirst().prefix(16).compactMap { KernelText.words($0).first }
        guard let used = readings.memory.swapUsedMB, !entries.isEmpty else {
            return Finding(.ok, "swap", "None; mapped weights do not need any.")
        }
        let names = entries.joined(separator: ", ")
        if entries.allSatisfy({ $0.contains("zram") }) {
            return Finding(.ok, "swap", "\(used) MB used of compressed memory (\(names)).")
        }
        let detail = "\(used) MB used on \(names)."
        guard used > 64 else { return Finding(.ok, "swap", detail) }
        return Finding(
            .notice, "swap", detail,
            advice: "Swapping wears SD cards and slows every answer: prefer zram, or a smaller model.")
    }

    func temperature() -> Finding {
        guard let celsius = readings.cpu.temperatureC else {
            return Finding(
                .notice, "temperature", "No processor sensor was found; the governor cannot watch heat.",
                advice: "On a virtual machine this is normal; elsewhere look for its driver under /sys/class/hwmon.")
        }
        let limit = limits.maxTemperatureC
        if celsius >= limit {
            return Finding(
                .warning, "temperature", "\(celsius) °C, above the limit of \(limit) °C: the governor slows down.",
                advice: "Add a heat sink or a fan, or raise [limits] max_temperature knowingly.")
        }
        return Finding(.ok, "temperature", "\(celsius) °C; the governor slows down from \(limit) °C on.")
    }

    func throttling() -> Finding? {
        let cpu = readings.cpu
        guard let throttled = cpu.throttled else { return nil }
        if throttled {
            return Finding(
                .warning, "throttling", "The clock is held down now.",
                advice: cpu.underVoltage == true ? "Mend the power supply first." : "Improve the cooling.")
        }
        if cpu.throttledSinceBoot == true {
            return Finding(
                .notice, "throttling", "The clock was held down at some time since boot.",
                advice: "Improve cooling or power supply if it happens again.")
        }
        return Finding(.ok, "throttling", "The clock is not held down.")
    }

    func supply() -> Finding? {
        guard let low = readings.cpu.underVoltage else { return nil }
        guard low else { return Finding(.ok, "power supply", "No under-voltage.") }
        return Finding(
            .problem, "power supply", "The voltage is too low: the clock is capped and the disk is in danger.",
            advice: "Use the board's own power supply and a short cable.")
    }

    func frequencyGovernor() -> Finding? {
        let topology = CPUTopology.detect(tree, allowed: { _ in true })
        guard let cpu = topology.performance.first else { return nil }
        guard let name = tree.text("/sys/devices/system/cpu/cpu\(cpu)/cpufreq/scaling_governor") else { return nil }
        let detail = "cpufreq governor \(name)."
        guard name == "powersave" else { return Finding(.ok, "clock", detail) }
        // intel_pstate's and amd-pstate's active modes call their dynamic policy "powersave".
        let driver = tree.text("/sys/devices/system/cpu/cpu\(cpu)/cpufreq/scaling_driver") ?? ""
        if driver == "intel_pstate" || driver == "amd-pstate-epp" { return Finding(.ok, "clock", detail) }
        return Finding(
            .warning, "clock", "\(detail) The cores stay at their lowest clock.",
            advice: "echo schedutil | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor")
    }

    func disk() -> Finding? {
        guard let free = readings.disk.freeMB else { return nil }
        guard free < limits.minimumDiskMB else { return Finding(.ok, "disk", "\(free) MB free for the spool.") }
        return Finding(
            .problem, "disk", "\(free) MB free for the spool, less than \(limits.minimumDiskMB) MB.",
            advice: "Free some space, or move the state folder to another disk.")
    }
}
