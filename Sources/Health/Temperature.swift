import Linux

/// The processor's temperature, from thermal zones or hwmon.
enum Temperature {
    /// Zone types by preference. The kernel numbers zones in the order drivers come up, so only the type says
    /// which sensor it is. `acpitz` is not here: on PCs it is often a fixed board value.
    static let zoneTypes = [
        "cpu-thermal", "cpu_thermal",  // Raspberry Pi, Allwinner
        "soc-thermal", "soc_thermal", "package-thermal",  // RK3588: vendor kernel, mainline
        "bigcore0-thermal", "bigcore0_thermal", "cpu0-thermal",
        "x86_pkg_temp",  // Intel
    ]
    /// hwmon drivers that report the processor when no zone does: AMD has no thermal zone.
    static let hwmonNames = ["coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal"]

    /// °C with one decimal of the hottest sensor of the first known kind; nil when there is none.
    ///
    /// - Parameter preferred: the board's zone type, tried first.
    static func read(_ tree: FileTree, preferred: String? = nil) -> Double? {
        var zones: [String: Double] = [:]
        let folder = "/sys/class/thermal"
        for name in tree.names(in: folder) where name.hasPrefix("thermal_zone") {
            guard let type = tree.text("\(folder)/\(name)/type") else { continue }
            guard let degrees = celsius(tree.integer("\(folder)/\(name)/temp")) else { continue }
            zones[type] = max(zones[type] ?? degrees, degrees)
        }
        for type in [preferred].compactMap(\.self) + zoneTypes {
            if let degrees = zones[type] { return degrees }
        }
        return hwmon(tree)
    }

    private static func hwmon(_ tree: FileTree) -> Double? {
        var found: [String: Double] = [:]
        for sensor in HardwareMonitor.all(tree) where hwmonNames.contains(sensor.name) {
            guard let degrees = celsius(tree.integer(sensor.folder + "/temp1_input")) else { continue }
            found[sensor.name] = max(found[sensor.name] ?? degrees, degrees)
        }
        return hwmonNames.lazy.compactMap { found[$0] }.first
    }

    /// Millidegrees to °C; nil outside −40…150, which no working sensor reports (−274 marks a powered-down one).
    private static func celsius(_ millidegrees: Int64?) -> Double? {
        guard let millidegrees, (-40_000...150_000).contains(millidegrees) else { return nil }
        return (Double(millidegrees) / 1000).rounded(digits: 1)
    }
}

/// A hwmon device. Its number changes from boot to boot; only the name is stable.
struct HardwareMonitor {
    let name: String
    let folder: String

    static func all(_ tree: FileTree) -> [HardwareMonitor] {
        tree.names(in: "/sys/class/hwmon").compactMap { entry in
            let folder = "/sys/class/hwmon/" + entry
            return tree.text(folder + "/name").map { HardwareMonitor(name: $0, folder: folder) }
        }
    }
}
