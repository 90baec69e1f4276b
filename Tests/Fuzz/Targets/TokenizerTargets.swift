import GGUF
import Tokenizers

@testable import Import

extension FuzzTarget {
    /// The vocabulary of a GGUF file and a text for it: kind, tokens, merges, text. The kind begins with the model's
    /// name; tokens stand one a line, and in each the first letter is its type, the second its score.
    static let vocabulary = FuzzTarget(name: "vocabulary", longest: 1 << 13) { _ in
        let bytes = (33...126).map { "1a\(Character(Unicode.Scalar(UInt8($0))))" }.joined(separator: "\n")
        let pairs = bytes + "\n3a<|im_start|>\n3a<|im_end|>\n1aĠa\n1aing\n1ain\n1aer\n4a user"
        let spaced = "2a<unk>\n3a<s>\n3a</s>\n6a<0x0A>\n6a<0xE2>\n6a<0x96>\n1z▁\n1g▁the\n1ht\n1jh\n1ke\n1fthe\n1m▁▁"
        let words = "3a[PAD]\n3a[UNK]\n3a[CLS]\n3a[SEP]\n1a▁the\n1a▁door\n1as\n1aing\n1a▁is\n1a▁4\n1a.\n1a▁日"
        let preTokenizers = ["default", "smollm", "llama-bpe", "qwen2", "gpt-2", "starcoder", "deepseek-llm", "olmo"]
        return preTokenizers.map {
            joined([
                Array("gpt2 \($0)".utf8), Array(pairs.utf8), Array("Ġ a\ni n\nin g\ne r".utf8),
                Array(" an idea in\n\n  the 12345".utf8),
            ])
        } + [
            joined([Array("llama default".utf8), Array(spaced.utf8), [], Array("the  the\n t<s>hé".utf8)]),
            joined([Array("bert jina-v2-en".utf8), Array(words.utf8), [], Array("The doors is 日本 ING.".utf8)]),
        ]
    } make: {
        let folder = try ScratchFolder()
        return { input in
            let parts = parts(input, most: 4)
            guard parts.count == 4 else { return }
            folder.write("file", vocabularyFile(parts[0], tokens: parts[1], merges: parts[2]))
            guard let opened = try? GGUFFile(path: folder.file), let tokenizer = try? Tokenizer(opened) else { return }
            let template = ChatTemplate.detect(in: opened)
            readTexts(tokenizer, template, text(parts[3]))
            let tokens = tokenizer.encode(bytes: parts[3], addSpecial: false, parseSpecial: false)
            require(tokens.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularyCount }, "tokens are in the vocabulary")
        }
    }

    /// tokenizer.json, tokenizer_config.json, config.json and tokenizer.model as the importer reads them, to a tokenizer.
    static let tokenizer = FuzzTarget(name: "tokenizer", longest: 1 << 14) { fixtures in
        let folder = "\(fixtures)/import/gptq"
        let given = try ["tokenizer.json", "tokenizer_config.json", "config.json"].map {
            try contents("\(folder)/\($0)")
        }
        let model: [UInt8] = [0x0A, 0x0E, 0x0A, 5] + Array("<unk>".utf8) + [0x15, 0, 0, 0, 0, 0x18, 2]
        let words =
            ###"{"model":{"type":"WordPiece","vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"##s":3,"door":4}},"###
            + #""normalizer":{"type":"BertNormalizer","lowercase":true}}"#
        let pieces =
            #"{"model":{"type":"BPE","byte_fallback":true,"vocab":{"<unk>":0,"<0x0A>":1,"▁a":2,"a":3,"▁":4},"#
            + #""merges":[["▁","a"]]},"added_tokens":[{"id":5,"content":"<s>","special":true}]}"#
        let settings = Array(
            #"{"bos_token":{"content":"<s>"},"add_bos_token":true,"chat_template":"{{ messages[0].content }}"}"#.utf8)
        let bert = Array(#"{"model_type":"bert","vocab_size":5,"hidden_size":8}"#.utf8)
        return [
            joined(given), joined([given[0], settings, given[2]]), joined([Array(words.utf8), settings, bert]),
            joined([Array(pieces.utf8), settings, given[2]]), joined([[], settings, given[2], model]),
        ]
    } make: {
        let folder = try ScratchFolder()
        return { input in
            let parts = parts(input, most: 4)
            for (index, name) in ["tokenizer.json", "tokenizer_config.json", "config.json", "tokenizer.model"]
                .enumerated()
            {
                folder.write(name, parts.indices.contains(index) && !parts[index].isEmpty ? parts[index] : nil)
            }
            guard let bytes = try? importedVocabulary(folder.path) else { return }
            folder.write("file", bytes)
            guard let opened = try? GGUFFile(path: folder.file) else {
                return require(false, "the importer's file opens")
            }
            guard let tokenizer = try? Tokenizer(opened) else { return }
            readTexts(tokenizer, ChatTemplate.detect(in: opened), hostileText)
        }
    }
}

/// The header of a model file that has a vocabulary and nothing else.
private func vocabularyFile(_ kind: [UInt8], tokens: [UInt8], merges: [UInt8]) -> [UInt8] {
    func lines(_ bytes: [UInt8]) -> [[UInt8]] {
        bytes.split(separator: 10, omittingEmptySubsequences: false).map(Array.init)
    }
    let names = kind.split(separator: 32, maxSplits: 2, omittingEmptySubsequences: false).map { text($0) }
    let tokens = lines(tokens)
    var writer = GGUFWriter()
    writer.set("general.architecture", .string("llama"))
    writer.set("tokenizer.ggml.model", .string(names[0]))
    if names.count > 1 { writer.set("tokenizer.ggml.pre", .string(names[1])) }
    writer.set("tokenizer.ggml.tokens", .strings(tokens.map { text($0.dropFirst(2)) }))
    writer.set("tokenizer.ggml.token_type", .int32s(tokens.map { Int32($0.first ?? 49) - 48 }))
    writer.set("tokenizer.ggml.scores", .floats(tokens.map { 97 - Float($0.dropFirst().first ?? 97) }))
    if !merges.isEmpty { writer.set("tokenizer.ggml.merges", .strings(lines(merges).map { text($0) })) }
    // The rest of the name is flags and numbers of special tokens.
    for (index, byte) in (names.count > 2 ? Array(names[2].utf8) : []).prefix(8).enumerated() {
        let key = ["bos_token_id", "eos_token_id", "unknown_token_id", "add_bos_token", "add_space_prefix"][index % 5]
        writer.set("tokenizer.ggml.\(key)", index % 5 < 3 ? .uint32(UInt32(byte) &- 48) : .bool(byte & 1 == 1))
    }
    return writer.header()
}

/// What the importer makes of a folder without weights.
private func importedVocabulary(_ path: String) throws -> [UInt8] {
    let folder = try ModelFolder(path: path)
    var config = try HFConfig(folder)
    guard let model = config.model, let architecture = Architecture.of(model) else {
        throw FuzzSetupError(description: "no architecture")
    }
    config.defaults = architecture.defaults
    try config.check()
    var writer = GGUFWriter()
    try ModelMetadata(folder: folder, config: config, architecture: architecture, format: .f16).write(to: &writer)
    // Else the rows of a tensor, which are really there.
    let rows = min(max(config.integer("vocab_size") ?? 64, 1), 4096)
    try VocabularyImport(
        folder: folder, config: config, architecture: architecture, rows: rows, preTokenizer: nil
    ).write(to: &writer)
    return writer.header()
}
