import ArgumentParser
import GGUF
import Glibc
import Inference
import JSON
import Kernels
import Linux
import Tokenizers

/// `martlet model`: fetches and makes models, and looks into them.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Fetch models, make them, look into them.",
        subcommands: [
            List.self, Pull.self, Import.self, Inspect.self, Verify.self, Tokenize.self, Logits.self, Perplexity.self,
            Pack.self,
        ])

    struct Tokenize: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print the token ids of the text on stdin.")

        @Argument(help: "A GGUF file, also one of a vocabulary only, or a name of `martlet model list`.") var file:
            String
        @Flag(help: "Add no BOS or EOS, and treat special tokens in the text as text.") var noSpecial = false

        func run() throws {
            let tokenizer = try Tokenizer(GGUFFile(path: namedModel(file)))
            let ids = tokenizer.encode(bytes: try input(nil), addSpecial: !noSpecial, parseSpecial: !noSpecial)
            writeOutput(ids.map(String.init).joined(separator: " ") + "\n")
        }
    }

    struct Logits: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the logits of every token as raw float32, (tokens, vocabulary).")

        @Argument(help: "A GGUF file, or a name of `martlet model list`.") var file: String
        @Option(help: "Token ids, separated by commas.") var tokens: String
        @Option(help: "The file to write.") var out: String
        @Option(help: "Threads; 0 takes the performance cores.") var threads = 0
        @Option(name: .customLong("lora"), help: "A LoRA adapter, FILE or FILE=SCALE; may be given several times.")
        var adapters: [String] = []

        func run() throws {
            let ids = try tokens.split(separator: ",").map { part in
                guard let id = Int32(part.filter { $0 != " " }) else {
                    throw CommandError(.usage, "--tokens holds '\(part)', which is not a token id. Give numbers")
                }
                return id
            }
            let model = try Model(path: namedModel(file))
            let context = min(max(ids.count, 1), model.config.contextLength)
            let session = try Session(model: model, context: context, threads: threads, ownsThread: true)
            session.use(try model.adapters(adapters))
            try creating(out) { output in
                var failure: SystemError?
                try session.evaluate(ids) { _, logits in
                    guard failure == nil else { return }
                    do throws(SystemError) {
                        try output.append(UnsafeRawBufferPointer(logits))
                    } catch {
                        failure = error
                    }
                }
                if let failure { throw failure }
            }
        }
    }

    struct Perplexity: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Measure how well a model predicts a text.",
            discussion: "Windows that do not overlap; the second half of each is scored.")

        @Argument(help: "A GGUF file, or a name of `martlet model list`.") var file: String
        @Option(name: .customLong("file"), help: "The text.") var text: String
        @Option(help: "Tokens of a window.") var context = 512
        @Option(help: "How positions are stretched for a context beyond the training: none, linear or yarn.")
        var ropeScaling = RopeScaling.none
        @Option(help: "Windows at most; default all.") var chunks: Int?
        @Option(help: "Threads; 0 takes the performance cores.") var threads = 0
        @Option(name: .customLong("lora"), help: "A LoRA adapter, FILE or FILE=SCALE; may be given several times.")
        var adapters: [String] = []
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            guard (chunks ?? 1) > 0 else { throw CommandError(.usage, "--chunks takes a positive number") }
            guard context >= 4 else { throw CommandError(.usage, "--context takes 4 or more") }
            let model = try Model(path: namedModel(file), stretch: RopeStretch(ropeScaling, context: context))
            let session = try Session(model: model, context: context, threads: threads, ownsThread: true)
            session.use(try model.adapters(adapters))
            let tokenizer = try model.tokenizer
            let ids = tokenizer.encode(bytes: try input(text), addSpecial: true, parseSpecial: false)
            let windows = min(ids.count / context, chunks ?? .max)
            guard windows > 0 else {
                throw CommandError(
                    .data, "\(text) has \(ids.count) tokens, less than a window of \(context). Use a longer text")
            }
            let bar = ProgressBar("perplexity", total: windows)
            var sum = 0.0
            var scored = 0
            for window in 0..<windows {
                var tokens = Array(ids[window * context..<(window + 1) * context])
                if tokenizer.addsBOS, let bos = tokenizer.bos { tokens[0] = bos }
                session.truncate(to: 0)
                let half = context / 2
                try session.evaluate(Array(tokens[..<half]))
                try session.evaluate(Array(tokens[half...])) { index, logits in
                    guard half + index + 1 < context else { return }
                    sum -= logProbability(of: Int(tokens[half + index + 1]), logits)
                    scored += 1
                }
                bar.show(window + 1, note: String(describing: Rounded(exp(sum / Double(scored)), 3)))
            }
            bar.finish()
            let perplexity = exp(sum / Double(scored))
            if json {
                writeOutput(
                    JSONWriter.line {
                        $0.member("perplexity", perplexity, decimals: 4)
                        $0.member("windows", windows)
                        $0.member("context", context)
                        $0.member("tier", model.tier.rawValue)
                    })
            } else {
                writeOutput("perplexity \(Rounded(perplexity, 4)) over \(windows) windows of \(context) tokens\n")
            }
        }

        /// log softmax of one logit, summed in double.
        private func logProbability(of token: Int, _ logits: UnsafeBufferPointer<Float>) -> Double {
            let largest = logits.max() ?? 0
            let sum = logits.reduce(0.0) { $0 + Double(expf($1 - largest)) }
            return Double(logits[token] - largest) - log(sum)
        }
    }
}

/// A number with a fixed count of decimals, without Foundation's formatter.
struct Rounded: CustomStringConvertible {
    let value: Double
    let decimals: Int

    init(_ value: Double, _ decimals: Int) {
        self.value = value
        self.decimals = decimals
    }

    var description: String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let scale = pow(10, Double(decimals))
        let scaled = Int64((abs(value) * scale).rounded())
        let whole = scaled / Int64(scale)
        let sign = value < 0 && scaled != 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(whole)" }
        let fraction = String(scaled % Int64(scale))
        return "\(sign)\(whole)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }
}

extension JSONWriter {
    /// One JSON object and a line end.
    static func line(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        writer.object(body)
        return writer.text + "\n"
    }
}
