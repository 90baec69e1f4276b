import Testing

@testable import GGUF

@Suite struct GGUFFileTests {
    @Test func `Metadata of every type reads back`() throws {
        var writer = GGUFWriter()
        writer.set("u8", .uint8(200))
        writer.set("i8", .int8(-100))
        writer.set("u16", .uint16(60_000))
        writer.set("i16", .int16(-30_000))
        writer.set("u32", .uint32(4_000_000_000))
        writer.set("i32", .int32(-2_000_000_000))
        writer.set("u64", .uint64(1 << 60))
        writer.set("i64", .int64(-(1 << 60)))
        writer.set("huge", .uint64(.max))
        writer.set("f32", .float32(0.25))
        writer.set("f64", .float64(-1.5e300))
        writer.set("yes", .bool(true))
        writer.set("no", .bool(false))
        writer.set("text", .string("Grüße\n你好"))
        writer.set("empty", .string(""))
        writer.set("strings", .strings(["a", "", "Ġthe"]))
        writer.set("ints", .int32s([1, -2, 3]))
        writer.set("floats", .floats([0.5, -0.5]))
        writer.set("bools", .array(.bool, [.bool(true), .bool(false)]))
        writer.set("none", .strings([]))
        let folder = try TemporaryFolder()
        let file = try GGUFFile(path: folder.file(writer.header()))

        #expect(file.version == 3)
        #expect(["u8", "i8", "u16", "i16", "u32"].map(file.integer) == [200, -100, 60_000, -30_000, 4_000_000_000])
        #expect(["i32", "u64", "i64"].map(file.integer) == [-2_000_000_000, 1 << 60, -(1 << 60)])
        #expect(file.integer("huge") == nil)
        #expect(file.float("f32") == 0.25)
        #expect(file.float("f64") == -1.5e300)
        #expect(file.float("i8") == -100)
        #expect(file.bool("yes") == true)
        #expect(file.bool("no") == false)
        #expect(file.string("text") == "Grüße\n你好")
        #expect(file.string("empty") == "")
        let strings = try #require(file.strings("strings"))
        #expect(strings.indices.map(strings.text) == ["a", "", "Ġthe"])
        #expect(file.integers("ints") == [1, -2, 3])
        #expect(file.floats("floats") == [0.5, -0.5])
        #expect(file.floats("ints") == [1, -2, 3])
        #expect(file.integers("bools") == [1, 0])
        #expect(file.strings("none")?.count == 0)
        #expect(file.keys.count == 20)
        var visited: [String] = []
        #expect(file.forEachString("strings") { visited.append(String(decoding: $0, as: UTF8.self)) })
        #expect(visited == ["a", "", "Ġthe"])
        withExtendedLifetime(file) {}
    }

    @Test func `A value of another type or an absent key is nil, not an error`() throws {
        var writer = GGUFWriter()
        writer.set("text", .string("a"))
        writer.set("number", .uint32(1))
        let folder = try TemporaryFolder()
        let file = try GGUFFile(path: folder.file(writer.header()))
        #expect(file.integer("text") == nil)
        #expect(file.float("text") == nil)
        #expect(file.bool("number") == nil)
        #expect(file.string("number") == nil)
        #expect(file.strings("text") == nil)
        #expect(file.integers("number") == nil)
        #expect(file.string("absent") == nil)
        #expect(!file.forEachString("number") { _ in })
    }

