import Linux

/// What is known of a kind of board: defaults for the daemon, and what `doctor` compares the machine with.
public struct Board: Sendable, Equatable {
    /// Folder name under `boards/`, and the value of `[device] board`.
    public let id: String
    /// Name for people.
    public let name: String
    /// Beginnings of the device tree's model text that mean this board.
    public let models: [String]
    /// CPU cores, and how many of them are performance cores.
    public let cores: Int
    public let performanceCores: Int
    /// Smallest and largest memory sold, MB.
    public let memoryMB: ClosedRange<Int>
    /// Kernel tier the processor can run: `neon`, `dotprod` or `avx2`.
    public let tier: String
    /// Type of the processor's thermal zone; nil where hwmon has it.
    public let thermalZone: String?
    /// Default of `[limits] max_temperature`, °C.
    public let maxTemperatureC: Double
    /// Default of `[limits] memory`, MB of anonymous memory.
    public let memoryLimitMB: Int
    /// Model and context to begin with.
    public let recommendedModel: String
    public let recommendedContext: Int
    /// The unit's MemoryHigh and MemoryMax in percent of the board's memory; see `systemd/martlet.service.d`.
    public let memoryHighPercent: Int
    public let memoryMaxPercent: Int

    /// The board called `id`, or nil.
    public static func named(_ id: String) -> Board? { all.first { $0.id == id } }

    /// The board a tree belongs to: by the device tree's model, else x86-64 by `/proc/cpuinfo`; nil when unknown.
    public static func detect(_ tree: FileTree = .machine) -> Board? {
        if let model = model(tree) {
            return all.first { board in board.models.contains { model.hasPrefix($0) } }
        }
        // Only x86 processors have a vendor_id; an ARM board without a known model stays unknown.
        let isX86 = tree.lines("/proc/cpuinfo").prefix(8).contains { $0.hasPrefix("vendor_id") }
        return isX86 ? named("x86-64") : nil
    }

    /// The device tree's model, for example `Raspberry Pi 5 Model B Rev 1.0`; nil on machines without one.
    public static func model(_ tree: FileTree = .machine) -> String? {
        for path in ["/proc/device-tree/model", "/sys/firmware/devicetree/base/model"] {
            // The property ends in a NUL.
            guard let bytes = tree.contents(path), !bytes.isEmpty else { continue }
            let text = String(decoding: bytes.prefix(256).prefix { $0 >= 0x20 }, as: UTF8.self)
            if !text.isEmpty { return text }
        }
        return nil
    }
}
