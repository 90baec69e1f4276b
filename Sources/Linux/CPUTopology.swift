import CLinux
import Glibc

/// The CPUs this process may use, sorted into performance and efficiency cores.
public struct CPUTopology: Sendable, Equatable {
    /// CPU numbers of the fastest kind of core, ascending.
    public let performance: [Int]
    /// CPU numbers of slower cores (big.LITTLE), ascending.
    public let efficiency: [Int]

    /// No board here has more CPUs; a larger number is a damaged file.
    static let mostCPUs = 1024
    private static let folder = "/sys/devices/system/cpu"

    public init(performance: [Int], efficiency: [Int]) {
        self.performance = performance
        self.efficiency = efficiency
    }

    /// Reads `cpu_capacity` (ARM device tree) or, where it is absent, the highest frequency of each CPU.
    ///
    /// - Parameter allowed: whether a CPU may be used; default asks the scheduler's affinity mask.
    public static func detect(
        _ tree: FileTree = .machine, allowed: (Int) -> Bool = { martlet_may_run_on(Int32($0)) }
    ) -> CPUTopology {
        let cpus = list(tree, "online").filter(allowed)
        guard !cpus.isEmpty else {
            let count = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
            return CPUTopology(performance: Array(0..<count), efficiency: [])
        }
        let speeds = cpus.map { cpu in
            tree.integer("\(folder)/cpu\(cpu)/cpu_capacity")
                ?? tree.integer("\(folder)/cpu\(cpu)/cpufreq/cpuinfo_max_freq") ?? 0
        }
        // Cores of one kind can differ by a few percent (favoured cores); big.LITTLE differs by much more.
        // Divided first: a damaged file can hold the largest number there is.
        let threshold = (speeds.max() ?? 0) / 10 * 8
        let fast = zip(cpus, speeds).filter { $0.1 >= threshold }.map(\.0)
        let slow = zip(cpus, speeds).filter { $0.1 < threshold }.map(\.0)
        return CPUTopology(performance: fast, efficiency: slow)
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