    @Test func `Tensors are found with their shape and their own bytes`() throws {
        var raw = RawGGUF()
        raw.key("general.alignment", 4, le(UInt32(64)))
        raw.alignment = 64
        raw.tensor("a", [32, 2, 3], 3, offset: 0)  // Q4_1: 6 rows of 20 bytes
        raw.tensor("b", [3], 0, offset: 128)
        raw.data = (0..<140).map { UInt8($0) }
        let folder = try TemporaryFolder()
        let file = try GGUFFile(path: folder.file(raw.bytes))
        let first = try #require(file.tensor(named: "a"))
        #expect(first.type == .q4_1)
        #expect(first.type.name == "Q4_1")
        #expect(first.dimensions == [32, 2, 3])
        #expect(first.rowLength == 32)
        #expect(first.rows == 6)
        #expect(first.rowByteCount == 20)
        #expect(first.elementCount == 192)
        #expect(Array(first.bytes) == (0..<120).map { UInt8($0) })
        let second = try #require(file.tensor(named: "b"))
        #expect(Array(second.bytes) == (128..<140).map { UInt8($0) })
        #expect(file.tensor(named: "c") == nil)
        #expect(file.dataOffset % 64 == 0)
        #expect(file.tensors.map(\.name) == ["a", "b"])
        withExtendedLifetime(file) {}
    }

    @Test func `Version 2 reads as version 3 does`() throws {
        var raw = RawGGUF()
        raw.version = le(UInt32(2))
        raw.key("a", 4, le(UInt32(7)))
        let folder = try TemporaryFolder()
        let file = try GGUFFile(path: folder.file(raw.bytes))
        #expect(file.version == 2)
        #expect(file.integer("a") == 7)
    }

    @Test func `Two tensors may share their bytes`() throws {
        var raw = RawGGUF()
        raw.tensor("token_embd.weight", [4], 0)
        raw.tensor("output.weight", [4], 0)
        raw.data = [UInt8](repeating: 1, count: 16)
        let folder = try TemporaryFolder()
        #expect(try GGUFFile(path: folder.file(raw.bytes)).tensors.count == 2)
    }

    @Test func `Interleaved rows are whole bands of a type that has them`() throws {
        let folder = try TemporaryFolder()
        func file(_ rows: Int, _ type: GGMLType, _ bytes: Int) throws -> GGUFFile {
            var raw = RawGGUF()
            raw.tensor("a", [256, UInt64(rows)], type.rawValue | GGMLType.interleavedFlag)
            raw.data = [UInt8](repeating: 1, count: bytes)
            return try GGUFFile(path: folder.file(raw.bytes, "\(type)-\(rows).gguf"))
        }
        let plain = try #require(try file(32, .q4_0, 32 * 144).tensor(named: "a"))
        #expect(plain.isInterleaved && plain.typeName == "Q4_0x16" && plain.rowByteCount == 144)
        // A byte for each 6-bit scale and minimum.
        let scaled = try #require(try file(16, .q4_K, 16 * 148).tensor(named: "a"))
        #expect(scaled.rowByteCount == 148 && scaled.bytes.count == 16 * 148)
        let cut = #expect(throws: GGUFError.self) { try file(24, .q4_0, 24 * 144) }
        #expect(cut?.description.contains("interleaves 24 rows, no multiple of 16") == true)
        let float = #expect(throws: GGUFError.self) { try file(16, .f16, 16 * 512) }
        #expect(float?.description.contains("unknown type number 4097") == true)
    }

    @Test(arguments: GGMLType.allCases)
    func `A block of every type has the bits per weight that ggml publishes`(_ type: GGMLType) {
        let bits: [GGMLType: Double] = [
            .f32: 32, .f16: 16, .bf16: 16, .q4_0: 4.5, .q4_1: 5, .q5_0: 5.5, .q5_1: 6, .q8_0: 8.5, .q2_K: 2.625,
            .q3_K: 3.4375, .q4_K: 4.5, .q5_K: 5.5, .q6_K: 6.5625, .iq4_nl: 4.5, .iq4_xs: 4.25, .mxfp4: 4.25,
        ]
        #expect(Double(type.bytesPerBlock * 8) / Double(type.blockSize) == bits[type])
        #expect(type.rowByteCount(type.blockSize * 3) == type.bytesPerBlock * 3)
        #expect(type.rowByteCount(0) == nil)
        #expect(type.blockSize == 1 || type.rowByteCount(type.blockSize + 1) == nil)
    }
}
