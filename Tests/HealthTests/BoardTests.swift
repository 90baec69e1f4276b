import Foundation
import Linux
import Testing

@testable import Health

@Suite struct BoardTests {
    @Test(arguments: Trees.boards)
    func `Every captured tree is recognised as its board`(name: String) {
        #expect(Board.detect(Trees.board(name))?.id == name)
    }

    @Test(arguments: [
        ("Raspberry Pi Zero 2 W Rev 1.0", "pi-zero-2w"), ("Raspberry Pi 3 Model B Plus Rev 1.3", "pi-3"),
        ("Raspberry Pi 400 Rev 1.0", "pi-4"), ("Raspberry Pi Compute Module 4 Rev 1.1", "pi-4"),
        ("Raspberry Pi 500 Rev 1.0", "pi-5"), ("Raspberry Pi Compute Module 5 Lite Rev 1.0", "pi-5"),
        ("Orange Pi 5", "orange-pi-5"), ("Orange Pi 5 Plus", "orange-pi-5"), ("RK3588 OPi 5 Max", "orange-pi-5"),
        ("Xunlong Orange Pi 5", "orange-pi-5"),
    ])
    func `Relatives share a board`(model: String, id: String) throws {
        let scratch = try ScratchTree()
        try scratch.write("/sys/firmware/devicetree/base/model", model + "\0")
        #expect(Board.detect(scratch.tree)?.id == id)
        #expect(Board.model(scratch.tree) == model)
    }

    @Test(arguments: ["Raspberry Pi Zero W Rev 1.1", "Raspberry Pi 2 Model B Rev 1.1", "Radxa ROCK 5B", "\0", ""])
    func `Other boards stay unknown`(model: String) throws {
        let scratch = try ScratchTree()
        try scratch.write("/proc/device-tree/model", model)
        #expect(Board.detect(scratch.tree) == nil)
    }

    @Test func `An ARM machine without a device tree is not taken for a PC`() throws {
        let scratch = try ScratchTree("pi-5")
        try scratch.remove("/proc/device-tree")
        #expect(Board.detect(scratch.tree) == nil)
    }

    @Test func `The compiled-in table and the files under boards say the same`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Trees.boardsFolder)
        let described = folders.filter {
            FileManager.default.fileExists(atPath: "\(Trees.boardsFolder)/\($0)/board.toml")
        }
        #expect(described.sorted() == Board.all.map(\.id).sorted())
        for board in Board.all {
            #expect(try Self.parse(board.id) == board)
        }
    }

    @Test func `Every board's limits leave room for what runs on it`() {
        for board in Board.all {
            #expect(board.performanceCores <= board.cores)
            #expect(board.maxTemperatureC < 90)
            #expect(board.memoryHighPercent < board.memoryMaxPercent)
            #expect(board.memoryLimitMB < board.memoryMB.lowerBound)
            #expect(Trees.boards.contains(board.id))
        }
    }

    @Test func `The unit's memory drop-ins say what the table says`() throws {
        let folder = Trees.boardsFolder + "/../systemd/martlet.service.d"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(files.sorted() == Board.all.map { $0.id + ".conf" }.sorted())
        for board in Board.all {
            let text = try String(contentsOfFile: "\(folder)/\(board.id).conf", encoding: .utf8)
            #expect(text.contains("\nMemoryHigh=\(board.memoryHighPercent)%\n"), "\(board.id)")
            #expect(text.contains("\nMemoryMax=\(board.memoryMaxPercent)%\n"), "\(board.id)")
        }
    }

    /// Reads a board.toml; only the flat `key = value` lines these files have.
    static func parse(_ id: String) throws -> Board {
        let text = try String(contentsOfFile: "\(Trees.boardsFolder)/\(id)/board.toml", encoding: .utf8)
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.components(separatedBy: " = ")
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        func string(_ key: String) -> String? { values[key]?.trimmingCharacters(in: ["\""]) }
        func integer(_ key: String) throws -> Int { try #require(values[key].flatMap { Int($0) }, "\(id) \(key)") }
        func list(_ key: String) -> [String] {
            (values[key] ?? "").trimmingCharacters(in: ["[", "]"]).components(separatedBy: ", ").filter { !$0.isEmpty }
        }
        let memory = try list("memory_mb").map { try #require(Int($0)) }
        return Board(
            id: id, name: try #require(string("name")),
            models: list("models").map { $0.trimmingCharacters(in: ["\""]) },
            cores: try integer("cores"), performanceCores: try integer("performance_cores"),
            memoryMB: memory[0]...memory[1], tier: try #require(string("tier")), thermalZone: string("thermal_zone"),
            maxTemperatureC: Double(try integer("max_temperature")), memoryLimitMB: try integer("memory_limit_mb"),
            recommendedModel: try #require(string("recommended_model")),
            recommendedContext: try integer("recommended_context"),
            memoryHighPercent: try integer("memory_high_percent"),
            memoryMaxPercent: try integer("memory_max_percent"))
    }
}
