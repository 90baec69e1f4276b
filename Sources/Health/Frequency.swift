import Linux

/// The clock of a performance core.
enum Frequency {
    /// Above this a kHz value is damage; the fastest processor sold is below 10 GHz.
    private static let plausibleKilohertz: ClosedRange<Int64> = 1_000...20_000_000

    /// MHz now, from cpufreq, or on x86-64 without cpufreq (virtual machines) from `/proc/cpuinfo`.
    static func read(_ tree: FileTree, cpu: Int) -> Int? {
        if let kilohertz = kilohertz(tree, cpu: cpu, "scaling_cur_freq") { return Int(kilohertz / 1000) }
        for line in tree.lines("/proc/cpuinfo") where line.hasPrefix("cpu MHz") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = KernelText.words(line[line.index(after: colon)...]).first
            guard let megahertz = KernelText.decimal(value), (1...20_000).contains(megahertz) else { continue }
            return Int(megahertz)
        }
        return nil
    }

    /// One of cpufreq's files of a CPU in kHz; nil when absent or implausible.
    static func kilohertz(_ tree: FileTree, cpu: Int, _ file: String) -> Int64? {
        let value = tree.integer("/sys/devices/system/cpu/cpu\(cpu)/cpufreq/\(file)")
        return value.flatMap { plausibleKilohertz.contains($0) ? $0 : nil }
    }
}
