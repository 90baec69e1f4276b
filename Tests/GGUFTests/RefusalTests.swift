import Glibc
import Testing

@testable import GGUF

/// Files that must be refused, each with one line that says why.
@Suite struct RefusalTests {
    @Test func `A missing file is told apart`() {
        do {
            _ = try GGUFFile(path: "/nowhere/model.gguf")
            Issue.record("opened a file that does not exist")
        } catch {
            #expect(error.isNotFound)
            #expect(error.description == "cannot open /nowhere/model.gguf: No such file or directory. Check the path")
        }
    }

    @Test func `A folder is no model`() throws {
        let error = #expect(throws: GGUFError.self) { try GGUFFile(path: "/tmp") }
        #expect(error?.isNotFound == false)
    }

    @Test func `What is not GGUF is said so`() throws {
        #expect(
            try refusal([]).hasSuffix("is not a GGUF file: it is empty. Download the model again or convert it to GGUF")
        )
        #expect(try refusal(Array("PK\u{3}\u{4} a zip archive".utf8)).contains("does not begin with 'GGUF'"))
        #expect(try refusal(Array("GG".utf8)).contains("does not begin with 'GGUF'"))
        #expect(try refusal(Array("GGUF".utf8)).contains("ends inside its header"))
    }

    @Test func `Versions and byte orders we do not read are named`() throws {
        var raw = RawGGUF()
        raw.version = le(UInt32(1))
        #expect(try refusal(raw.bytes).contains("GGUF version 1"))
        raw.version = le(UInt32(3).byteSwapped)
        #expect(try refusal(raw.bytes).contains("big-endian"))
        raw.version = le(UInt32(4))
        #expect(try refusal(raw.bytes).contains("GGUF version 4"))
        raw.version = le(UInt32(0))
        #expect(try refusal(raw.bytes).contains("GGUF version 0"))
    }

    @Test(arguments: [UInt64(1) << 17, 1 << 40, .max])
    func `Absurd counts are refused before anything is built for them`(_ count: UInt64) throws {
        var raw = RawGGUF()
        raw.tensorCount = count
        #expect(try refusal(raw.bytes).contains("claims \(count) tensors"))
        raw = RawGGUF()
        raw.keyCount = count
        #expect(try refusal(raw.bytes).contains("claims \(count) metadata keys"))
        raw = RawGGUF()
        raw.key("tokens", 9, le(UInt32(8)) + le(count))
        #expect(try refusal(raw.bytes).contains("claims \(count) elements"))
        raw = RawGGUF()
        raw.key("text", 8, le(count) + [0x61])
        #expect(try refusal(raw.bytes).contains("ends inside the value of 'text'"))
        raw = RawGGUF()
        raw.metadata = [le(count) + [0x61]]
        #expect(try refusal(raw.bytes).contains("ends inside its metadata"))
        raw = RawGGUF()
        raw.tensors = [le(count) + [0x61]]
        #expect(try refusal(raw.bytes).contains("ends inside the tensor directory"))
    }

    /// Each key may be as long as the format allows, all of them together may not: they are copied.
    @Test func `Keys that are long together are refused`() throws {
        var raw = RawGGUF()
        for number in 0..<64 { raw.key(String(repeating: "k", count: 65_533) + "\(10 + number)", 0, [1]) }
        let folder = try TemporaryFolder()
        #expect(try GGUFFile(path: folder.file(raw.bytes)).keys.count == 64)
        for number in 64..<70 { raw.key(String(repeating: "k", count: 65_533) + "\(10 + number)", 0, [1]) }
        #expect(try refusal(raw.bytes).contains("its metadata keys have more than 4 MiB together"))
    }

    @Test func `A model in one part is whole`() throws {
        var raw = RawGGUF()
        raw.key("split.no", 2, le(UInt16(0)))
        raw.key("split.count", 2, le(UInt16(1)))
        let folder = try TemporaryFolder()
        #expect(try GGUFFile(path: folder.file(raw.bytes)).integer("split.count") == 1)
    }

    @Test func `Damaged metadata is named by its key`() throws {
        var raw = RawGGUF()
        raw.key("twice", 4, le(UInt32(1)))
        raw.key("twice", 4, le(UInt32(1)))
        #expect(try refusal(raw.bytes).contains("metadata key 'twice' appears twice"))
        raw = RawGGUF()
        raw.key("kind", 13, [])
        #expect(try refusal(raw.bytes).contains("'kind' has unknown value type 13"))
        raw = RawGGUF()
        raw.key("flag", 7, [2])
        #expect(try refusal(raw.bytes).contains("'flag' is a bool with value 2"))
        raw = RawGGUF()
        raw.key("list", 9, le(UInt32(99)) + le(UInt64(0)))
        #expect(try refusal(raw.bytes).contains("elements of unknown type 99"))
        raw = RawGGUF()
        raw.key("", 4, le(UInt32(1)))
        #expect(try refusal(raw.bytes).contains("a metadata key has 0 bytes"))
        raw = RawGGUF()
        raw.key(String(repeating: "k", count: 65_536), 4, le(UInt32(1)))
        #expect(try refusal(raw.bytes).contains("a metadata key has 65536 bytes"))
        raw = RawGGUF()
        raw.key("line\nbreak", 99, [])
        #expect(try refusal(raw.bytes).contains("'line\u{FFFD}break'"))
    }

    @Test func `Arrays may nest, but not without end`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            var value = le(UInt32(4)) + le(UInt64(1)) + le(UInt32(5))
            for _ in 1..<depth { value = le(UInt32(9)) + le(UInt64(1)) + value }
            return value
        }
        var raw = RawGGUF()
        raw.key("deep", 9, nested(4))
        let folder = try TemporaryFolder()
        #expect(try GGUFFile(path: folder.file(raw.bytes)).keys == ["deep"])
        raw = RawGGUF()
        raw.key("deep", 9, nested(5))
        #expect(try refusal(raw.bytes).contains("'deep' nests arrays deeper than 4"))
        raw = RawGGUF()
        raw.key("deep", 9, nested(100_000))
        #expect(try refusal(raw.bytes).contains("'deep' nests arrays deeper than 4"))
    }

    @Test(arguments: [UInt32(0), 3, 48, 131_072])
    func `An alignment that is no sensible power of two is refused`(_ alignment: UInt32) throws {
        var raw = RawGGUF()
        raw.key("general.alignment", 4, le(alignment))
        #expect(try refusal(raw.bytes).contains("general.alignment is \(alignment)"))
    }

    @Test func `An alignment of another type is refused`() throws {
        var raw = RawGGUF()
        raw.key("general.alignment", 10, le(UInt64(32)))
        #expect(try refusal(raw.bytes).contains("general.alignment is no 32-bit unsigned number"))
    }

    @Test func `Damaged tensors are named`() throws {
        func refused(_ name: String, _ dimensions: [UInt64], _ type: UInt32, offset: UInt64 = 0) throws -> String {
            var raw = RawGGUF()
            raw.tensor(name, dimensions, type, offset: offset)
            raw.data = [UInt8](repeating: 0, count: 64)
            return try refusal(raw.bytes)
        }
        #expect(try refused("a", [], 0).contains("'a' has 0 dimensions"))
        #expect(try refused("a", [1, 1, 1, 1, 1], 0).contains("'a' has 5 dimensions"))
        #expect(try refused("a", [0], 0).contains("'a' has a dimension of 0"))
        #expect(try refused("a", [4, .max], 0).contains("'a' has a dimension of 18446744073709551615"))
        #expect(try refused("a", [1 << 40, 1 << 40], 0).contains("the size of tensor 'a'"))
        #expect(try refused("a", [1 << 62], 0).contains("the size of tensor 'a'"))
        #expect(try refused("a", [33], 3).contains("rows of 33 weights, no multiple of Q4_1's block of 32"))
        #expect(try refused("a", [4], 16).contains("tensor 'a' has type IQ2_XXS (16)"))
        #expect(try refused("a", [4], 777).contains("tensor 'a' has unknown type number 777"))
        #expect(try refused("a", [4], 0, offset: 8).contains("'a' begins at 8, no multiple of the alignment 32"))
        #expect(try refused("a", [17], 0).contains("'a' needs 68 bytes at 0 of its data, which has 64"))
        #expect(try refused("a", [16], 0, offset: 32).contains("'a' needs 64 bytes at 32"))
        #expect(try refused("a", [4], 0, offset: .max - 31).contains("'a' needs 16 bytes at"))
        #expect(try refused("", [4], 0).contains("a tensor name has 0 bytes"))
        var raw = RawGGUF()
        raw.tensor("same", [4], 0)
        raw.tensor("same", [4], 0)
        raw.data = [UInt8](repeating: 0, count: 16)
        #expect(try refusal(raw.bytes).contains("tensor 'same' appears twice"))
    }
}
