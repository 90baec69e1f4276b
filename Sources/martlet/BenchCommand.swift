import ArgumentParser
import Inference
import JSON
import Kernels
import Linux

/// `martlet bench`: how fast a model runs here, and how near to the memory's bound.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure prefill and decode, and the share of memory bandwidth reached.")

    @Option(help: "The model: a GGUF file, or a name of `martlet model list`.") var model: String
    @Option(help: "Threads; 0 takes the performance cores.") var threads = 0
    @Option(help: "Tokens of the prompt.") var prompt = 256
    @Option(help: "Tokens to generate behind it; 0 measures the prompt alone.") var generate = 64
    @Option(name: .customLong("repeat"), help: "Runs to take the median of, after a warm-up.") var runs = 5
    @Flag(inversion: .prefixedNo, help: "A run that is not counted, before the others.") var warmUp = true
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (1...65536).contains(prompt) else { throw ValidationError("--prompt takes 1 to 65536") }
        guard (0...65536).contains(generate) else { throw ValidationError("--generate takes 0 to 65536") }
        guard (1...1000).contains(runs) else { throw ValidationError("--repeat takes 1 to 1000") }
        guard (0...64).contains(threads) else { throw ValidationError("--threads takes 0 to 64") }
    }

    func run() throws {
        let model = try Model(path: namedModel(model))
        let session = try Session(model: model, context: prompt + generate, threads: threads, ownsThread: true)
        let tokens = (0..<prompt).map { Int32($0 * 37 % model.vocabularyCount) }
        let uncounted = warmUp ? 1 : 0
        let bar = ProgressBar("bench", total: uncounted + runs)
        var prefill: [Double] = []
        var decode: [Double] = []
        var steps: (prefill: [StepProfile], decode: [StepProfile]) = ([], [])
        for run in 0..<uncounted + runs {
            session.truncate(to: 0)
            session.startProfile()
            let start = monotonicNanoseconds()
            try session.evaluate(tokens)
            let middle = monotonicNanoseconds()
            let prefillSteps = session.endProfile()
            var next = largest(session.logits())
            session.startProfile()
            let begun = monotonicNanoseconds()
            for _ in 0..<generate {
                try session.evaluate(next)
                next = largest(session.logits())
            }
            let end = monotonicNanoseconds()
            let decodeSteps = session.endProfile()
            if run >= uncounted {
                if let prefillSteps { steps.prefill.append(prefillSteps) }
                if let decodeSteps, generate > 0 { steps.decode.append(decodeSteps) }
                prefill.append(Double(prompt) * 1e9 / Double(middle - start))
                decode.append(Double(generate) * 1e9 / Double(max(1, end - begun)))
            }
            bar.show(run + 1)
        }
        bar.finish()
        let bandwidth = session.measureBandwidth()
        let report = BenchReport(
            prefill: median(prefill), decode: generate > 0 ? median(decode) : nil, threads: session.threads,
            tier: model.tier.rawValue, bytesPerToken: model.bytesPerToken, bandwidth: bandwidth,
            memory: ProcessMemory.own(),
            prefillSteps: BenchReport.Steps(steps.prefill, tokens: prompt),
            decodeSteps: BenchReport.Steps(steps.decode, tokens: generate))
        writeOutput(json ? report.line : report.table)
    }

    /// Greedy choice, so that generation reads the whole head as a real one does.
    private func largest(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return Int32(best)
    }

    private func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// What `/proc/<process>/status` says of a process, in bytes.
struct ProcessMemory {
    var anonymous: Int?
    var file: Int?

    static func own(_ tree: FileTree = .machine) -> ProcessMemory { of("self", tree) }

    static func of(_ process: String, _ tree: FileTree = .machine) -> ProcessMemory {
        var memory = ProcessMemory()
        for line in tree.lines("/proc/\(process)/status") {
            let parts = line.split(whereSeparator: \.isWhitespace)
            guard parts.count >= 2, let kilobytes = Int(parts[1]) else { continue }
            if parts[0] == "RssAnon:" { memory.anonymous = kilobytes * 1024 }
            if parts[0] == "RssFile:" { memory.file = kilobytes * 1024 }
        }
        return memory
    }
}
