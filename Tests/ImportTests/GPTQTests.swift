import GGUF
import Glibc
import Linux
import Safetensors
import TestSupport
import Testing

@testable import Import

@Suite struct GPTQTests {
    private func digest(_ weights: [Float]) -> String {
        weights.withUnsafeBytes { SHA256.hexadecimal(of: $0) }
    }

    private func expected(_ name: String) throws -> String { try GPTQCheckpoint.digest(name) }

    private func imported(
        _ format: GPTQCheckpoint.Format, _ reports: inout [String: Importer.TensorReport]
    ) throws -> GGUFFile {
        let checkpoint = try GPTQCheckpoint(format).checkpoint
        var all: [String: Importer.TensorReport] = [:]
        try Importer(folder: checkpoint.path, format: .q4_0).write(to: checkpoint.output, threads: 2) { report, _ in
            all[report.name] = report
        }
        reports = all
        return try GGUFFile(path: checkpoint.output)
    }

    @Test func `The checkpoints are those that the script calculates with`() throws {
        for format in [GPTQCheckpoint.Format.first, .second] {
            for tensor in try GPTQCheckpoint(format).checkpoint.tensors {
                let found = tensor.bytes.withUnsafeBytes { SHA256.hexadecimal(of: $0) }
                // The second format's words are the first's; only their meaning is another.
                #expect(try found == expected("gptq/\(tensor.name)"), "\(tensor.name)")
            }
        }
    }

    @Test func `Every layout of groups that can be kept is kept, bit for bit`() throws {
        var reports: [String: Importer.TensorReport] = [:]
        let file = try imported(.first, &reports)
        let formats: [(String, GGMLType)] = [
            ("attn_q", .q4_0), ("attn_k", .q4_0), ("attn_v", .q5_0), ("attn_output", .q4_1), ("ffn_gate", .q4_0),
            ("ffn_down", .q4_0),
        ]
        for (name, type) in formats {
            let name = "blk.0.\(name).weight"
            #expect(file.tensor(named: name)?.type == type)
            #expect(try digest(file.weights(name)) == expected("gptq/\(name)"), "\(name)")
            #expect(reports[name]?.isLossless == true && reports[name]?.rmse == 0)
        }
        // A bias of zeros is AutoGPTQ's, not the model's.
        #expect(file.tensor(named: "blk.0.attn_output.bias") == nil)
    }

    @Test func `What act-order mixes is requantised, and says so`() throws {
        var reports: [String: Importer.TensorReport] = [:]
        let file = try imported(.first, &reports)
        let report = try #require(reports["blk.0.ffn_up.weight"])
        #expect(!report.isLossless && report.relativeError > 0.01 && report.relativeError < 0.1)
        #expect(report.note?.contains("act-order mixes groups") == true)
        #expect(try digest(file.weights("blk.0.ffn_up.weight")) != expected("gptq/blk.0.ffn_up.weight"))
    }

    @Test func `A shape whose inputs are past counting is refused`() throws {
        let folder = try TemporaryFolder()
        let parts = [("qweight", "I32", "1152921504606846976,0"), ("qzeros", "I32", "1,0"), ("scales", "F16", "1,0")]
        let entries = parts.map { #""q.\#($0)":{"dtype":"\#($1)","shape":[\#($2)],"data_offsets":[0,0]}"# }
        let header = "{\(entries.joined(separator: ","))}"
        let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
        try folder.write(length + Array(header.utf8), to: "x.safetensors")
        let file = try SafetensorsFile(path: folder.path("x.safetensors"))
        func tensor(_ name: String) throws -> SafetensorsTensor {
            try #require(file.tensors.first { $0.name == "q.\(name)" })
        }
        let matrix = try GPTQMatrix(
            qweight: tensor("qweight"), qzeros: tensor("qzeros"), scales: tensor("scales"), groupIndex: nil,
            isFormat1: true)
        #expect(matrix == nil)
    }

    @Test func `The second format stores zeros as they are`() throws {
        var reports: [String: Importer.TensorReport] = [:]
        let file = try imported(.second, &reports)
        #expect(try digest(file.weights("blk.0.attn_v.weight")) == expected("gptq-v2/blk.0.attn_v.weight"))
    }
}
