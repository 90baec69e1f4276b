import GGUF
import Glibc
import TestSupport
import Testing

@testable import Import

@Suite struct ImportTests {
    @Test func `A llama becomes GGUF's llama, with rotated pairs as neighbours`() throws {
        var checkpoint = try TestCheckpoint.llama()
        checkpoint.remove("model.layers.0.self_attn.q_proj.weight")
        checkpoint.add("model.layers.0.self_attn.q_proj.weight", [32, 32], (0..<1024).map { Float($0 / 32) })
        try checkpoint.save()
        let file = try checkpoint.imported()
        #expect(file.string("general.architecture") == "llama" && file.integer("llama.block_count") == 1)
        #expect(file.integer("llama.rope.dimension_count") == 32 && file.integer("general.file_type") == 1)
        let weights = file.weights("blk.0.attn_q.weight")
        let order = (0..<32).map { row in row % 2 * 16 + row / 2 }
        #expect((0..<32).map { Int(weights[32 * $0]) } == order)
        #expect(file.tensor(named: "blk.0.attn_norm.weight")?.type == .f32)
        #expect(file.tensors.count == 11 && file.tensor(named: "output.weight") == nil)
    }

    @Test func `A model in several files is the same model`() throws {
        let checkpoint = try TestCheckpoint.llama()
        let one = try checkpoint.imported()
        let split = try TestCheckpoint.llama()
        unlink(split.folder.path("model.safetensors"))
        try split.save(files: 3)
        let several = try split.imported()
        #expect(one.tensors.map(\.name) == several.tensors.map(\.name))
        #expect(one.weights("blk.0.ffn_down.weight") == several.weights("blk.0.ffn_down.weight"))
        unlink(split.folder.path("model-1.safetensors"))
        #expect(split.refusal().contains("'model-1.safetensors' is missing"))
    }

    @Test func `Gemma's norms are stored less 1, and the embedding stays at 8 bits`() throws {
        var checkpoint = try TestCheckpoint.llama()
        let names = ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for name in names { checkpoint.add("model.layers.0.\(name).weight", [32], [Float](repeating: 0.25, count: 32)) }
        try checkpoint.save()
        try checkpoint.folder.write(
            """
            {"architectures":["Gemma2ForCausalLM"],"hidden_size":32,"intermediate_size":32,"num_hidden_layers":1,
             "num_attention_heads":1,"num_key_value_heads":1,"head_dim":32,"query_pre_attn_scalar":16,"sliding_window":8}
            """, to: "config.json")
        let file = try checkpoint.imported(.q4_0)
        #expect(file.weights("blk.0.ffn_norm.weight").allSatisfy { $0 == 1.25 })
        #expect(file.float("gemma2.attention.scale") == 0.25 && file.integer("gemma2.attention.sliding_window") == 8)
        #expect(file.tensor(named: "token_embd.weight")?.type == .q8_0)
        #expect(file.tensor(named: "blk.0.attn_q.weight")?.type == .q4_0)
    }

    @Test func `A byte-level vocabulary keeps its ids, merges and added tokens`() throws {
        let file = try TestCheckpoint.llama().imported()
        #expect(file.texts("tokenizer.ggml.tokens") == ["<s>", "a", "b", "Ġ", "ab", "Ġab", "<tool>", "[PAD7]"])
        #expect(file.integers("tokenizer.ggml.token_type") == [3, 1, 1, 1, 1, 1, 4, 5])
        #expect(file.texts("tokenizer.ggml.merges") == ["a b", "Ġ ab"])
        #expect(file.string("tokenizer.ggml.pre") == "gpt-2")
    }

    @Test func `SentencePiece without its file is scored by the order of merges`() throws {
        let checkpoint = try TestCheckpoint.llama()
        try checkpoint.folder.write(
            """
            {"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true}],
             "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"}]},
             "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]},
             "model":{"type":"BPE","byte_fallback":true,"unk_token":"<unk>",
              "vocab":{"<unk>":0,"<s>":1,"<0x0A>":2,"▁":3,"a":4,"b":5,"▁ab":6,"ab":7},"merges":["a b","▁ ab"]}}
            """, to: "tokenizer.json")
        try checkpoint.folder.write(#"{"bos_token":"<s>","chat_template":"{{x}}"}"#, to: "tokenizer_config.json")
        let file = try checkpoint.imported()
        #expect(file.string("tokenizer.ggml.model") == "llama")
        #expect(file.integers("tokenizer.ggml.token_type") == [2, 3, 6, 1, 1, 1, 1, 1])
        let scores = try #require(file.floats("tokenizer.ggml.scores"))
        #expect(scores[7] == 0 && scores[6] == -1 && scores[4] < -1)
        #expect(
            file.bool("tokenizer.ggml.add_space_prefix") == true && file.bool("tokenizer.ggml.add_bos_token") == true)
        #expect(file.integer("tokenizer.ggml.bos_token_id") == 1 && file.string("tokenizer.chat_template") == "{{x}}")
    }

