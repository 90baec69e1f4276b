import GGUF
import Glibc
import Kernels
import Linux
import QuantBlocks

/// A model's weights once more, with interleaved rows: written once, then mapped in place of the original's.
///
/// Decode reads such rows as one stream with a row a lane; prefill unpacks them with less work. The file holds all the
/// original's metadata, so it is a model by itself too.
public struct PackedModel {
    /// Which file it was made of: see `fingerprint`.
    static let sourceKey = "martlet.packed.source"

    /// Where packed models are kept: `$MARTLET_CACHE`, systemd's `$CACHE_DIRECTORY`, or `martlet` in the user's cache.
    public static var folder: String? {
        func variable(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        // systemd lists several folders with colons between them.
        let systemd = variable("CACHE_DIRECTORY").map { String($0.prefix { $0 != ":" }) }
        return variable("MARTLET_CACHE") ?? systemd ?? variable("XDG_CACHE_HOME").map { $0 + "/martlet" }
            ?? variable("HOME").map { $0 + "/.cache/martlet" }
    }

    /// The place of `file`'s packed form in `folder`.
    public static func path(for file: GGUFFile, in folder: String) -> String {
        let name = file.path.split(separator: "/").last.map(String.init) ?? "model.gguf"
        let stem = name.hasSuffix(".gguf") ? String(name.dropLast(5)) : name
        return "\(folder)/packed/\(stem)-\(fingerprint(file).prefix(16)).gguf"
    }

    /// The packed form of `file` if there is one that fits; nil also when it is damaged, because the original serves.
    static func find(for file: GGUFFile, in folder: String?) -> GGUFFile? {
        // A model without a folder of packed ones is not read for its fingerprint.
        guard let folder, access("\(folder)/packed", X_OK) == 0, file.string(sourceKey) == nil,
            case let path = path(for: file, in: folder), access(path, R_OK) == 0,
            let packed = try? GGUFFile(path: path), isForm(packed, of: file)
        else { return nil }
        return packed
    }

    /// Whether `packed` says that it was made of `file`, and has its tensors, those interleaved that should be: it may lie
    /// in a cache that a power cut or somebody else left damaged.
    private static func isForm(_ packed: GGUFFile, of file: GGUFFile) -> Bool {
        guard packed.tensors.count == file.tensors.count, packed.alignment == file.alignment,
            let config = try? ModelConfig(file)
        else { return false }
        for (tensor, own) in zip(file.tensors, packed.tensors) {
            guard own.name == tensor.name, own.dimensions == tensor.dimensions, own.type == tensor.type,
                own.isInterleaved == (format(of: tensor, config) != nil)
            else { return false }
        }
        return packed.string(sourceKey) == fingerprint(file)
    }

    /// Writes `file`'s packed form into `folder`, unless it is there already or another process is writing it.
    ///
    /// - Returns: where it is, and whether it was written now; nil when another process is at it.
    /// - Throws: as `write`, and `SystemError` when the folder cannot be made or has not enough room.
    public static func add(
        _ file: GGUFFile, to folder: String, progress: (Int, Int) -> Bool = { _, _ in true }
    ) throws -> (path: String, isNew: Bool)? {
        let path = path(for: file, in: folder)
        guard let folder = try CacheFolder(folder + "/packed") else { return nil }
        defer { folder.leave() }
        if let packed = try? GGUFFile(path: path), isForm(packed, of: file) { return (path, false) }
        try folder.checkRoom(for: file.byteCount, keeping: "a packed model")
        try write(file, to: path, progress: progress)
        return (path, true)
    }

    /// Tells one file from another without reading all of it: its size, when it changed, and 64 samples of its bytes.
    static func fingerprint(_ file: GGUFFile) -> String {
        let (samples, sampleBytes) = (64, 4096)
        var digest = SHA256()
        for part in file.parts {
            let bytes = part.bytes
            withUnsafeBytes(of: (UInt64(bytes.count).littleEndian, Int64(part.modified).littleEndian)) {
                digest.update($0)
            }
            for sample in 0..<samples {
                let start = max(0, bytes.count - sampleBytes) / samples * sample
                digest.update(UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + sampleBytes)]))
            }
        }
        return digest.finish()
    }

    /// Whether bands of a tensor would reach over two of its pieces, which are computed apart: heads of attention, which
    /// are shared out to threads one by one, and the parts of fused matrices.
    static func isCut(_ tensor: GGUFTensor, _ config: ModelConfig) -> Bool {
        let pieces: [Int]
        switch tensor.name.split(separator: ".").dropLast().last {
        case "attn_q", "attn_q_b": pieces = [config.latent?.keyLength ?? config.headLength]
        case "attn_k": pieces = [config.headLength]
        case "attn_v": pieces = [config.valueLength]
        case "attn_qkv": pieces = [config.headLength, config.valueLength]
        case "ffn_up": pieces = [config.feedForwardLength]
        // A multiple of one expert's length is one of all that are shared.
        case "ffn_gate_exps", "ffn_up_exps", "ffn_gate_shexp", "ffn_up_shexp":
            pieces = [config.experts?.feedForwardLength ?? 0]
        case "ffn_down_exps": pieces = [config.embeddingLength]
        case "attn_k_b": pieces = [config.latent?.rank ?? 0]
        case "attn_v_b": pieces = [config.latent?.valueLength ?? 0]
        case "in_proj": pieces = [config.embeddingLength]
        default: pieces = []
        }
        return pieces.contains { $0 % tileRows != 0 }
    }

    private static func format(of tensor: GGUFTensor, _ config: ModelConfig) -> WeightFormat? {
        guard tensor.dimensions.count == 2, !tensor.isInterleaved, tensor.rows % tileRows == 0,
            tensor.type.bytesPerInterleavedBlock != nil, !isCut(tensor, config)
        else { return nil }
        return WeightFormat(rawValue: tensor.type.rawValue)
    }

    /// Why `file` cannot be packed, in words that follow "cannot pack FILE: "; nil when it can.
    public static func obstacle(_ file: GGUFFile) throws(ModelError) -> String? {
        if file.string(sourceKey) != nil { return "it is packed already" }
        let config = try ModelConfig(file)
        guard !file.tensors.contains(where: { format(of: $0, config) != nil }) else { return nil }
        return "none of its weights is of a type that is packed (Q4_0 to Q8_0, Q4_K to Q6_K, IQ4_NL)"
    }

    /// Writes the packed form of `file` to `path`, replacing it only when complete.
    ///
    /// - Parameter progress: called with the bytes of weights done, of how many; false stops.
    /// - Returns: how many tensors were interleaved.
    /// - Throws: `ModelError` when it cannot be packed, `GGUFError` when the file cannot be written.
    @discardableResult
    public static func write(
        _ file: GGUFFile, to path: String, progress: (Int, Int) -> Bool = { _, _ in true }
    ) throws -> Int {
        if let obstacle = try obstacle(file) {
            throw ModelError("cannot pack \(file.path): \(obstacle). Use it as it is")
        }
        let config = try ModelConfig(file)
        var writer = GGUFWriter(metadataOf: file)
        writer.set(sourceKey, .string(fingerprint(file)))
        for tensor in file.tensors {
            try writer.add(
                tensor: tensor.name, tensor.dimensions, tensor.type, isInterleaved: format(of: tensor, config) != nil)
        }
        let total = file.tensors.reduce(0) { $0 + $1.bytes.count }
        var done = 0
        try writer.write(to: path) { (described, output) throws(SystemError) in
            guard let tensor = file.tensor(named: described.name) else { return }
            if let format = format(of: tensor, config) {
                try append(tensor, format, to: output)
            } else {
                try output.append(tensor.bytes)
            }
            done += tensor.bytes.count
            guard progress(done, total) else { throw SystemError("write", path, code: ECANCELED) }
        }
        return writer.tensors.count(where: \.isInterleaved)
    }

    private static func append(
        _ tensor: GGUFTensor, _ format: WeightFormat, to output: ReplacedFile
    ) throws(SystemError) {
        guard let interleave = format.interleave, let base = tensor.bytes.baseAddress else { return }
        let size = format.bandByteCount(columns: tensor.rowLength)
        for band in 0..<(tensor.rows / tileRows) {
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                guard let to = buffer.baseAddress else { return }
                to.initialize(repeating: 0, count: size)
                interleave(base + band * tileRows * tensor.rowByteCount, tensor.rowByteCount, tensor.rowLength, to)
                count = size
            }
            try output.append(bytes)
        }
    }
}
