import GGUF
import Import
import Inference
import Linux
import Safetensors
import TestModels
import Tokenizers

extension FuzzTarget {
    /// Zeros behind the input of a model file: weights of the fixtures lie there, so that mutations meet the directory
    /// and not the weights.
    private static let weights = 1 << 20

    /// A model file: directory, metadata, shape, tokenizer, chat template, and a pass through the model.
    static let gguf = FuzzTarget(name: "gguf", longest: 1 << 14) { fixtures in
        try ArchitectureFixture.names.map { name in
            let file = try ArchitectureFixture(name, folder: "\(fixtures)/architectures", type: .f16).model.file
            return Array(file.mapped.bytes.prefix(file.dataOffset))
        } + [try tinyModel().prefix]
    } make: {
        let folder = try ScratchFolder()
        return { input in
            folder.write("file", input, zeros: weights)
            readModel(folder.file)
            // As it is, its tensors lie outside.
            folder.write("file", input)
            _ = try? GGUFFile(path: folder.file)
        }
    }

    /// A model in two files: a length, the first, the second.
    static let split = FuzzTarget(name: "split", longest: 1 << 14) { _ in
        let whole = try tinyModel()
        return try (0...2).map { order in
            let files = try [0, 1].map { number in
                var writer = GGUFWriter()
                if number == 0 { for (key, value) in whole.metadata { writer.set(key, value) } }
                writer.set("split.no", .uint16(UInt16(number)))
                writer.set("split.count", .uint16(2))
                writer.set("split.tensors.count", .int32(Int32(whole.tensors.count)))
                for (index, tensor) in whole.tensors.enumerated() where index % 2 == (number + order) % 2 {
                    try writer.add(tensor: tensor.name, tensor.dimensions, tensor.dimensions.count > 1 ? .f16 : .f32)
                }
                return writer.header()
            }
            return [UInt8(files[0].count & 0xFF), UInt8(files[0].count >> 8)] + files[0] + files[1]
        }
    } make: {
        let folder = try ScratchFolder()
        return { input in
            guard input.count > 2 else { return }
            let rest = input.dropFirst(2)
            let count = Int(input[0]) | Int(input[1]) << 8
            folder.write("m-00001-of-00002.gguf", Array(rest.prefix(count)), zeros: 1 << 17)
            folder.write("m-00002-of-00002.gguf", Array(rest.dropFirst(count)), zeros: 1 << 17)
            readModel("\(folder.path)/m-0000\(count % 2 + 1)-of-00002.gguf")
        }
    }

    /// An adapter of a small model, in use.
    static let lora = FuzzTarget(name: "lora", longest: 1 << 12) { _ in
        let model = try TinyModel().model
        let matrices = [
            ["blk.0.attn_q.weight"], ["blk.1.ffn_down.weight", "blk.1.ffn_gate.weight"],
            ["blk.0.attn_v.weight", "blk.0.attn_output.weight", "blk.1.attn_k.weight"],
        ]
        return try matrices.enumerated().map { index, names in
            let type: GGMLType = index == 1 ? .f32 : .f16
            let file = try AdapterFixture(
                model, seed: "1", rank: 3 + index, alpha: 8, matrices: names, type: type
            ).adapter.file
            return Array(file.mapped.bytes.prefix(file.dataOffset))
        }
    } make: {
        let tiny = try TinyModel()
        let folder = try ScratchFolder()
        let session = try Session(model: tiny.model, context: 16, threads: 1, batch: 4)
        return { input in
            folder.write("file", input, zeros: 1 << 16)
            // Twice: adapters stand beside each other.
            for names in [["\(folder.file)=0.5"], [folder.file, "\(folder.file)=-2"]] {
                guard let adapters = try? tiny.model.adapters(names) else { return }
                session.use(adapters)
                session.truncate(to: 0)
                guard (try? session.evaluate([0, 1, 2])) != nil else { return require(false, "adapters only add") }
                require(session.logits().count == tiny.model.vocabularyCount, "as many logits as tokens")
            }
        }
    }

