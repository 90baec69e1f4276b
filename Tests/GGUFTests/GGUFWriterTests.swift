import Linux
import Testing

@testable import GGUF

@Suite struct GGUFWriterTests {
    @Test func `A written file reads back with every tensor aligned`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/model.gguf"
        var writer = GGUFWriter(alignment: 128)
        writer.set("general.architecture", .string("llama"))
        writer.set("replaced", .uint32(1))
        writer.set("replaced", .uint32(2))
        try writer.add(tensor: "a", [3], .f32)
        try writer.add(tensor: "b", [64, 2], .q8_0)
        try writer.write(to: path) { tensor, file throws(SystemError) in
            // In pieces, as a converter streams them.
            for index in 0..<tensor.byteCount { try file.append([UInt8(truncatingIfNeeded: index)]) }
        }
        let file = try GGUFFile(path: path)
        #expect(file.alignment == 128)
        #expect(file.integer("replaced") == 2)
        #expect(file.tensors.map(\.name) == ["a", "b"])
        #expect(try Array(#require(file.tensor(named: "b")).bytes) == (0..<136).map { UInt8($0) })
        #expect(folder.names == ["model.gguf"])
        withExtendedLifetime(file) {}
    }

    @Test func `A tensor larger than the write buffer passes through`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/model.gguf"
        var writer = GGUFWriter()
        try writer.add(tensor: "a", [300_000], .f32)
        try writer.write(to: path) { tensor, file throws(SystemError) in
            try file.append((0..<tensor.byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        }
        let file = try GGUFFile(path: path)
        let tensor = try #require(file.tensor(named: "a"))
        #expect(tensor.bytes.count == 1_200_000)
        #expect(tensor.bytes.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: $0 &* 31) })
        withExtendedLifetime(file) {}
    }

    @Test func `A tensor filled wrongly leaves the old file and no part`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file(Array("old".utf8), "model.gguf")
        var writer = GGUFWriter()
        try writer.add(tensor: "a", [3], .f32)
        let error = #expect(throws: GGUFError.self) {
            try writer.write(to: path) { _, file throws(SystemError) in try file.append([1]) }
        }
        #expect(error?.description.contains("tensor 'a'") == true)
        #expect(folder.names == ["model.gguf"])
        #expect(try MappedFile(path: path).bytes.count == 3)
    }

    @Test func `A folder that does not exist is an error in one line`() throws {
        let error = #expect(throws: GGUFError.self) { try GGUFWriter().write(to: "/nowhere/model.gguf") { _, _ in } }
        #expect(error?.description.contains("cannot create /nowhere/model.gguf") == true)
    }

    @Test(arguments: [
        ([33], GGMLType.q4_0), ([], .f32), ([0], .f32), ([1, 1, 1, 1, 1], .f32), ([1 << 40, 1 << 40], .f32),
    ])
    func `A shape that does not fit its type is refused`(_ dimensions: [Int], _ type: GGMLType) {
        var writer = GGUFWriter()
        #expect(throws: GGUFError.self) { try writer.add(tensor: "a", dimensions, type) }
        #expect(writer.tensors.isEmpty)
    }
}
