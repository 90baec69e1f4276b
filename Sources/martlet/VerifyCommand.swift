import ArgumentParser
import Catalogue
import GGUF
import Inference
import JSON
import Linux

extension ModelCommand {
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check that a file is whole and can run; print its SHA-256.",
            discussion: """
                A model of the catalogue is compared with the digest known there, else with the one recorded when it was \
                pulled. The SHA-256 of a split model is that of all its parts, one behind the other.
                """
        )

        @Argument(help: "A GGUF file, or a name of `martlet model list`.") var file: String
        @Option(help: "Refuse the file when its SHA-256 is another.") var sha256: String?
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let path = try namedModel(file)
            let known = sha256?.lowercased() ?? expected(path)
            let model: Model?
            let opened: GGUFFile
            do {
                let running = try Model(path: path)
                (model, opened) = (running, running.file)
            } catch let error as ModelError {
                // A file of the catalogue that this version cannot run is whole all the same.
                guard known != nil, sha256 == nil else { throw error }
                (model, opened) = (nil, try GGUFFile(path: path))
            }
            let digests = opened.parts.map { ($0.path, SHA256.hexadecimal(of: $0.bytes)) }
            let only = digests.count == 1 ? digests.first?.1 : nil
            let digest = try only ?? SHA256.hexadecimal(ofFiles: opened.parts.map(\.path))
            if let known, digest != known {
                throw CommandError(
                    .data, "\(file) has another SHA-256: it is \(digest) instead of \(known). Fetch the file again")
            }
            if let bad = model?.firstUnusableTensor() {
                throw CommandError(
                    .data, "\(file) is damaged: tensor \(bad) holds scales that are not numbers. Fetch it again")
            }
            writeOutput(json ? object(opened, digest, digests, known) : lines(digest, digests))
        }

        /// The digest that the catalogue has for a file it fetched, or that was recorded then.
        private func expected(_ path: String) -> String? {
            guard let cache = PackedModel.folder else { return nil }
            let store = ModelStore(cache: cache)
            return Catalogue.entries.first { store.path($0) == path }.flatMap(store.expectedDigest)
        }

        private func object(
            _ file: GGUFFile, _ digest: String, _ digests: [(String, String)], _ known: String?
        ) -> String {
            JSONWriter.line { writer in
                writer.member("file", file.path)
                writer.member("sha256", digest)
                if digests.count > 1 {
                    writer.array("parts") { list in
                        for (path, digest) in digests {
                            list.object {
                                $0.member("file", path)
                                $0.member("sha256", digest)
                            }
                        }
                    }
                }
                writer.member("bytes", file.byteCount)
                writer.member("known", known != nil)
                writer.member("ok", true)
            }
        }

        private func lines(_ digest: String, _ digests: [(String, String)]) -> String {
            let parts = digests.map { "\($0): ok\nsha256 \($1)\n" }.joined()
            return parts + (digests.count > 1 ? "all \(digests.count) parts: sha256 \(digest)\n" : "")
        }
    }
}
