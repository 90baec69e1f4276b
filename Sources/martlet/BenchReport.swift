import Inference
import JSON

/// What `martlet bench` found, as a line of JSON or as tables.
struct BenchReport {
    /// Tokens a second.
    let prefill: Double
    /// Nil where no token was generated.
    let decode: Double?
    let threads: Int
    let tier: String
    let bytesPerToken: Int
    /// Bytes a second that all threads read together.
    let bandwidth: Double
    let memory: ProcessMemory
    let prefillSteps: Steps?
    let decodeSteps: Steps?

    /// The steps of all counted runs together.
    struct Steps {
        let profile: StepProfile
        let tokens: Int

        /// Nil without runs. `tokens` is those of one run.
        init?(_ runs: [StepProfile], tokens: Int) {
            guard let first = runs.first else { return nil }
            profile = runs.dropFirst().reduce(first, +)
            self.tokens = tokens * runs.count
        }

        func millisecondsPerToken(_ kind: StepProfile.Kind) -> Double {
            profile.nanoseconds(kind) / 1e6 / Double(tokens)
        }

        func share(_ kind: StepProfile.Kind) -> Double { profile.nanoseconds(kind) / max(1, profile.nanoseconds) }
    }

    /// In the order of a pass, with what is no step last.
    private static let kinds: [(kind: StepProfile.Kind, key: String, title: String)] = [
        (.project, "qkv", "q, k, v"), (.attend, "attention", "attention"),
        (.attnOutput, "attention_output", "attention output"), (.gate, "ffn_gate_up", "ffn gate, up"),
        (.ffnDown, "ffn_down", "ffn down"), (.head, "head", "head"), (.prepare, "norms", "norms, quantising"),
        (.wait, "barriers", "barriers"), (.rest, "rest", "embedding, rest"),
    ]

    private var share: Double? { decode.map { bandwidth > 0 ? $0 * Double(bytesPerToken) / bandwidth : 0 } }

    var line: String {
        JSONWriter.line {
            $0.member("prefill_tps", prefill, decimals: 2)
            if let decode { $0.member("decode_tps", decode, decimals: 2) }
            $0.member("threads", threads)
            $0.member("tier", tier)
            $0.member("bytes_per_token", bytesPerToken)
            $0.member("bandwidth_gbps", bandwidth / 1e9, decimals: 2)
            if let share { $0.member("bandwidth_share", share, decimals: 3) }
            if let anonymous = memory.anonymous { $0.member("anonymous_mb", megabytes(anonymous), decimals: 1) }
            if let file = memory.file { $0.member("file_mb", megabytes(file), decimals: 1) }
            if let prefillSteps { Self.write(prefillSteps, "prefill_steps", to: &$0) }
            if let decodeSteps { Self.write(decodeSteps, "decode_steps", to: &$0) }
        }
    }

    private static func write(_ steps: Steps, _ name: String, to json: inout JSONWriter) {
        json.object(name) { json in
            for (kind, key, _) in kinds {
                json.object(key) { json in
                    json.member("ms_per_token", steps.millisecondsPerToken(kind), decimals: 6)
                    json.member("share", steps.share(kind), decimals: 4)
                    if let speed = steps.profile.bytesPerSecond(kind) {
                        json.member("gbps", speed / 1e9, decimals: 2)
                    }
                }
            }
        }
    }

    var table: String {
        let memoryRow = [("anonymous", memory.anonymous), ("file", memory.file)].compactMap { name, bytes in
            bytes.map { "\(Rounded(megabytes($0), 1)) MB \(name)" }
        }
        let decodeRow = decode.map { "\(Rounded($0, 1)) tokens/s" } ?? "not measured"
        let shareText = share.map { ", \(Rounded($0 * 100, 0))% reached in decode" } ?? ""
        return """
            prefill    \(Rounded(prefill, 1)) tokens/s
            decode     \(decodeRow)
            tier       \(tier), \(threads) threads
            weights    \(Rounded(megabytes(bytesPerToken), 1)) MB a token
            bandwidth  \(Rounded(bandwidth / 1e9, 1)) GB/s measured\(shareText)
            memory     \(memoryRow.joined(separator: ", "))

            \(stepTable)
            """
    }

    /// A line for each kind of step: what it costs a token, its share of the time, and how fast it reads its weights.
    private var stepTable: String {
        let phases = [("prefill", prefillSteps), ("decode", decodeSteps)].compactMap { name, steps in
            steps.map { (name: name, steps: $0) }
        }
        var text = ""
        func row(_ title: String, _ cells: (String, Steps) -> [String]) {
            var line = title + String(repeating: " ", count: max(0, 18 - title.count))
            for (name, steps) in phases {
                for (cell, width) in zip(cells(name, steps), [14, 8, 7]) {
                    line += String(repeating: " ", count: max(0, width - cell.count)) + cell
                }
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        row("ms a token") { name, _ in [name, "share", "GB/s"] }
        for (kind, _, title) in Self.kinds {
            row(title) { _, steps in
                guard steps.profile.nanoseconds(kind) > 0 else { return ["", "", ""] }
                let speed = steps.profile.bytesPerSecond(kind).map { "\(Rounded($0 / 1e9, 1))" }
                return [
                    "\(Rounded(steps.millisecondsPerToken(kind), 3))", "\(Rounded(steps.share(kind) * 100, 1))%",
                    speed ?? "",
                ]
            }
        }
        return text
    }
}
