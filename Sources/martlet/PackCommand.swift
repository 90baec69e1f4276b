import ArgumentParser
import GGUF
import Inference
import Linux

extension ModelCommand {
    struct Pack: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a model's weights once more, laid out for speed.",
            discussion: """
                Sixteen rows of a matrix stand side by side, so that a vector register meets a row a lane. Without \
                --out the file goes to the cache folder, where every command finds it from then on and maps it in \
                place of the original's weights; the answers stay the same. It takes as much disk as the model. \
                The daemon does this by itself in the background when it starts (pack = false in [[model]]: never).
                """)

        @Argument(help: "A GGUF file, or a name of `martlet model list`.") var file: String
        @Option(help: "The file to write; default: the cache folder.") var out: String?

        func run() throws {
            let file = try GGUFFile(path: namedModel(file))
            let bar = ProgressBar("packing", total: 1000)
            func show(_ done: Int, _ total: Int) -> Bool {
                bar.show(Int(Double(done) / Double(max(1, total)) * 1000))
                return true
            }
            if let out {
                let count = try PackedModel.write(file, to: out, progress: show)
                bar.finish()
                return writeOutput("\(out): \(count) of \(file.tensors.count) tensors interleaved\n")
            }
            guard let folder = PackedModel.folder else {
                throw CommandError(.usage, "there is no HOME and no MARTLET_CACHE to keep it in. Give --out")
            }
            if let obstacle = try PackedModel.obstacle(file) {
                throw CommandError(.data, "cannot pack \(file.path): \(obstacle). Use it as it is")
            }
            let packed: (path: String, isNew: Bool)?
            do {
                packed = try PackedModel.add(file, to: folder, progress: show)
            } catch let error as SystemError {
                throw CommandError(.cannotCreate, "\(error). Set MARTLET_CACHE to a folder with room, or give --out")
            }
            guard let packed else {
                throw CommandError(.unavailable, "another martlet is packing in \(folder). Wait until it is done")
            }
            bar.finish()
            writeOutput("\(packed.path): \(packed.isNew ? "written" : "is there already")\n")
        }
    }
}
