import Linux

/// Memory of this process's cgroup v2 and of the groups around it.
public struct ControlGroupReadings: Sendable, Equatable {
    /// Path below the cgroup mount, for example `/system.slice/martlet.service`.
    public var path: String
    /// Tightest memory.max of the group and those around it, MB; nil: no limit.
    public var maxMB: Int?
    /// Tightest memory.high, MB; above it the kernel slows the process down and takes pages from it.
    public var highMB: Int?
    /// memory.current, MB. Counts mapped weights, so it is not what the process needs: see `headroomMB`.
    public var currentMB: Int?
    public var anonymousMB: Int?
    /// File pages charged here, MB: the mapped weights. The kernel can drop and re-read them.
    public var fileMB: Int?
    /// MB left before the tightest limit, counting file pages as free to take; nil without a limit.
    public var headroomMB: Int?
    public var pressureSomeAvg10: Double?
    /// Times the kernel killed a process of this group for memory.
    public var oomKills: Int?

    public init(
        path: String, maxMB: Int? = nil, highMB: Int? = nil, currentMB: Int? = nil, anonymousMB: Int? = nil,
        fileMB: Int? = nil, headroomMB: Int? = nil, pressureSomeAvg10: Double? = nil, oomKills: Int? = nil
    ) {
        self.path = path
        self.maxMB = maxMB
        self.highMB = highMB
        self.currentMB = currentMB
        self.anonymousMB = anonymousMB
        self.fileMB = fileMB
        self.headroomMB = headroomMB
        self.pressureSomeAvg10 = pressureSomeAvg10
        self.oomKills = oomKills
    }
}

/// Finds and reads the cgroup of a process.
enum ControlGroup {
    /// Whether the kernel offers the memory controller; nil without cgroup v2.
    static func hasMemoryController(_ tree: FileTree) -> Bool? {
        tree.text(ControlGroupPath.mount + "/cgroup.controllers").map { KernelText.words($0).contains("memory") }
    }

    /// The readings of the process's own group, or nil without cgroup v2 or its memory controller.
    ///
    /// cgroup v1 is not read: systemd 252 and later boards run the unified hierarchy, and v1's limits mean
    /// something else (`memory.limit_in_bytes` has no `high`).
    static func read(_ tree: FileTree, process: String) -> ControlGroupReadings? {
        guard let path = ControlGroupPath.read(tree, process: process) else { return nil }
        let folders = ControlGroupPath.folders(path)
        let own = folders[0]
        var readings = ControlGroupReadings(path: path)
        var found = false
        for folder in folders {
            guard let level = Level(tree, folder: folder) else { continue }
            if folder == own { level.describe(&readings) }
            level.tighten(&readings)
            found = true
        }
        guard found else { return nil }
        readings.pressureSomeAvg10 = Pressure.someAvg10(tree, own + "/memory.pressure")
        let events = KernelText.flatKeyed(tree.lines(own + "/memory.events"), keys: ["oom_kill"])
        readings.oomKills = events["oom_kill"].map { Int($0) }
        return readings
    }

    /// One group on the way up to the root.
    private struct Level {
        let max: Int64?
        let high: Int64?
        let current: Int64
        let anonymous: Int64?
        let droppable: Int64

        init?(_ tree: FileTree, folder: String) {
            // The root group has no memory.current: its limit is the board itself, which /proc/meminfo tells.
            guard let current = KernelText.count(tree.text(folder + "/memory.current")) else { return nil }
            self.current = current
            // `max` means no limit and parses as no number.
            max = KernelText.count(tree.text(folder + "/memory.max"))
            high = KernelText.count(tree.text(folder + "/memory.high"))
            let stat = KernelText.flatKeyed(tree.lines(folder + "/memory.stat"), keys: ["anon", "file", "shmem"])
            anonymous = stat["anon"]
            // `file` includes tmpfs, which cannot be dropped.
            droppable = Swift.max(0, (stat["file"] ?? 0) - (stat["shmem"] ?? 0))
        }

        func describe(_ readings: inout ControlGroupReadings) {
            readings.currentMB = Int(current >> 20)
            readings.anonymousMB = anonymous.map { Int($0 >> 20) }
            readings.fileMB = Int(droppable >> 20)
        }

        func tighten(_ readings: inout ControlGroupReadings) {
            readings.maxMB = smaller(readings.maxMB, max)
            readings.highMB = smaller(readings.highMB, high)
            guard let limit = [max, high].compactMap(\.self).min() else { return }
            readings.headroomMB = smaller(readings.headroomMB, Swift.max(0, limit - Swift.max(0, current - droppable)))
        }

        private func smaller(_ megabytes: Int?, _ bytes: Int64?) -> Int? {
            guard let bytes else { return megabytes }
            return Swift.min(megabytes ?? Int.max, Int(bytes >> 20))
        }
    }
}
