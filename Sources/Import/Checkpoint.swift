import GGUF
import JSON
import Safetensors

/// All tensors of a model, in one safetensors file or in several, found by name.
struct Checkpoint {
    let path: String
    private let files: [SafetensorsFile]
    private let tensors: [String: SafetensorsTensor]
    /// Tensors of parts that GGUF text models do not have: image and audio encoders.
    let skipped: Int

    /// Bytes of all files.
    var byteCount: Int { files.reduce(0) { $0 + $1.mapped.bytes.count } }
    var names: [String] { tensors.keys.sorted() }

    init(_ folder: ModelFolder) throws {
        path = folder.path
        files = try Self.files(folder).map { try SafetensorsFile(path: "\(folder.path)/\($0)") }
        var tensors: [String: SafetensorsTensor] = [:]
        var skipped = 0
        for file in files {
            for tensor in file.tensors {
                guard let name = Self.plain(tensor.name) else {
                    skipped += 1
                    continue
                }
                guard tensors.updateValue(tensor, forKey: name) == nil else {
                    throw ImportError(folder.path, "tensor \(quoted(name)) is in two files", "Download the model again")
                }
            }
        }
        (self.tensors, self.skipped) = (tensors, skipped)
    }

    subscript(name: String) -> SafetensorsTensor? { tensors[name] }

    /// Which files hold the weights: those of an index, or a single one.
    private static func files(_ folder: ModelFolder) throws -> [String] {
        if let index = folder.files(endingWith: ".safetensors.index.json").first {
            guard let map = try folder.json(index, limit: 64 << 20)?["weight_map"]?.object else {
                throw ImportError(folder.path, "\(index) has no weight_map", "Download it again")
            }
            let names = Set(map.compactMap(\.value.string)).sorted()
            guard names.count <= 4096, names.allSatisfy({ !$0.contains("/") && !$0.isEmpty }) else {
                throw ImportError(folder.path, "\(index) names files outside the folder", "Download it again")
            }
            for name in names where !folder.has(name) {
                throw ImportError(
                    folder.path, "\(quoted(name)) is missing, which \(index) names", "Download it", kind: .notFound)
            }
            return names
        }
        if folder.has("model.safetensors") { return ["model.safetensors"] }
        let names = folder.files(endingWith: ".safetensors")
        if !names.isEmpty { return names }
        let others = [".bin", ".pt", ".pth", ".gguf"].flatMap { folder.files(endingWith: $0) }
        throw ImportError(
            folder.path, "it holds no .safetensors file" + (others.first.map { " but \($0)" } ?? ""),
            "Download the safetensors of the model", kind: .notFound)
    }

    /// The name as a plain text model has it; nil for parts of other encoders.
    private static func plain(_ name: String) -> String? {
        let parts = ["vision", "visual.", "audio", "multi_modal_projector", "image_newline", "mm_projector"]
        if parts.contains(where: name.contains) { return nil }
        if name.hasPrefix("language_model.model.") { return String(name.dropFirst("language_model.".count)) }
        if name.hasPrefix("language_model.lm_head.") { return String(name.dropFirst("language_model.".count)) }
        if name.hasPrefix("model.language_model.") { return "model." + name.dropFirst("model.language_model.".count) }
        if name.hasPrefix("bert.") { return String(name.dropFirst("bert.".count)) }
        // Models saved without their head.
        if ["embed_tokens.", "layers.", "norm."].contains(where: name.hasPrefix) { return "model." + name }
        return name
    }
}