    @Test func `tokenizer.model gives the true scores`() throws {
        let checkpoint = try TestCheckpoint.llama()
        unlink(checkpoint.folder.path("tokenizer.json"))
        func piece(_ text: String, _ score: Float, _ kind: UInt8) -> [UInt8] {
            let bits = (0..<4).map { UInt8(truncatingIfNeeded: score.bitPattern >> (8 * UInt32($0))) }
            let message = [0x0A, UInt8(text.utf8.count)] + Array(text.utf8) + [0x15] + bits + [0x18, kind]
            return [0x0A, UInt8(message.count)] + message
        }
        let bytes =
            piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("▁a", -2.5, 1) + [0x12, 2, 0x18, 2] + [0x1A, 2, 0x18, 0]
        try checkpoint.folder.write(bytes, to: "tokenizer.model")
        let file = try checkpoint.imported()
        #expect(file.floats("tokenizer.ggml.scores")?[2] == -2.5)
        #expect(file.integers("tokenizer.ggml.token_type")?.prefix(3) == [2, 3, 1])
        #expect(file.bool("tokenizer.ggml.add_space_prefix") == false)
        try checkpoint.folder.write(Array(bytes.dropLast(3)), to: "tokenizer.model")
        #expect(checkpoint.refusal().contains("tokenizer.model is no SentencePiece model"))
        for trainer in [[], [0x12, 2, 0x18, 1]] as [[UInt8]] {
            try checkpoint.folder.write(Array(bytes.dropLast(8)) + trainer, to: "tokenizer.model")
            #expect(checkpoint.refusal().contains("tokenizer.model is a unigram model"))
        }
        try checkpoint.folder.write(bytes, to: "tokenizer.model")
        try checkpoint.folder.write(
            #"{"added_tokens":[{"id":-1,"content":"x"}],"model":{"type":"BPE","byte_fallback":true}}"#,
            to: "tokenizer.json")
        #expect(checkpoint.refusal().contains("tokenizer.json has an unusable token id"))
    }

