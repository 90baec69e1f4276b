import JSON
import TestModels
import TestSupport
import Testing

/// `martlet bench`, whose figures other programs read.
@Suite struct BenchTests {
    private let tiny: TinyModel

    init() throws { tiny = try TinyModel() }

    private func bench(_ words: String...) throws -> String {
        try Child.run([try builtProgram("martlet"), "bench", "--model", tiny.model.file.path, "--repeat", "2"] + words)
    }

    @Test func jsonHasTheContractsFieldsAndSharesThatAddUp() throws {
        let text = try bench("--threads", "2", "--prompt", "40", "--generate", "8", "--json")
        #expect(text.count(where: \.isNewline) == 1)
        let result = try JSONValue(parsing: text)
        for key in [
            "prefill_tps", "decode_tps", "threads", "tier", "bytes_per_token", "bandwidth_gbps", "bandwidth_share",
            "anonymous_mb", "file_mb",
        ] { #expect(result[key] != nil, "\(key)") }
        for phase in ["prefill", "decode"] {
            let steps = try #require(result["\(phase)_steps"])
            let kinds = [
                "qkv", "attention", "attention_output", "ffn_gate_up", "ffn_down", "head", "norms", "barriers", "rest",
            ]
            let shares = try kinds.map { try #require(number(steps[$0]?["share"]), "\($0)") }
            #expect(abs(shares.reduce(0, +) - 1) < 0.01)
            for kind in kinds { #expect(number(steps[kind]?["ms_per_token"]) != nil, "\(kind)") }
            #expect(steps["qkv"]?["gbps"] != nil && steps["norms"]?["gbps"] == nil)
        }
    }

    @Test func textHasALineForEachKind() throws {
        let text = try bench("--threads", "1", "--prompt", "16", "--generate", "0")
        for title in ["q, k, v", "ffn gate, up", "norms, quantising", "barriers"] { #expect(text.contains(title)) }
        #expect(text.contains("decode     not measured"))
    }

    private func number(_ value: JSONValue?) -> Double? {
        guard case .number(let number) = value else { return nil }
        return Double(number.text)
    }
}
