import GGUF
import Glibc
import Inference
import JSON
import Linux

/// A small random model and what the reference implementation computes with it; `scripts/make-architecture-fixtures`
/// writes them.
///
/// Weights are made from their tensors' names, as there.
public struct ArchitectureFixture {
    public let model: Model
    public let tokens: [Int32]
    /// True logits behind some of the tokens.
    public let logits: [Int: [Float]]
    /// The true embedding, for encoders.
    public let embedding: [Float]

    public static let names = [
        "bert", "bert-cls", "deepseek2", "gemma", "gemma2", "gemma3", "granite", "granitemoe", "lfm2", "llama",
        "llama-3.1", "llama-linear", "mistral", "mixtral", "olmo2", "olmoe", "phi2", "phi3", "phi3-long", "qwen2",
        "qwen2-yarn",
        "qwen3", "qwen3moe", "smollm3", "starcoder2",
    ]

    /// Reads the fixture `name`.json in `folder`, writes its model to /tmp and maps it; the file is gone at once.
    ///
    /// - Parameters:
    ///   - type: of matrices; vectors are floats.
    ///   - changes: keys to set, or to leave out where nil.
    ///   - additions: what is added to the weights of a tensor.
    ///   - stretch: a context beyond the trained one.
    public init(
        _ name: String, folder: String, type: GGMLType = .f32, changes: [String: GGUFValue?] = [:],
        additions: [String: [Float]] = [:], stretch: RopeStretch? = nil
    ) throws {
        let path = "\(folder)/\(name).json"
        let json = try JSONValue(parsing: try bytes(of: path))
        guard let architecture = json["architecture"]?.string, let tokens = json["tokens"]?.integers else {
            throw Missing(description: "\(path) is no fixture")
        }
        self.tokens = tokens.map(Int32.init)
        embedding = json["embedding"]?.floats ?? []
        var logits: [Int: [Float]] = [:]
        for (token, row) in json["logits"]?.members ?? [] { logits[Int(token) ?? -1] = row.floats }
        self.logits = logits
        var writer = GGUFWriter()
        writer.set("general.architecture", .string(architecture))
        for (key, value) in json["metadata"]?.members ?? [] {
            let key = "\(architecture).\(key)"
            if changes.keys.contains(key) { continue }
            writer.set(key, try metadata(value, key))
        }
        for (key, value) in changes { if let value { writer.set(key, value) } }
        for (name, shape) in json["tensors"]?.members ?? [] {
            let shape = shape.integers ?? []
            try writer.add(tensor: name, shape, shape.count > 1 && !name.contains("conv") ? type : .f32)
        }
        let given = json["values"]?.members ?? []
        let folder = try makeTemporaryFolder(prefix: "martlet-architecture-", in: "/tmp")
        let file = folder + "/\(name).gguf"
        defer {
            unlink(file)
            rmdir(folder)
        }
        try writer.write(to: file) { tensor, output throws(SystemError) in
            var values = given.first { $0.key == tensor.name }?.value.floats ?? weights(tensor.name, tensor.dimensions)
            if let addition = additions[tensor.name] { values = zip(values, addition).map(+) }
            try output.append(encoded(values, tensor.type))
        }
        model = try Model(path: file, packedFolder: nil, stretch: stretch)
    }
}

/// An adapter of random weights for some matrices of a model, written to /tmp and mapped; and what it comes to.
public struct AdapterFixture {
    public let adapter: LoRAAdapter
    /// alpha / rank · B A of each matrix (rows, columns).
    public let products: [String: [Float]]

    /// - Parameters:
    ///   - other: a model it is opened for that it was not made for.
    ///   - path: where it stays; nil for a file that is gone at once.
    public init(
        _ model: Model, seed: String, rank: Int, alpha: Float, matrices: [String], type: GGMLType = .f16,
        openFor other: Model? = nil, keptAt path: String? = nil
    ) throws {
        var writer = GGUFWriter()
        writer.set("general.type", .string("adapter"))
        writer.set("adapter.type", .string("lora"))
        writer.set("general.architecture", .string(model.config.architecture))
        writer.set("adapter.lora.alpha", .float32(alpha))
        var products: [String: [Float]] = [:]
        var values: [String: [Float]] = [:]
        for name in matrices {
            guard let base = model.file.tensor(named: name) else { throw Missing(description: "no tensor \(name)") }
            let (columns, rows) = (base.dimensions[0], base.rows)
            // Rounded to halves, so that the file holds just these.
            let a = weights(name + seed + "a", [columns, rank]).map { Float(Float16($0)) }
            let b = weights(name + seed + "b", [rank, rows]).map { Float(Float16($0 * 0.25)) }
            try writer.add(tensor: name + ".lora_a", [columns, rank], type)
            try writer.add(tensor: name + ".lora_b", [rank, rows], type)
            (values[name + ".lora_a"], values[name + ".lora_b"]) = (a, b)
            products[name] = product(b, a, rows: rows, rank: rank, columns: columns, scale: alpha / Float(rank))
        }
        let folder = try path == nil ? makeTemporaryFolder(prefix: "martlet-adapter-", in: "/tmp") : nil
        let file = path ?? "\(folder ?? "")/adapter.gguf"
        defer {
            if let folder {
                unlink(file)
                rmdir(folder)
            }
        }
        try writer.write(to: file) { tensor, output throws(SystemError) in
            try output.append(encoded(values[tensor.name] ?? [], tensor.type))
        }
        adapter = try LoRAAdapter(path: file, for: other ?? model)
        self.products = products
    }
}

/// scale · B (rows, rank) × A (rank, columns)
private func product(
    _ b: [Float], _ a: [Float], rows: Int, rank: Int, columns: Int, scale: Float
) -> [Float] {
    var result = [Float](repeating: 0, count: rows * columns)
    for row in 0..<rows {
        for r in 0..<rank {
            let factor: Float = scale * b[row * rank + r]
            for column in 0..<columns { result[row * columns + column] += factor * a[r * columns + column] }
        }
    }
    return result
}

private func metadata(_ value: JSONValue, _ key: String) throws -> GGUFValue {
    switch value {
    case .string(let text): return .string(text)
    case .bool(let bool): return .bool(bool)
    case .array: return .int32s((value.integers ?? []).map(Int32.init))
    case .number(let number):
        if let integer = number.integer { return .uint32(UInt32(integer)) }
        return .float32(Float(number.double))
    default: throw Missing(description: "\(key) is of no kind that metadata has")
    }
}

private func encoded(_ values: [Float], _ type: GGMLType) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * 4)
    for value in values {
        if type == .f16 {
            withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { bytes += $0 }
        } else {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
        }
    }
    return bytes
}

/// What the script's `Fixture.tensor` makes.
private func weights(_ name: String, _ dimensions: [Int]) -> [Float] {
    var state: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in name.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
    let scale = 2 / Float(dimensions[0]).squareRoot()
    let isNorm = name.contains("norm") && name.hasSuffix(".weight")
    return (0..<dimensions.reduce(1, *)).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let value = Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
        if name.hasPrefix("rope_") { return 1 + abs(value) * 3 }
        if isNorm { return 1 + value * 0.25 }
        return name.hasSuffix(".bias") ? value * 0.25 : value * scale
    }
}

private func bytes(of path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else { throw Missing(description: "no fixture at \(path)") }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes.prefix(count))
}

extension JSONValue {
    fileprivate var members: [JSONObject.Member] { object.map(Array.init) ?? [] }
    fileprivate var integers: [Int]? { array?.compactMap(\.integer) }
    fileprivate var floats: [Float] { array?.compactMap { $0.double.map { Float($0) } } ?? [] }
}
