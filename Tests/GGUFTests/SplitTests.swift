import Glibc
import Linux
import Testing

@testable import GGUF

/// Models in several files, as gguf-split cuts them.
@Suite struct SplitTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Three parts with a tensor of three floats each, all `part + 1`; only the first has the model's metadata.
    private func write(count: UInt16 = 3, tensors: Int32 = 3, number: (Int) -> Int = { $0 }) throws {
        for part in 0..<3 {
            // Parts may be aligned differently.
            var writer = GGUFWriter(alignment: part == 1 ? 128 : 32)
            if part == 0 { writer.set("general.architecture", .string("llama")) }
            writer.set("split.no", .uint16(UInt16(number(part))))
            writer.set("split.count", .uint16(count))
            writer.set("split.tensors.count", .int32(tensors))
            try writer.add(tensor: "t\(part)", [3], .f32)
            try writer.write(to: name(part)) { _, file throws(SystemError) in
                let bits = Float(part + 1).bitPattern
                for _ in 0..<3 { try file.append((0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }) }
            }
        }
    }

    private func name(_ part: Int) -> String { "\(folder.path)/model\(GGUFPart.suffix(part, 3))" }

    private func refusal(_ path: String) -> GGUFError? {
        do {
            _ = try GGUFFile(path: path)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: 0..<3) func `Any part opens all of them`(part: Int) throws {
        try write()
        let file = try GGUFFile(path: name(part))
        #expect(file.path == name(part) && file.parts.count == 3)
        #expect(file.string("general.architecture") == "llama")
        #expect(file.tensors.map(\.name) == ["t0", "t1", "t2"])
        for (index, tensor) in file.tensors.enumerated() {
            #expect(tensor.bytes.loadUnaligned(fromByteOffset: 8, as: Float.self) == Float(index + 1))
        }
        #expect(file.byteCount == file.parts.reduce(0) { $0 + $1.bytes.count })
        withExtendedLifetime(file) {}
    }

    @Test func `What one file may claim, all parts may claim together`() throws {
        try write()
        for part in 1..<3 {
            var writer = GGUFWriter()
            writer.set("split.no", .uint16(UInt16(part)))
            writer.set("split.count", .uint16(3))
            for number in 0..<40_000 { try writer.add(tensor: "p\(part).\(number)", [1], .f32) }
            try writer.write(to: name(part)) { _, file throws(SystemError) in try file.append([0, 0, 0, 0]) }
        }
        let error = try #require(refusal(name(0)))
        #expect(error.description.contains("claims 80001 tensors"), "\(error)")
    }

    @Test func `A missing part is named`() throws {
        try write()
        #expect(unlink(name(1)) == 0)
        let error = try #require(refusal(name(2)))
        #expect(error.isNotFound)
        #expect(error.description.contains("model-00002-of-00003.gguf: part 2 of 3 of the model is missing"))
    }

    @Test func `A part that is another is refused`() throws {
        try write(number: { $0 == 1 ? 2 : $0 })
        #expect(try #require(refusal(name(0))).description.contains("it is not part 2 of 3, as its name says"))
    }

    @Test func `A part under another name is refused`() throws {
        try write()
        #expect(rename(name(0), "\(folder.path)/other.gguf") == 0)
        let reason = try #require(refusal("\(folder.path)/other.gguf")).description
        #expect(reason.contains("it is part 1 of 3 of a split model") && reason.contains("NAME-00001-of-00003.gguf"))
    }

    @Test func `Counts that do not fit are refused`() throws {
        try write(tensors: 4)
        #expect(try #require(refusal(name(0))).description.contains("3 tensors together instead of 4"))
        try write(number: { $0 + 7 })
        #expect(try #require(refusal(name(0))).description.contains("it claims to be part 7 of 3"))
        try write(count: 5000)
        #expect(try #require(refusal(name(0))).description.contains("it claims to be part 0 of 5000"))
    }

    @Test func `What is written of a split model is one file`() throws {
        try write()
        let path = "\(folder.path)/joined.gguf"
        try GGUFWriter(metadataOf: GGUFFile(path: name(0))).write(to: path) { _, _ in }
        let file = try GGUFFile(path: path)
        #expect(file.keys == ["general.architecture"] && file.parts.count == 1)
    }
}
