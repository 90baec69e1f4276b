import TestSupport
import Testing

@testable import Safetensors

@Suite struct SafetensorsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder(inMemory: true) }

    /// A file of a header as given and `data` bytes of zeros but for the first.
    private func file(_ header: String, data: Int = 12) -> [UInt8] {
        var bytes = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
        bytes += header.utf8
        bytes += [UInt8](repeating: 0, count: data)
        return bytes
    }

    private func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
        try folder.write(bytes, to: "x.safetensors")
        return try SafetensorsFile(path: folder.path("x.safetensors"))
    }

    private func refusal(_ bytes: [UInt8]) throws -> String {
        do {
            _ = try open(bytes)
            return ""
        } catch let error as SafetensorsError {
            return error.description
        }
    }

    @Test func `Tensors are found with type, shape and bytes`() throws {
        let header = """
            {"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]},\
            "a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}
            """
        var bytes = file(header)
        let start = bytes.count - 12
        // 1.5 as BF16, −2 as half.
        bytes.replaceSubrange(start..<start + 6, with: [0xC0, 0x3F, 0, 0, 0x00, 0xC0])
        let file = try open(bytes)
        #expect(file.tensors.map(\.name) == ["a", "b"] && file.metadata == ["format": "pt"])
        #expect(file.tensors[0].float(0) == 1.5 && file.tensors[0].elementCount == 2)
        #expect(file.tensors[1].float(0) == -2 && file.tensors[1].shape == [2, 2])
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2) { out in
            guard let start = out.baseAddress else { return }
            file.tensors[1].read(0, 2, 2, into: start)
            #expect(out[0] == -2 && out[1] == 0)
        }
    }

    @Test(arguments: [
        ("{}", 1, "it has 1 bytes of data, its tensors take 0"),
        ("[]", 0, "its header is no JSON object"),
        ("{", 0, "its header is not JSON"),
        (
            #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#,
            12, "'a' appears twice"
        ),
        (#"{"a":{"dtype":"F31","shape":[3],"data_offsets":[0,12]}}"#, 12, "unknown type 'F31'"),
        (#"{"a":{"shape":[3],"data_offsets":[0,12]}}"#, 12, "unknown type 'none'"),
        (#"{"a":{"dtype":"F32","shape":3,"data_offsets":[0,12]}}"#, 12, "no usable shape"),
        (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,3],"data_offsets":[0,12]}}"#, 12, "no usable shape"),
        (#"{"a":{"dtype":"F32","shape":[-3],"data_offsets":[0,12]}}"#, 12, "no whole number"),
        (#"{"a":{"dtype":"F32","shape":[3.5],"data_offsets":[0,12]}}"#, 12, "no whole number"),
        (
            #"{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,12]}}"#, 12,
            "does not fill its bytes"
        ),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}}"#, 12, "does not lie inside its 12 bytes"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[12,0]}}"#, 12, "does not lie inside"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[-12,0]}}"#, 12, "does not lie inside"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0]}}"#, 12, "does not lie inside"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}"#, 12, "does not fill its bytes"),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
            12, "'b' overlaps the one before it"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            12, "'b' leaves a hole"
        ),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 12, "its tensors take 8"),
    ])
    func `A header that breaks the format is refused`(header: String, data: Int, reason: String) throws {
        let refusal = try refusal(file(header, data: data))
        #expect(refusal.contains(reason) && refusal.contains("Download it again"), "\(refusal)")
    }

    @Test func `Lengths beyond the file are refused before anything is read`() throws {
        #expect(try refusal([1, 2, 3]).contains("it has 3 bytes"))
        #expect(try refusal([UInt8](repeating: 0xFF, count: 64)).contains("its header claims"))
        #expect(try refusal([100, 0, 0, 0, 0, 0, 0, 0, 0x7B]).contains("its header claims 100 bytes of 1"))
    }

    @Test func `Damage anywhere never crashes`() throws {
        let header = """
            {"b":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}
            """
        let whole = file(header)
        var state: UInt64 = 11
        var opened = 0
        for _ in 0..<3000 {
            var bytes = whole
            for _ in 0..<3 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 56)
            }
            if state & 0x700 == 0 { bytes.removeLast(Int(state >> 40) % bytes.count) }
            guard let file = try? open(bytes) else { continue }
            opened += 1
            for tensor in file.tensors where tensor.isFloat {
                for index in 0..<tensor.elementCount { _ = tensor.float(index) }
            }
        }
        #expect(opened > 0)
    }
}
