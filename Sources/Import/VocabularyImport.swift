import GGUF
import JSON

/// Brings a model's tokenizer into GGUF's keys.
struct VocabularyImport {
    let folder: ModelFolder
    let config: HFConfig
    let architecture: Architecture
    /// Rows of the token embedding: as many tokens there must be.
    let rows: Int
    /// GGUF's name of the byte-level pre-tokenizer, where the user gives it.
    let preTokenizer: String?

    /// Writes all keys of the tokenizer.
    func write(to writer: inout GGUFWriter) throws(ImportError) {
        guard rows <= TokenList.largest else {
            throw ImportError(folder.path, "its token embedding has \(rows) rows", "Download the model again")
        }
        let settings = try folder.json("tokenizer_config.json")
        let tokenizer = try TokenizerJSON(folder)
        var list: TokenList
        if architecture.name == "bert" {
            list = try wordPieces(tokenizer, settings, &writer)
        } else if let bytes = try folder.bytes("tokenizer.model"), tokenizer.map(\.isSentencePiece) ?? true {
            list = try sentencePieces(bytes, tokenizer, settings, &writer)
        } else if let tokenizer {
            list = try pairs(tokenizer, settings, &writer)
        } else {
            throw ImportError(
                folder.path, "it has no tokenizer.json and no tokenizer.model", "Download the tokenizer's files",
                kind: .notFound)
        }
        // Text-only models of a family keep the tokenizer of those with images, whose few tokens they have no rows for.
        guard list.texts.count <= rows + 64 else {
            throw ImportError(
                folder.path, "the tokenizer has \(list.texts.count) tokens, the model \(rows)",
                "Download the tokenizer's files again")
        }
        list.cut(to: rows)
        list.fill(to: rows)
        let hasScores = writer["tokenizer.ggml.model"] == .string("llama")
        list.write(to: &writer, withScores: hasScores)
        if writer["tokenizer.ggml.model"] == .string("gpt2"), let tokenizer {
            writer.set("tokenizer.ggml.merges", .strings(try tokenizer.merges()))
        }
        SpecialTokens(tokenizer: tokenizer, settings: settings, config: config, list: list).write(to: &writer)
        if let template = try chatTemplate(settings) { writer.set("tokenizer.chat_template", .string(template)) }
    }

    private func chatTemplate(_ settings: JSONValue?) throws(ImportError) -> String? {
        if let text = settings?["chat_template"]?.string { return text }
        // Several with names: the default one.
        if let named = settings?["chat_template"]?.array {
            let chosen = named.first { $0["name"]?.string == "default" } ?? named.first
            return chosen?["template"]?.string
        }
        if let text = try folder.text("chat_template.jinja") { return text }
        return try folder.json("chat_template.json")?["chat_template"]?.string
    }

