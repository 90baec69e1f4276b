/// Where a process's control group (v2) stands in a tree.
public enum ControlGroupPath {
    /// Where systemd mounts the hierarchy.
    public static let mount = "/sys/fs/cgroup"
    /// systemd nests a handful of slices; a longer path is damage.
    static let deepest = 32

    /// The `0::` line of the process's `cgroup` file, for example `/system.slice/martlet.service`; nil without v2.
    ///
    /// - Parameter process: the process's folder in the tree.
    public static func read(_ tree: FileTree, process: String = "/proc/self") -> String? {
        guard let line = tree.lines(process + "/cgroup").first(where: { $0.hasPrefix("0::/") }) else { return nil }
        let path = line.dropFirst(3)
        let parts = path.split(separator: "/")
        // `..` appears when the process sits outside its cgroup namespace; that group cannot be read from here.
        guard parts.count <= deepest, !parts.contains("..") else { return nil }
        return String(path)
    }

    /// The folders of the group at `path` and of those around it, innermost first.
    public static func folders(_ path: String) -> [String] {
        var group = path == "/" ? "" : path
        var folders = [mount + group]
        while let slash = group.lastIndex(of: "/") {
            group = String(group[..<slash])
            folders.append(mount + group)
        }
        return folders
    }
}

/// The processor time that control groups allow: systemd's `CPUQuota=`, or a container's limit.
enum CPUQuota {
    /// Whole CPUs, rounded down but at least one, of the tightest group; nil for no limit.
    static func read(_ tree: FileTree) -> Int? {
        guard let path = ControlGroupPath.read(tree) else { return nil }
        return ControlGroupPath.folders(path).compactMap { folder -> Int? in
            // "QUOTA PERIOD" in microseconds; the quota is "max" without a limit.
            let words = (tree.text(folder + "/cpu.max") ?? "").split(separator: " ").map { Int($0) }
            guard words.count == 2, let quota = words[0], let period = words[1], quota > 0, period > 0 else {
                return nil
            }
            return max(1, quota / period)
        }.min()
    }
}
