import Linux

/// The board's memory and swap from `/proc/meminfo`.
struct SystemMemory: Equatable {
    var totalMB: Int?
    var availableMB: Int?
    /// Nil on a board without swap: there is nothing that could be used.
    var swapUsedMB: Int?
    var swapTotalMB: Int?

    static func read(_ tree: FileTree) -> SystemMemory {
        let keys: Set<String> = ["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"]
        let values = KernelText.kilobytes(tree.lines("/proc/meminfo"), keys: keys)
        var memory = SystemMemory()
        memory.totalMB = values["MemTotal"].map { Int($0 / 1024) }
        memory.availableMB = values["MemAvailable"].map { Int($0 / 1024) }
        if let total = values["SwapTotal"], total > 0 {
            memory.swapTotalMB = Int(total / 1024)
            memory.swapUsedMB = values["SwapFree"].map { Int(max(0, total - $0) / 1024) }
        }
        return memory
    }
}
