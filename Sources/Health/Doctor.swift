import Linux

/// The findings of `martlet doctor` about the machine; the daemon adds those about broker and models.
public func doctorFindings(_ examination: Examination) -> [Finding] {
    let doctor = Doctor(examination)
    return [
        doctor.board(), doctor.processor(), doctor.memory(), doctor.memoryController(), doctor.pressure(),
        doctor.swap(), doctor.temperature(), doctor.throttling(), doctor.supply(), doctor.frequencyGovernor(),
        doctor.disk(),
    ].compactMap(\.self)
}

/// One method a finding; nil where the machine gives nothing to say.
struct Doctor {
    let tree: FileTree
    let readings: Readings
    let limits: Limits
    let known: Board?
    let features: String
    let tier: String
    let modelMB: Int?

    init(_ examination: Examination) {
        tree = examination.tree
        readings = examination.readings
        limits = examination.limits
        known = examination.board
        features = examination.features
        tier = examination.tier
        modelMB = examination.modelMB
    }

    /// Raspberry Pi OS differs from other systems in where boot parameters go.
    private var isRaspberryPi: Bool { Board.model(tree)?.hasPrefix("Raspberry Pi") == true }

    private func bootParameter(_ parameter: String) -> String {
        isRaspberryPi
            ? "Append \(parameter) to the one line of /boot/firmware/cmdline.txt and reboot."
            : "Add \(parameter) to the kernel command line and reboot."
    }

    func board() -> Finding {
        let model = Board.model(tree)
        if let known {
            let detail = model.map { "\(known.name) (\($0))" } ?? known.name
            return Finding(.ok, "board", "\(detail); defaults of boards/\(known.id) apply.")
        }
        return Finding(
            .notice, "board", "Unknown board\(model.map { " (\($0))" } ?? ""); general defaults apply.",
            advice: "Set [device] board to the closest folder under boards/.")
    }

    func processor() -> Finding {
        let detail = "Kernel tier \(tier); features: \(features.isEmpty ? "none known" : features)."
        guard let known, known.tier != tier, tier == "generic" || (known.tier == "dotprod" && tier == "neon") else {
            return Finding(.ok, "processor", detail)
        }
        return Finding(
            .warning, "processor", "\(detail) This board can run \(known.tier).",
            advice: "Use a build with that tier: martlet --version lists those compiled in.")
    }

    func memory() -> Finding? {
        guard let total = readings.memory.totalMB else { return nil }
        let available = readings.headroomMB
        let detail = "\(total) MB" + (available.map { ", \($0) MB to be had" } ?? "") + "."
        let floor = MemoryFloor.low(readings)
        // Weights already mapped count as available, so compare with what is still missing only roughly.
        if let modelMB, let available, modelMB > available + Int(readings.memory.processFileMB ?? 0) {
            return Finding(
                .problem, "memory", "\(detail) The configured models need \(modelMB) MB.",
                advice: "Choose a smaller model or context; weights that do not fit are read from disk for every token."
            )
        }
        if let available, available < floor {
            return Finding(
                .warning, "memory", "\(detail) Less than \(floor) MB is left.",
                advice: "Stop other services or choose a smaller model.")
        }
        return Finding(.ok, "memory", detail)
    }

    func memoryController() -> Finding {
        switch ControlGroup.hasMemoryController(tree) {
        case nil:
            return Finding(
                .notice, "cgroup memory", "No cgroup v2 is mounted, so the unit's memory limits cannot be read.",
                advice: bootParameter("systemd.unified_cgroup_hierarchy=1"))
        case false?:
            return Finding(
                .warning, "cgroup memory",
                "The memory controller is off, so MemoryHigh and MemoryMax of the unit have no effect.",
                advice: bootParameter("cgroup_enable=memory"))
        case true?:
            guard let group = readings.cgroup, let limit = group.highMB ?? group.maxMB else {
                return Finding(.ok, "cgroup memory", "The memory controller is on; this process has no limit.")
            }
            if let modelMB, modelMB > limit {
                return Finding(
                    .problem, "cgroup memory", "The limit of \(limit) MB is below the \(modelMB) MB the models need.",
                    advice: "Raise MemoryHigh and MemoryMax; below the weights the kernel drops and re-reads them.")
            }
            return Finding(.ok, "cgroup memory", "The memory controller is on; the limit is \(limit) MB.")
        }
    }

    func pressure() -> Finding {
        guard let percent = readings.pressure else {
            return Finding(
                .notice, "memory pressure", "The kernel does not tell pressure (PSI is off).",
                advice: bootParameter("psi=1"))
        }
        if percent >= 10 {
            return Finding(
                .warning, "memory pressure", "Tasks waited for memory \(percent)% of the last ten seconds.",
                advice: "Stop other services or choose a smaller model.")
        }
        return Finding(.ok, "memory pressure", "Tasks waited for memory \(percent)% of the last ten seconds.")
    }
}