    /// The weights of a GPTQ checkpoint, alone and through the importer.
    static let safetensors = FuzzTarget(name: "safetensors", longest: 80_000) { _ in
        let whole = [true, false].map(gptqCheckpoint)
        // The header alone too: its data are then missing, or zeros.
        let headers = whole.map { file -> [UInt8] in
            let count: Int = Int(file[0]) | Int(file[1]) << 8
            return Array(file.prefix(8 + count))
        }
        return (whole + headers).filter { $0.count <= 80_000 }
    } make: {
        let folder = try ScratchFolder()
        folder.write("config.json", Array(gptqConfig.utf8))
        folder.write("tokenizer.json", Array(#"{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}"#.utf8))
        return { input in
            for zeros in [0, 74_000] {
                folder.write("model.safetensors", input, zeros: zeros)
                guard let opened = try? SafetensorsFile(path: "\(folder.path)/model.safetensors") else { continue }
                for tensor in opened.tensors {
                    let bytes = tensor.bytes
                    require(bytes.count <= opened.mapped.bytes.count, "\(tensor.name) lies outside")
                    _ = bytes.first.map { Int($0) + Int(bytes[bytes.endIndex - 1]) }
                }
                guard let importer = try? Importer(folder: folder.path, format: .q8_0) else { continue }
                require(importer.weightCount < 1 << 24, "no more weights than the file can have")
                try? importer.write(to: folder.new("out.gguf"), threads: 1)
            }
        }
    }
}

/// What `TestModels` makes, taken apart.
private func tinyModel() throws -> (prefix: [UInt8], metadata: [(String, GGUFValue)], tensors: [GGUFTensor]) {
    let tiny = try TinyModel()
    let file = tiny.model.file
    let prefix = Array(file.mapped.bytes.prefix(file.dataOffset))
    let shape: [(String, GGUFValue)] = file.keys.compactMap { key in
        if let text = file.string(key) { return (key, .string(text)) }
        if key.hasSuffix("epsilon") { return (key, .float32(1e-5)) }
        return file.integer(key).map { (key, .uint32(UInt32(clamping: $0))) }
    }
    return (prefix, shape, file.tensors)
}

/// All that the daemon does with a model file before and while it answers.
private func readModel(_ path: String) {
    guard let file = try? GGUFFile(path: path) else { return }
    for tensor in file.tensors { require(tensor.bytes.count <= file.byteCount, "\(tensor.name) lies outside") }
    for key in file.keys { _ = file.string(key).map(\.utf8.count) }
    if let tokenizer = try? Tokenizer(file) { readTexts(tokenizer, ChatTemplate.detect(in: file), hostileText) }
    guard let model = try? Model(path: path, packedFolder: nil) else { return }
    _ = model.firstUnusableTensor()
    let context = min(16, model.config.contextLength)
    // As `ModelRunner` and the commands: a model that does not fit is refused before memory is taken for it.
    guard context > 0, model.memoryNeed(context: context, batch: 4, threads: 1).total < 48 << 20 else { return }
    guard let session = try? Session(model: model, context: context, threads: 1, batch: 4) else { return }
    let last = Int32(clamping: model.vocabularyCount - 1)
    if model.config.plan.isCausal {
        guard (try? session.evaluate([0, last, min(1, last)])) != nil else { return }
        require(session.logits().count == model.vocabularyCount, "as many logits as tokens")
    } else {
        _ = try? session.embedding(of: [0, last])
    }
}

/// Markup, broken characters' replacements, digits, blanks, scripts: one of each that pre-tokenizers tell apart.
let hostileText =
    "The freezer's door IS open: -4.5 °C!\r\n\n  <|im_start|>user\t日本語 ﬁ e\u{301} 👩‍👩‍👧 123456 \u{FFFD}\u{0}▁▁ ##x"

/// A text through a tokenizer and its chat template and back.
func readTexts(_ tokenizer: Tokenizer, _ template: ChatTemplate, _ text: String) {
    for markup in [false, true] {
        let tokens = tokenizer.encode(text, addSpecial: true, parseSpecial: markup)
        require(tokens.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularyCount }, "tokens are in the vocabulary")
        _ = tokenizer.decode(tokens, special: markup)
    }
    let messages = [ChatMessage(.system, "Be brief."), ChatMessage(.user, text)]
    let segments = template.segments(messages, addGenerationPrompt: true, now: Timestamp(milliseconds: 0))
    _ = tokenizer.encode(segments, addSpecial: true)
}

/// A small checkpoint of GPTQ: all matrices of a layer with their groups' order, or one without.
private func gptqCheckpoint(isWhole: Bool) -> [UInt8] {
    let (width, group) = (128, 32)
    let attention = ["q", "k", "v", "o"].map { "self_attn.\($0)_proj" }
    let modules = isWhole ? attention + ["gate", "up", "down"].map { "mlp.\($0)_proj" } : ["self_attn.v_proj"]
    var entries: [String] = []
    var data: [UInt8] = []
    func add(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8]) {
        let sizes = shape.map(String.init).joined(separator: ",")
        let (start, end) = (data.count, data.count + bytes.count)
        entries.append(#""\#(name)":{"dtype":"\#(type)","shape":[\#(sizes)],"data_offsets":[\#(start),\#(end)]}"#)
        data += bytes
    }
    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ data.count) } }
    func halves(_ count: Int) -> [UInt8] { (0..<count * 2).map { $0 % 2 == 0 ? UInt8($0 & 0xFE) : 0x24 } }
    add("model.embed_tokens.weight", "F16", [32, width], halves(32 * width))
    if isWhole { add("model.norm.weight", "F16", [width], halves(width)) }
    for module in modules {
        let (name, groups) = ("model.layers.0.\(module)", width / group)
        add("\(name).qweight", "I32", [width / 8, width], bytes(width * width / 2))
        add("\(name).qzeros", "I32", [groups, width / 8], bytes(groups * width / 2))
        add("\(name).scales", "F16", [groups, width], halves(groups * width))
        let order: [UInt8] = (0..<width).flatMap { input -> [UInt8] in [UInt8(input / group), 0, 0, 0] }
        if isWhole { add("\(name).g_idx", "I32", [width], order) }
    }
    let header = "{\(entries.joined(separator: ","))}"
    return (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) } + Array(header.utf8) + data
}

/// Of these checkpoints.
private let gptqConfig = """
    {"architectures": ["LlamaForCausalLM"], "hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 64, "rms_norm_eps": 1e-05,
    "vocab_size": 32, "tie_word_embeddings": true,
    "quantization_config": {"bits": 4, "quant_method": "gptq", "sym": false, "desc_act": true}}
    """
