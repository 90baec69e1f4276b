import Linux

/// Pressure stall information: how much of the time tasks waited for memory.
enum Pressure {
    /// Percent of the last ten seconds in which some task waited; nil without PSI.
    ///
    /// Source: `some avg10=0.22 avg60=0.17 avg300=1.11 total=58761459` in `/proc/pressure/memory` or a cgroup's
    /// `memory.pressure`. With `psi=0` the file exists but reading it fails, which reads as absent here.
    static func someAvg10(_ tree: FileTree, _ path: String) -> Double? {
        guard let line = tree.lines(path).first(where: { $0.hasPrefix("some ") }) else { return nil }
        let field = KernelText.words(line).first { $0.hasPrefix("avg10=") }
        guard let percent = KernelText.decimal(field?.dropFirst("avg10=".count)), percent <= 100 else { return nil }
        return percent
    }
}
