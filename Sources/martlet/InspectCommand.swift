import ArgumentParser
import GGUF
import Inference
import JSON
import Linux

extension ModelCommand {
    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a model is and the memory it will need here.")

        @Argument(help: "A GGUF file, or a name of `martlet model list`.") var file: String
        @Option(help: "Context in tokens to compute the memory for.") var context = 2048
        @Flag(help: "Print JSON, with every tensor.") var json = false

        func run() throws {
            let path = try namedModel(file)
            let file = try GGUFFile(path: path)
            let running: Running?
            let problem: String?
            do {
                let model = try Model(path: path)
                let need = model.memoryNeed(context: min(max(1, context), model.config.contextLength))
                (running, problem) = (Running(need: need, isPacked: model.isPacked), nil)
            } catch let error as ModelError {
                // A file we cannot run can still be looked into.
                (running, problem) = (nil, error.description)
            }
            writeOutput(json ? line(file, running, problem) : table(file, running, problem))
        }

        /// What is known of a model that runs.
        private struct Running {
            let need: MemoryNeed
            let isPacked: Bool
        }

        private func line(_ file: GGUFFile, _ running: Running?, _ problem: String?) -> String {
            let architecture = file.string("general.architecture") ?? ""
            return JSONWriter.line { writer in
                writer.member("file", file.path)
                writer.member("architecture", architecture)
                if let name = file.string("general.name") { writer.member("name", name) }
                if let licence = file.string("general.license") { writer.member("license", licence) }
                writer.member("parameters", file.tensors.reduce(0) { $0 + $1.elementCount })
                writer.member("bytes", file.byteCount)
                for (key, label) in Self.shape {
                    if let value = file.integer("\(architecture).\(key)") { writer.member(label, value) }
                }
                writer.member("runs", problem == nil)
                if let problem { writer.member("problem", problem) }
                if let running { writer.member("packed", running.isPacked) }
                if let need = running?.need {
                    writer.object("memory") { memory in
                        memory.member("context", need.context)
                        memory.member("file_mb", megabytes(need.file), decimals: 1)
                        memory.member("cache_mb", megabytes(need.cache), decimals: 1)
                        memory.member("scratch_mb", megabytes(need.scratch), decimals: 1)
                        if let available = need.available {
                            memory.member("available_mb", megabytes(available), decimals: 1)
                        }
                        if let fits = need.fits { memory.member("fits", fits) }
                    }
                }
                writer.object("quantization") { types in
                    for (type, weights) in quantization(file) { types.member(type, weights) }
                }
                writer.array("tensors") { list in
                    for tensor in file.tensors {
                        list.object { one in
                            one.member("name", tensor.name)
                            one.member("type", tensor.typeName)
                            one.array("shape") { for dimension in tensor.dimensions { $0.integer(dimension) } }
                            one.member("bytes", tensor.bytes.count)
                        }
                    }
                }
            }
        }

        private func table(_ file: GGUFFile, _ running: Running?, _ problem: String?) -> String {
            let architecture = file.string("general.architecture") ?? "unknown"
            var rows: [(String, String)] = [("file", file.path), ("architecture", architecture)]
            if let name = file.string("general.name") { rows.append(("name", name)) }
            if let licence = file.string("general.license") { rows.append(("licence", licence)) }
            let parameters = file.tensors.reduce(0) { $0 + $1.elementCount }
            rows.append(("parameters", "\(Rounded(Double(parameters) / 1e6, 1)) million"))
            for (key, label) in Self.shape {
                if let value = file.integer("\(architecture).\(key)") {
                    rows.append((label.replacing("_", with: " "), String(value)))
                }
            }
            let types = quantization(file).map { "\($0.0) \(Rounded(Double($0.1) / 1e6, 1)) M" }
            rows.append(("weights", types.joined(separator: ", ")))
            if let running {
                rows.append(("packed", running.isPacked ? "yes" : "not yet: martlet model pack makes it faster"))
            }
            if let need = running?.need {
                rows.append(("mapped file", "\(Rounded(megabytes(need.file), 1)) MB, shared with the page cache"))
                rows.append(
                    ("cache", "\(Rounded(megabytes(need.cache), 1)) MB if all \(need.context) tokens are used"))
                rows.append(("scratch", "\(Rounded(megabytes(need.scratch), 1)) MB"))
                if let available = need.available, let fits = need.fits {
                    rows.append(
                        (
                            "this board",
                            "\(Rounded(megabytes(available), 0)) MB available: \(fits ? "fits" : "too little")"
                        ))
                }
            }
            if let problem { rows.append(("does not run", problem)) }
            let width = rows.map(\.0.count).max() ?? 0
            return rows.map { name, value in
                name + String(repeating: " ", count: width - name.count + 2) + value + "\n"
            }.joined()
        }

        /// Weights by type, the most first.
        private func quantization(_ file: GGUFFile) -> [(String, Int)] {
            var counts: [String: Int] = [:]
            for tensor in file.tensors { counts[tensor.typeName, default: 0] += tensor.elementCount }
            return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
        }

        private static let shape = [
            ("block_count", "layers"), ("embedding_length", "embedding_length"),
            ("feed_forward_length", "feed_forward_length"), ("attention.head_count", "heads"),
            ("attention.head_count_kv", "key_heads"), ("context_length", "context_length"),
            ("vocab_size", "vocabulary"),
        ]
    }
}

/// Bytes as decimal megabytes.
func megabytes(_ bytes: Int) -> Double { Double(bytes) / 1e6 }