    @Test(
        arguments: [
            ("{}", nil, true), (#"{"do_lower_case":false}"#, nil, false), ("{}", true, true), ("{}", false, false),
        ] as [(String, Bool?, Bool)])
    func `A cased BERT stays cased`(settings: String, normalizer: Bool?, expected: Bool) throws {
        var checkpoint = try TestCheckpoint()
        checkpoint.add("embeddings.word_embeddings.weight", [8, 32])
        checkpoint.add("encoder.layer.0.attention.self.query.weight", [32, 32])
        try checkpoint.save()
        try checkpoint.folder.write(
            #"{"architectures":["BertModel"],"hidden_size":32,"num_hidden_layers":1,"num_attention_heads":1}"#,
            to: "config.json")
        try checkpoint.folder.write(settings, to: "tokenizer_config.json")
        try checkpoint.folder.write("[PAD]\n[UNK]\nWord\n##s\n", to: "vocab.txt")
        if let normalizer {
            let vocabulary = #"{"type":"WordPiece","vocab":{"[PAD]":0,"[UNK]":1,"Word":2,"piece":3}}"#
            try checkpoint.folder.write(
                #"{"normalizer":{"type":"BertNormalizer","lowercase":\#(normalizer)},"model":\#(vocabulary)}"#,
                to: "tokenizer.json")
        }
        #expect(try checkpoint.imported().bool("tokenizer.ggml.normalizer.lowercase") == expected)
    }

    @Test func `An embedding that cannot be this model's is refused`() throws {
        var checkpoint = try TestCheckpoint.llama()
        checkpoint.remove("model.embed_tokens.weight")
        checkpoint.add("model.embed_tokens.weight", [8, 64])
        try checkpoint.save()
        #expect(checkpoint.refusal().contains("its token embedding is 64 wide, hidden_size in config.json is 32"))
        checkpoint = try TestCheckpoint.llama()
        let rows = TokenList.largest + 1
        let config = try HFConfig(ModelFolder(path: checkpoint.path))
        var writer = GGUFWriter()
        let vocabulary = VocabularyImport(
            folder: try ModelFolder(path: checkpoint.path), config: config, architecture: .llama, rows: rows,
            preTokenizer: nil)
        let error = #expect(throws: ImportError.self) { try vocabulary.write(to: &writer) }
        #expect(error?.description.contains("its token embedding has \(rows) rows") == true)
    }

    @Test func `A README of any size is no obstacle`() throws {
        let checkpoint = try TestCheckpoint.llama()
        try checkpoint.folder.write("---\nlicense: mit\n---\n", to: "README.md")
        #expect(try checkpoint.imported().string("general.license") == "mit")
        try checkpoint.folder.write([UInt8](repeating: 0x2D, count: 4 << 20 | 1), to: "README.md")
        #expect(try checkpoint.imported().string("general.license") == nil)
    }

    /// A vowel sign joins the # before it into one character, but not into one token.
    @Test func `Pieces of words are told by their bytes`() throws {
        #expect("##ा".begins("##") && "##ा".dropping(2) == "ा")
        #expect(!"é".same("e\u{301}"))
    }

    @Test(arguments: [
        (#","num_hidden_layers":0"#, "no usable num_hidden_layers"),
        (#","hidden_size":99999999999"#, "no usable hidden_size"),
        (#","num_attention_heads":-1"#, "no usable num_attention_heads"),
        (#","rope_scaling":{"rope_type":"odd"}"#, "its positions are scaled as 'odd'"),
        (#","quantization_config":{"quant_method":"awq","bits":4}"#, "quantised by 'awq' with 4 bits"),
        (#","num_hidden_layers":2"#, "lacks layer 1"),
        (#","architectures":["OtherForCausalLM"]"#, "its model is 'OtherForCausalLM'"),
    ])
    func `A configuration that cannot be is refused`(more: String, reason: String) throws {
        let refusal = try TestCheckpoint.llama(more).refusal()
        #expect(refusal.contains(reason), "\(refusal)")
    }

    @Test func `What would be lost or is damaged is refused`() throws {
        var extra = try TestCheckpoint.llama()
        extra.add("model.layers.0.self_attn.sinks", [4])
        try extra.save()
        #expect(
            extra.refusal().contains("tensor 'model.layers.0.self_attn.sinks' has no place in the architecture llama"))
        var infinite = try TestCheckpoint.llama()
        infinite.remove("model.layers.0.mlp.up_proj.weight")
        infinite.add("model.layers.0.mlp.up_proj.weight", [32, 32], [Float](repeating: .infinity, count: 1024))
        try infinite.save()
        #expect(infinite.refusal().contains("tensor blk.0.ffn_up.weight holds weights that are no numbers"))
        #expect(!infinite.folder.names.contains { $0.hasSuffix(".part") || $0 == "out.gguf" })
        let empty = try TestCheckpoint.llama()
        unlink(empty.folder.path("model.safetensors"))
        #expect(empty.refusal().contains("it holds no .safetensors file"))
        try empty.save()
        unlink(empty.folder.path("tokenizer.json"))
        #expect(empty.refusal().contains("it has no tokenizer.json and no tokenizer.model"))
    }

    @Test func `A pre-tokenizer that is not known can be named`() throws {
        let checkpoint = try TestCheckpoint.llama()
        let odd = TestCheckpoint.byteLevel.replacing(#"{"type":"ByteLevel"}"#, with: #"{"type":"Whitespace"}"#)
        try checkpoint.folder.write(odd, to: "tokenizer.json")
        #expect(checkpoint.refusal().contains("its pre-tokenizer (Whitespace) is not known"))
        let importer = try Importer(folder: checkpoint.path, format: .f16, preTokenizer: "smollm")
        try importer.write(to: checkpoint.output, threads: 1)
        #expect(try GGUFFile(path: checkpoint.output).string("tokenizer.ggml.pre") == "smollm")
    }

    /// Coverage by chance: tokenizers and configurations with bytes changed end in a file or in one sentence.
    @Test func `Damage anywhere never crashes`() throws {
        let checkpoint = try TestCheckpoint.llama()
        let files = ["config.json", "tokenizer.json", "model.safetensors"].map { ($0, checkpoint.folder.bytes($0)) }
        var state: UInt64 = 5
        for round in 0..<600 {
            let (name, whole) = files[round % files.count]
            var bytes = whole
            for _ in 0..<2 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                // The header, where safetensors can be damaged at all.
                bytes[Int(state >> 33) % min(bytes.count, 1200)] = UInt8(truncatingIfNeeded: state >> 56)
            }
            try checkpoint.folder.write(bytes, to: name)
            _ = checkpoint.refusal()
            try checkpoint.folder.write(whole, to: name)
        }
        #expect(checkpoint.refusal().isEmpty)
    }
}
