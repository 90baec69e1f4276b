import ArgumentParser
import Import
import JSON
import Linux

extension ModelCommand {
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a GGUF file of a Hugging Face folder.",
            discussion: """
                DIR holds config.json, the weights as .safetensors (one file, or several with an index) and the \
                tokenizer's files. Weights that GPTQ packed with 4 bits are taken over without loss, whatever --type \
                says, where their groups allow it, and brought to --type where not. The token embedding and the head \
                stay at 8 bits in the 4-bit types. A line for each tensor says what it became and the error that made: \
                the root of the mean square, and its share in the weights.
                """)

        @Argument(help: "The model's folder.") var dir: String
        @Option(help: "\(Importer.Format.allCases.map(\.rawValue).joined(separator: ", ")).") var type: String
        @Option(help: "The file to write.") var out: String
        @Option(help: "Threads; 0 takes the performance cores.") var threads = 0
        @Option(help: "The pre-tokenizer's name in GGUF, where it is not recognised.") var pre: String?
        @Flag(help: "Print JSON, an object for each tensor and one for the file.") var json = false

        func run() throws {
            guard let format = Importer.Format(rawValue: type.uppercased()) else {
                let known = Importer.Format.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandError(.usage, "--type \(type) is not a type that can be written. Use one of \(known)")
            }
            guard (0...64).contains(threads) else { throw CommandError(.usage, "--threads takes 0 to 64") }
            let importer = try Importer(folder: dir, format: format, preTokenizer: pre)
            // In thousandths: a model has more weights than a bar's number should show.
            let bar = ProgressBar("importing", total: 1000)
            var (bytes, lossless) = (0, 0)
            try importer.write(to: out, threads: threads == 0 ? CPUTopology.machine.threads : threads) { tensor, done in
                bytes += tensor.bytes
                lossless += tensor.isLossless ? 1 : 0
                // A bar and the lines would write over each other on one terminal.
                bar.finish()
                writeOutput(json ? object(tensor) : line(tensor))
                bar.show(Int(Double(done) / Double(max(1, importer.weightCount)) * 1000), note: tensor.name)
            }
            bar.finish()
            writeOutput(json ? summary(importer, bytes, lossless) : sentence(importer, bytes, lossless))
        }

        private func line(_ tensor: Importer.TensorReport) -> String {
            let shape = tensor.dimensions.map(String.init).joined(separator: " × ")
            let error =
                tensor.rmse == 0
                ? "exact" : "rmse \(significant(tensor.rmse)), relative \(significant(tensor.relativeError))"
            let note = tensor.note.map { " (\($0))" } ?? ""
            return "\(tensor.name)  \(shape)  \(tensor.from) → \(tensor.to)  \(error)\(note)\n"
        }

        private func object(_ tensor: Importer.TensorReport) -> String {
            JSONWriter.line { writer in
                writer.member("tensor", tensor.name)
                writer.array("shape") { for length in tensor.dimensions { $0.integer(length) } }
                writer.member("from", tensor.from)
                writer.member("type", tensor.to)
                writer.member("bytes", tensor.bytes)
                writer.member("rmse", tensor.rmse)
                writer.member("relative_error", tensor.relativeError)
                writer.member("largest_error", Double(tensor.largestError))
                writer.member("lossless", tensor.isLossless)
                if let note = tensor.note { writer.member("note", note) }
            }
        }

        private func summary(_ importer: Importer, _ bytes: Int, _ lossless: Int) -> String {
            JSONWriter.line { writer in
                writer.member("file", out)
                writer.member("architecture", importer.architecture)
                writer.member("tensors", importer.tensorCount)
                writer.member("parameters", importer.weightCount)
                writer.member("bytes", bytes)
                writer.member("lossless_tensors", lossless)
                if importer.skippedTensors > 0 { writer.member("skipped_tensors", importer.skippedTensors) }
            }
        }

        private func sentence(_ importer: Importer, _ bytes: Int, _ lossless: Int) -> String {
            let packed = lossless > 0 ? ", \(lossless) taken over from GPTQ without loss" : ""
            let skipped =
                importer.skippedTensors > 0
                ? ", \(importer.skippedTensors) of encoders for images or sound left out" : ""
            return "\(out): \(importer.architecture), \(importer.tensorCount) tensors, "
                + "\(Rounded(megabytes(bytes), 1)) MB\(packed)\(skipped)\n"
        }
    }
}

/// A number with three significant digits, however small.
func significant(_ value: Double) -> String {
    guard value > 0, value.isFinite else { return "0" }
    var (scaled, exponent) = (value, 0)
    while scaled < 1 { (scaled, exponent) = (scaled * 10, exponent + 1) }
    return exponent > 6 ? "\(Rounded(scaled, 2))e-\(exponent)" : "\(Rounded(value, exponent + 2))"
}
