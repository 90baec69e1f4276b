import GGUF
import Kernels
import TestSupport

@testable import Import

/// A Hugging Face folder made in a test.
struct TestCheckpoint {
    struct Tensor {
        let name: String
        /// As safetensors writes it, for example F32.
        let dtype: String
        let shape: [Int]
        let bytes: [UInt8]
    }

    let folder: TemporaryFolder
    private(set) var tensors: [Tensor] = []

    init() throws { folder = try TemporaryFolder(inMemory: true) }

    var path: String { folder.root }
    var output: String { folder.path("out.gguf") }

    mutating func add(_ name: String, _ shape: [Int], _ values: [Float]? = nil) {
        let values = values ?? Self.pattern(shape.reduce(1, *), tensors.count)
        add(name, "F32", shape, values.map(\.bitPattern))
    }

    /// A tensor of the bits of its elements.
    mutating func add(_ name: String, _ dtype: String, _ shape: [Int], _ words: [some FixedWidthInteger]) {
        let bytes = words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
        tensors.append(Tensor(name: name, dtype: dtype, shape: shape, bytes: bytes))
    }

    private static func pattern(_ count: Int, _ seed: Int) -> [Float] {
        (0..<count).map { index in
            let step = (index * 37 + seed * 11) % 101
            return Float(step - 50) / 64
        }
    }

    mutating func remove(_ name: String) { tensors.removeAll { $0.name == name } }

    /// Writes the weights to one file, or shares them out to `files` with an index.
    func save(files: Int = 1) throws {
        guard files > 1 else { return try folder.write(Self.safetensors(tensors), to: "model.safetensors") }
        var map: [String] = []
        for file in 0..<files {
            let mine = tensors.enumerated().filter { $0.offset % files == file }.map(\.element)
            try folder.write(Self.safetensors(mine), to: "model-\(file).safetensors")
            map += mine.map { "\"\($0.name)\":\"model-\(file).safetensors\"" }
        }
        try folder.write("{\"weight_map\":{\(map.joined(separator: ","))}}", to: "model.safetensors.index.json")
    }

    private static func safetensors(_ tensors: [Tensor]) -> [UInt8] {
        var entries: [String] = []
        var data: [UInt8] = []
        for tensor in tensors {
            let start = data.count
            data += tensor.bytes
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            let place = "\"shape\":[\(shape)],\"data_offsets\":[\(start),\(data.count)]"
            entries.append("\"\(tensor.name)\":{\"dtype\":\"\(tensor.dtype)\",\(place)}")
        }
        let header = "{\(entries.joined(separator: ","))}"
        return (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) } + Array(header.utf8) + data
    }

    /// A model of one layer: width 32, one head of 32, 32 hidden units, 8 tokens.
    static func llama(_ more: String = "") throws -> TestCheckpoint {
        var checkpoint = try TestCheckpoint()
        checkpoint.add("model.embed_tokens.weight", [8, 32])
        checkpoint.add("model.norm.weight", [32])
        let layer = "model.layers.0."
        for name in ["input_layernorm", "post_attention_layernorm"] { checkpoint.add("\(layer)\(name).weight", [32]) }
        for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"] {
            checkpoint.add("\(layer)\(name).weight", [32, 32])
        }
        for name in ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"] {
            checkpoint.add("\(layer)\(name).weight", [32, 32])
        }
        try checkpoint.folder.write(
            """
            {"architectures":["LlamaForCausalLM"],"hidden_size":32,"intermediate_size":32,"num_hidden_layers":1,
             "num_attention_heads":1,"num_key_value_heads":1,"max_position_embeddings":64,"rms_norm_eps":1e-5,
             "vocab_size":8,"rope_theta":10000.0\(more)}
            """, to: "config.json")
        try checkpoint.folder.write(byteLevel, to: "tokenizer.json")
        try checkpoint.save()
        return checkpoint
    }

    static let byteLevel = """
        {"added_tokens":[{"id":0,"content":"<s>","special":true},{"id":6,"content":"<tool>","special":false}],
         "pre_tokenizer":{"type":"ByteLevel"},
         "model":{"type":"BPE","vocab":{"<s>":0,"a":1,"b":2,"Ġ":3,"ab":4,"Ġab":5},"merges":["a b",["Ġ","ab"]]}}
        """

    func imported(_ format: Importer.Format = .f16) throws -> GGUFFile {
        try Importer(folder: path, format: format).write(to: output, threads: 2)
        return try GGUFFile(path: output)
    }

    /// The sentence with which it is refused; empty when it is not.
    func refusal() -> String {
        do {
            _ = try imported()
            return ""
        } catch {
            return "\(error)"
        }
    }
}

extension GGUFFile {
    func texts(_ key: String) -> [String] {
        guard let strings = strings(key) else { return [] }
        return strings.indices.map { strings.text($0) }
    }

    /// A tensor's weights, as the kernels read them.
    func weights(_ name: String) -> [Float] {
        guard let tensor = tensor(named: name), let base = tensor.bytes.baseAddress,
            let format = WeightFormat(rawValue: tensor.type.rawValue)
        else { return [] }
        return (0..<tensor.rows).flatMap { row in
            [Float](unsafeUninitializedCapacity: tensor.rowLength) { buffer, count in
                guard let start = buffer.baseAddress else { return }
                format.dequantize(.consecutive)(base, tensor.rowByteCount, row, tensor.rowLength, start)
                count = tensor.rowLength
            }
        }
    }
}
