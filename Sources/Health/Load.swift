import Linux

/// Load average and time spent working.
enum Load {
    /// Runnable tasks, one-minute average, from `/proc/loadavg`.
    static func oneMinute(_ tree: FileTree) -> Double? {
        KernelText.decimal(tree.text("/proc/loadavg").flatMap { KernelText.words($0).first })
    }

    /// Seconds since boot from `/proc/uptime`.
    static func uptimeSeconds(_ tree: FileTree) -> Int? {
        KernelText.decimal(tree.text("/proc/uptime").flatMap { KernelText.words($0).first }).map { Int($0) }
    }
}

/// The ticks all CPUs have spent since boot, from the first line of `/proc/stat`.
struct CPUTicks: Equatable {
    var busy: Int64
    var total: Int64

    static func read(_ tree: FileTree) -> CPUTicks? {
        guard let line = tree.lines("/proc/stat").first(where: { $0.hasPrefix("cpu ") }) else { return nil }
        // user nice system idle iowait irq softirq steal; guest time that may follow is already inside user.
        let fields = KernelText.words(line).dropFirst().prefix(8).map { KernelText.count($0) }
        guard fields.count >= 4, !fields.contains(nil) else { return nil }
        let ticks = fields.compactMap(\.self)
        let idle = ticks[3] + (ticks.count > 4 ? ticks[4] : 0)
        let total = ticks.reduce(0, +)
        return CPUTicks(busy: total - idle, total: total)
    }

    /// Percent of the time since `earlier` spent working; nil when no tick has passed or a counter went back
    /// (iowait does so on some kernels).
    func usagePercent(since earlier: CPUTicks) -> Double? {
        let passed = total - earlier.total
        let worked = busy - earlier.busy
        guard passed > 0, worked >= 0 else { return nil }
        return (100 * Double(min(worked, passed)) / Double(passed)).rounded(digits: 1)
    }
}
