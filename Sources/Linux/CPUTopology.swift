import CLinux
import Glibc

/// The CPUs this process may use, sorted into performance and efficiency cores.
public struct CPUTopology: Sendable, Equatable {
    /// CPU numbers of the fastest kind of core, ascending.
    public let performance: [Int]
    /// CPU numbers of slower cores (big.LITTLE), ascending.
    public let efficiency: [Int]
    /// Whole CPUs' worth of time that the process's control groups allow it; nil for no limit.
    public let quota: Int?

    /// This machine, as it was before any thread was bound.
    public static let machine = detect()

    /// No board here has more CPUs; a larger number is a damaged file.
    static let mostCPUs = 1024
    private static let folder = "/sys/devices/system/cpu"

    public init(performance: [Int], efficiency: [Int], quota: Int? = nil) {
        self.performance = performance
        self.efficiency = efficiency
        self.quota = quota
    }

    /// Threads to compute with where nobody says otherwise: one a performance core, as far as the quota reaches.
    ///
    /// More than the quota would be stopped for the rest of each period, all at once.
    public var threads: Int { max(1, min(performance.count, quota ?? .max)) }

    /// The CPUs for a team of `count` threads; empty where it needs no binding.
    ///
    /// All of the performance cores for each thread, not one core each: a thread bound to a core that another process
    /// has taken could not move to a free one, and holds up the others at every barrier.
    public func cpus(for count: Int) -> [Int] {
        guard !efficiency.isEmpty else { return [] }
        return count <= performance.count ? performance : (performance + efficiency).sorted()
    }

    /// Reads `cpu_capacity` (ARM device tree) or, where it is absent, the highest frequency of each CPU, or its model.
    ///
    /// - Parameter allowed: whether a CPU may be used; default asks the scheduler's affinity mask.
    public static func detect(
        _ tree: FileTree = .machine, allowed: (Int) -> Bool = { martlet_may_run_on(Int32($0)) }
    ) -> CPUTopology {
        let cpus = list(tree, "online").filter(allowed)
        let quota = CPUQuota.read(tree)
        guard !cpus.isEmpty else {
            let count = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
            return CPUTopology(performance: Array(0..<count), efficiency: [], quota: quota)
        }
        let speeds = speeds(of: cpus, tree)
        // Cores of one kind can differ by a few percent (favoured cores); big.LITTLE differs by much more.
        // Divided first: a damaged file can hold the largest number there is.
        let threshold = (speeds.max() ?? 0) / 10 * 8
        let fast = zip(cpus, speeds).filter { $0.1 >= threshold }.map(\.0)
        let slow = zip(cpus, speeds).filter { $0.1 < threshold }.map(\.0)
        return CPUTopology(performance: fast, efficiency: slow, quota: quota)
    }

    /// Of the first source that knows all CPUs, because figures of two cannot be compared; equal without any.
    private static func speeds(of cpus: [Int], _ tree: FileTree) -> [Int64] {
        for file in ["cpu_capacity", "cpufreq/cpuinfo_max_freq"] {
            let speeds = cpus.compactMap { tree.integer("\(folder)/cpu\($0)/\(file)") }
            if speeds.count == cpus.count { return speeds }
        }
        let small = smallCores(tree)
        return cpus.map { small.contains($0) ? 500 : 1000 }
    }

    /// The CPUs that `/proc/cpuinfo` calls one of ARM's small cores: Cortex-A53, A35, A55, A510 and A520.
    private static func smallCores(_ tree: FileTree) -> Set<Int> {
        var small: Set<Int> = []
        var cpu: Int?
        var isARM = false
        for line in tree.lines("/proc/cpuinfo") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let value = parts[1].drop(while: \.isWhitespace)
            switch parts[0].prefix(while: { $0 != "\t" }) {
            case "processor": cpu = Int(value)
            case "CPU implementer": isARM = value == "0x41"
            case "CPU part":
                if let cpu, isARM, ["0xd03", "0xd04", "0xd05", "0xd46", "0xd80"].contains(value) { small.insert(cpu) }
            default: break
            }
        }
        return small
    }

    /// The CPUs named in one of the kernel's lists: `online`, `possible`, `present`; ascending, empty when absent.
    public static func list(_ tree: FileTree, _ name: String) -> [Int] {
        parseList(tree.text("\(folder)/\(name)") ?? "")
    }

    /// Parses the kernel's list format, for example `0-3,6`; ignores what is malformed.
    static func parseList(_ text: String) -> [Int] {
        var listed = [Bool](repeating: false, count: mostCPUs)
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2 else { continue }
            guard 0 <= first, first <= last, last < mostCPUs else { continue }
            for cpu in first...last { listed[cpu] = true }
        }
        return listed.indices.filter { listed[$0] }
    }
}