    /// WordPiece: words begin with ▁ where the model's file marks their continuations with ##.
    private func wordPieces(
        _ tokenizer: TokenizerJSON?, _ settings: JSONValue?, _ writer: inout GGUFWriter
    ) throws(ImportError) -> TokenList {
        func phantom(_ text: String) -> String { text.begins("##") ? text.dropping(2) : "▁" + text }
        writer.set("tokenizer.ggml.token_type_count", .uint32(UInt32(clamping: config.integer("type_vocab_size") ?? 1)))
        writer.set("tokenizer.ggml.model", .string("bert"))
        // The name llama.cpp's converter finds for uncased BERT; WordPiece has no other.
        writer.set("tokenizer.ggml.pre", .string("jina-v2-en"))
        if let tokenizer {
            guard tokenizer.kind == "WordPiece" else { throw unknown(tokenizer.kind) }
            if let lowercases = tokenizer.parts("normalizer").compactMap({ $0["lowercase"]?.bool }).first {
                writer.set("tokenizer.ggml.normalizer.lowercase", .bool(lowercases))
            }
            return try tokenizer.tokens(phantom)
        }
        guard let text = try folder.text("vocab.txt") else {
            throw ImportError(
                folder.path, "it has no tokenizer.json and no vocab.txt", "Download the tokenizer's files",
                kind: .notFound)
        }
        var list = TokenList()
        let controls: Set = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        for (id, line) in text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let word = String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
            if word.isEmpty { continue }
            let isControl = controls.contains(word)
            guard list.set(id, isControl ? word : phantom(word), isControl ? .control : .normal) else { break }
        }
        writer.set("tokenizer.ggml.normalizer.lowercase", .bool(settings?["do_lower_case"]?.bool ?? true))
        return list
    }

    /// tokenizer.model with its true scores; tokens added later over it.
    private func sentencePieces(
        _ bytes: [UInt8], _ tokenizer: TokenizerJSON?, _ settings: JSONValue?, _ writer: inout GGUFWriter
    ) throws(ImportError) -> TokenList {
        guard let model = SentencePieceModel(bytes) else {
            throw ImportError(folder.path, "tokenizer.model is no SentencePiece model", "Download it again")
        }
        guard model.kind == 2 else {
            throw ImportError(
                folder.path, "tokenizer.model is a \(model.kind == 1 ? "unigram" : "word or character") model",
                "Supported are BPE, SentencePiece BPE and WordPiece")
        }
        var list = TokenList()
        for (id, piece) in model.pieces.enumerated() where id < rows {
            _ = list.set(id, piece.text, score: piece.score, piece.kind)
        }
        for token in added(tokenizer, settings) where token.id < rows {
            guard token.id >= 0 else { throw TokenizerJSON.badID(folder.path) }
            if token.id < list.texts.count, [.unknown, .byte].contains(list.kinds[token.id]) { continue }
            _ = list.set(token.id, token.written, score: -1000, token.kind)
        }
        writer.set("tokenizer.ggml.model", .string("llama"))
        writer.set("tokenizer.ggml.pre", .string("default"))
        let prefix = architecture.addsSpacePrefix ?? settings?["add_prefix_space"]?.bool ?? model.addsSpacePrefix
        writer.set("tokenizer.ggml.add_space_prefix", .bool(prefix))
        return list
    }

    /// Tokens that were added to the vocabulary, from whichever file lists them.
    private func added(_ tokenizer: TokenizerJSON?, _ settings: JSONValue?) -> [TokenizerJSON.Added] {
        if let tokenizer { return tokenizer.added }
        return (settings?["added_tokens_decoder"]?.object ?? JSONObject()).compactMap { member in
            guard let id = Int(member.key), id >= 0, let text = member.value["content"]?.string else { return nil }
            return TokenizerJSON.Added(id: id, text: text, isSpecial: member.value["special"]?.bool == true)
        }
    }

    /// tokenizer.json with merges: byte-level, or SentencePiece's alphabet with scores made from the merges' order.
    private func pairs(
        _ tokenizer: TokenizerJSON, _ settings: JSONValue?, _ writer: inout GGUFWriter
    ) throws(ImportError) -> TokenList {
        guard tokenizer.kind == "BPE" else { throw unknown(tokenizer.kind) }
        guard tokenizer.isSentencePiece else {
            let (name, found) = PreTokenizerName.of(tokenizer, architecture)
            guard let name = preTokenizer ?? name else {
                throw ImportError(
                    folder.path, "its pre-tokenizer (\(found.prefix(200))) is not known",
                    "If GGUF files of this model exist, give the name they have for it with --pre")
            }
            writer.set("tokenizer.ggml.model", .string("gpt2"))
            writer.set("tokenizer.ggml.pre", .string(name))
            return try tokenizer.tokens()
        }
        writer.set("tokenizer.ggml.model", .string("llama"))
        writer.set("tokenizer.ggml.pre", .string("default"))
        let normalizers = tokenizer.parts("normalizer").compactMap { $0["type"]?.string }
        let preTokenizers = tokenizer.parts("pre_tokenizer")
        let scheme = preTokenizers.first { $0["type"]?.string == "Metaspace" }?["prepend_scheme"]?.string
        let prefix =
            architecture.addsSpacePrefix ?? settings?["add_prefix_space"]?.bool
            ?? (normalizers.contains("Prepend") || scheme == "always" || scheme == "first")
        writer.set("tokenizer.ggml.add_space_prefix", .bool(prefix))
        return try scored(tokenizer)
    }

    /// A merge is the better the earlier it is: minus its rank is the score that makes SentencePiece merge in the same
    /// order. (llama.cpp's converter gives all tokens one score, which merges from left to right.)
    private func scored(_ tokenizer: TokenizerJSON) throws(ImportError) -> TokenList {
        var ranks: [[UInt8]: Int] = [:]
        for (rank, merge) in (tokenizer.model?["merges"]?.array ?? []).enumerated() {
            let parts =
                merge.array?.compactMap { $0.string.map { Array($0.utf8) } }
                ?? merge.string.map { $0.utf8.split(separator: 0x20).map { Array($0) } }
            guard let parts, parts.count == 2 else {
                throw ImportError(folder.path, "tokenizer.json has a merge that is no pair", "Download it again")
            }
            let whole = parts[0] + parts[1]
            if ranks[whole] == nil { ranks[whole] = rank }
        }
        var list = try tokenizer.tokens()
        let unknown = tokenizer.model?["unk_token"]?.string
        for id in list.texts.indices {
            guard let text = list.texts[id] else { continue }
            if let unknown, text.same(unknown) {
                _ = list.set(id, text, score: 0, .unknown)
            } else if list.kinds[id] == .normal {
                let score = ranks[Array(text.utf8)].map { -Float($0) } ?? -1_000_000
                _ = list.set(id, text, score: score, isByte(text) ? .byte : .normal)
            }
        }
        return list
    }

    /// `<0x00>` … `<0xFF>`.
    private func isByte(_ text: String) -> Bool {
        text.utf8.count == 6 && text.begins("<0x") && text.ends(">")
            && UInt8(text.dropFirst(3).dropLast(), radix: 16) != nil
    }

    private func unknown(_ kind: String) -> ImportError {
        ImportError(
            folder.path, "its tokenizer is of the kind \(quoted(kind))",
            "Supported are BPE, SentencePiece and WordPiece"
        )
    }
}
