import GGUF
import JSON

/// What GGUF says of a model as a whole: its name, its shape, how its vectors are pooled.
struct ModelMetadata {
    let folder: ModelFolder
    let config: HFConfig
    let architecture: Architecture
    let format: Importer.Format

    func write(to writer: inout GGUFWriter) throws(ImportError) {
        writer.set("general.architecture", .string(architecture.name))
        writer.set("general.type", .string("model"))
        writer.set("general.name", .string(name))
        if let licence { writer.set("general.license", .string(licence)) }
        // An architecture's own rule stands in place of the common one, also where it leaves the key out.
        let own = Set(architecture.keys.map(\.key))
        for rule in Architecture.commonKeys.filter({ !own.contains($0.key) }) + architecture.keys {
            if let value = rule.value(config) { writer.set("\(architecture.name).\(rule.key)", value) }
        }
        if let pooling = try pooling() { writer.set("\(architecture.name).pooling_type", .uint32(pooling)) }
        writer.set("general.file_type", .uint32(format.fileType))
        writer.set("general.quantization_version", .uint32(2))
    }

    private var name: String {
        let known = config["_name_or_path"]?.string?.split(separator: "/").last.map(String.init)
        return known.flatMap { $0.isEmpty ? nil : $0 } ?? folder.name
    }

    /// The licence in the front matter of the model's README.
    private var licence: String? {
        // A README that cannot be read costs the licence only.
        guard let text = (try? folder.text("README.md")) ?? nil, text.hasPrefix("---") else { return nil }
        for line in text.split(separator: "\n").dropFirst().prefix(200) {
            if line.hasPrefix("---") { return nil }
            guard line.hasPrefix("license:") else { continue }
            let value = line.dropFirst("license:".count).filter { $0 != " " && $0 != "\"" && $0 != "'" && $0 != "\r" }
            return value.isEmpty ? nil : String(value)
        }
        return nil
    }

    /// How sentence-transformers pools the vectors of a text's tokens: 1 mean, 2 the first, 3 the last.
    private func pooling() throws(ImportError) -> UInt32? {
        let modules = try folder.json("modules.json")?.array ?? []
        guard let module = modules.first(where: { $0["type"]?.string?.hasSuffix("Pooling") == true }),
            let place = module["path"]?.string, !place.contains("..")
        else { return nil }
        let settings = try folder.json(place.isEmpty ? "config.json" : "\(place)/config.json")
        let modes = [("mean_tokens", "mean", UInt32(1)), ("cls_token", "cls", 2), ("lasttoken", "lasttoken", 3)]
        for (key, mode, number) in modes
        where settings?["pooling_mode_\(key)"]?.bool == true || settings?["pooling_mode"]?.string == mode {
            return number
        }
        throw ImportError(
            folder.path, "\(place)/config.json pools in a way that is not supported", "Supported are mean, cls and last"
        )
    }
}
