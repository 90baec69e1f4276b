import Foundation
import Testing

@testable import Linux

@Suite struct CPUTopologyTests {
    static func board(_ name: String) -> FileTree {
        let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return FileTree(root: repository.appendingPathComponent("boards/" + name).path)
    }

    @Test(arguments: [
        ("0-3", [0, 1, 2, 3]), ("0-1,4,6-7", [0, 1, 4, 6, 7]), ("5", [5]), ("", []), ("3-1", []), ("a-b", []),
        ("-1", []), ("1-", []), ("0-3,x,7", [0, 1, 2, 3, 7]), ("2,1,1-2", [1, 2]), ("1-2-3", []),
        ("99999999999999999999", []), ("0-1000000000", []), (" 1", []), ("1023", [1023]), ("1024", []),
    ])
    func `The kernel's list format is read and malformed parts are ignored`(text: String, cpus: [Int]) {
        #expect(CPUTopology.parseList(text) == cpus)
    }

    @Test func `A list repeated for ever yields each CPU once`() {
        let text = Array(repeating: "0-1023", count: 10_000).joined(separator: ",")
        #expect(CPUTopology.parseList(text).count == 1024)
    }

    @Test func `big and LITTLE cores are told apart`() {
        let topology = CPUTopology.detect(Self.board("orange-pi-5"), allowed: { _ in true })
        #expect(topology == CPUTopology(performance: [4, 5, 6, 7], efficiency: [0, 1, 2, 3]))
    }

    @Test(arguments: ["pi-zero-2w", "pi-3", "pi-4", "pi-5"])
    func `Equal cores are all performance cores`(name: String) {
        let topology = CPUTopology.detect(Self.board(name), allowed: { _ in true })
        #expect(topology == CPUTopology(performance: [0, 1, 2, 3], efficiency: []))
    }

    @Test func `Only allowed CPUs count, and without a list there is at least one`() {
        let some = CPUTopology.detect(Self.board("orange-pi-5"), allowed: { $0 < 4 })
        #expect(some == CPUTopology(performance: [0, 1, 2, 3], efficiency: []))
        #expect(!CPUTopology.detect(FileTree(root: "/nowhere")).performance.isEmpty)
    }

    @Test func `Threads are those of the performance cores, and stay on them`() {
        let orange = CPUTopology.detect(Self.board("orange-pi-5"), allowed: { _ in true })
        #expect(orange.threads == 4)
        #expect(orange.cpus(for: 1) == [4, 5, 6, 7] && orange.cpus(for: 4) == [4, 5, 6, 7])
        #expect(orange.cpus(for: 5) == Array(0...7))
        let half = CPUTopology.detect(Self.board("orange-pi-5"), allowed: { $0 < 6 })
        #expect(half.threads == 2 && half.cpus(for: 2) == [4, 5] && half.cpus(for: 4) == Array(0...5))
        // Where all cores are equal the system places threads better than we could.
        let four = CPUTopology.detect(Self.board("pi-5"), allowed: { _ in true })
        #expect(four.threads == 4 && four.cpus(for: 4) == [] && four.cpus(for: 8) == [])
    }

    /// A tree below /tmp with CPUs 0…7 online and these files; gone with the object.
    final class Tree {
        let root = NSTemporaryDirectory() + "martlet-topology-" + UUID().uuidString
        var tree: FileTree { FileTree(root: root) }
        init(_ files: [String: String]) throws {
            for (path, text) in files.merging(
                ["sys/devices/system/cpu/online": "0-7\n"], uniquingKeysWith: { own, _ in own })
            {
                let url = URL(fileURLWithPath: root + "/" + path)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try text.write(to: url, atomically: false, encoding: .utf8)
            }
        }
        deinit { try? FileManager.default.removeItem(atPath: root) }
    }

    @Test func `Without capacities and frequencies the cores' models tell`() throws {
        let cpuinfo = try #require(Self.board("orange-pi-5").text("/proc/cpuinfo"))
        let bare = try Tree(["proc/cpuinfo": cpuinfo])
        #expect(CPUTopology.detect(bare.tree, allowed: { _ in true }).performance == [4, 5, 6, 7])
        // A capacity that only some CPUs have cannot be compared with anything.
        let torn = try Tree(["proc/cpuinfo": cpuinfo, "sys/devices/system/cpu/cpu0/cpu_capacity": "1024"])
        #expect(CPUTopology.detect(torn.tree, allowed: { _ in true }).performance == [4, 5, 6, 7])
        let small = try #require(Self.board("pi-3").text("/proc/cpuinfo"))
        let equal = try Tree(["proc/cpuinfo": small, "sys/devices/system/cpu/online": "0-3"])
        #expect(CPUTopology.detect(equal.tree, allowed: { _ in true }).performance == [0, 1, 2, 3])
    }

    @Test(arguments: [
        ("max 100000", "max 100000", nil), ("200000 100000", "max 100000", 2), ("max 100000", "350000 100000", 3),
        ("600000 100000", "100000 100000", 1), ("50000 100000", "max 100000", 1), ("0 100000", "", nil),
        ("200000 0", "x", nil), ("200000", "-5 7", nil), ("9223372036854775807 1", "", Int.max),
    ])
    func `The tightest quota of the control groups limits the threads`(own: String, outer: String, quota: Int?) throws {
        let tree = try Tree([
            "proc/self/cgroup": "0::/system.slice/martlet.service\n", "sys/fs/cgroup/system.slice/cpu.max": outer,
            "sys/fs/cgroup/system.slice/martlet.service/cpu.max": own,
        ])
        let topology = CPUTopology.detect(tree.tree, allowed: { _ in true })
        #expect(topology.quota == quota)
        #expect(topology.threads == min(8, quota ?? 8))
    }

    @Test func `A container's own limit stands at the root of its hierarchy`() throws {
        let tree = try Tree(["proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000"])
        #expect(CPUTopology.detect(tree.tree, allowed: { _ in true }).threads == 1)
    }

    @Test func `Absurd capacities do not trap`() throws {
        let root = NSTemporaryDirectory() + "martlet-topology-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: root) }
        let folder = root + "/sys/devices/system/cpu"
        for cpu in 0...1 {
            try FileManager.default.createDirectory(atPath: "\(folder)/cpu\(cpu)", withIntermediateDirectories: true)
        }
        try "0-1\n".write(toFile: folder + "/online", atomically: false, encoding: .utf8)
        try "9223372036854775807\n".write(toFile: folder + "/cpu0/cpu_capacity", atomically: false, encoding: .utf8)
        try "-9223372036854775808\n".write(toFile: folder + "/cpu1/cpu_capacity", atomically: false, encoding: .utf8)
        let topology = CPUTopology.detect(FileTree(root: root), allowed: { _ in true })
        #expect(topology == CPUTopology(performance: [0], efficiency: [1]))
    }
}
