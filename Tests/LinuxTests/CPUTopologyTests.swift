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
