import GGUF
import JSON

/// tokenizer.json, read as far as GGUF needs it.
struct TokenizerJSON {
    let path: String
    let document: JSONValue

    /// Nil when there is none.
    init?(_ folder: ModelFolder) throws(ImportError) {
        guard let document = try folder.json("tokenizer.json", limit: ModelFolder.largestTokenizer) else { return nil }
        self.document = document
        path = folder.path
    }

    var model: JSONValue? { document["model"] }
    var kind: String { model?["type"]?.string ?? (model?["merges"] != nil ? "BPE" : "WordPiece") }

    /// Whether tokens are SentencePiece's, written with ▁, and unknown characters fall back to bytes.
    var isSentencePiece: Bool { kind == "BPE" && model?["byte_fallback"]?.bool == true }

    struct Added {
        let id: Int
        let text: String
        let isSpecial: Bool

        /// Some models add control tokens without marking them as special.
        var kind: TokenKind { isSpecial || looksSpecial ? .control : .userDefined }

        /// As GGUF has it, with spaces where SentencePiece has marks; control tokens are found as they are.
        var written: String { kind == .userDefined ? text.replacing(scalar: "▁", with: " ") : text }

        private var looksSpecial: Bool {
            ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(text) || text.begins("<|") && text.ends("|>")
                || text.begins("<｜") && text.ends("｜>") || text.begins("<unused") && text.ends(">")
        }
    }

    var added: [Added] {
        (document["added_tokens"]?.array ?? []).compactMap { token in
            guard let id = token["id"]?.integer, let text = token["content"]?.string else { return nil }
            return Added(id: id, text: text, isSpecial: token["special"]?.bool == true)
        }
    }

    /// Merges in order, as `left right`. A space inside a token is written as the byte-level alphabet writes it.
    func merges() throws(ImportError) -> [String] {
        var result: [String] = []
        for merge in model?["merges"]?.array ?? [] {
            if let text = merge.string {
                result.append(text)
            } else if let pair = merge.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string {
                result.append("\(left.replacing(scalar: " ", with: "Ġ")) \(right.replacing(scalar: " ", with: "Ġ"))")
            } else {
                throw ImportError(path, "tokenizer.json has a merge that is no pair", "Download it again")
            }
        }
        return result
    }

    /// The vocabulary: texts by id, then the added tokens over it.
    ///
    /// - Parameter change: how GGUF writes a text of the vocabulary; added tokens stay as they are.
    func tokens(_ change: (String) -> String = { $0 }) throws(ImportError) -> TokenList {
        var list = TokenList()
        guard let vocabulary = model?["vocab"]?.object else {
            throw ImportError(path, "tokenizer.json has no vocabulary", "Download it again")
        }
        let added = added
        let addedIDs = Set(added.map(\.id))
        for member in vocabulary {
            guard let id = member.value.integer else { throw Self.badID(path) }
            if addedIDs.contains(id) { continue }
            guard list.set(id, change(member.key)) else { throw Self.badID(path) }
        }
        for token in added {
            guard list.set(token.id, token.written, score: -1000, token.kind) else { throw Self.badID(path) }
        }
        return list
    }

    static func badID(_ path: String) -> ImportError {
        ImportError(path, "tokenizer.json has an unusable token id", "Download it again")
    }

    /// All of a kind in a tree of normalizers, pre-tokenizers or post-processors, sequences opened.
    func parts(_ key: String) -> [JSONValue] {
        guard let top = document[key], top != .null else { return [] }
        return Self.flattened(top, depth: 0)
    }

    private static func flattened(_ value: JSONValue, depth: Int) -> [JSONValue] {
        let inner = value["normalizers"] ?? value["pretokenizers"] ?? value["processors"]
        guard let inner = inner?.array, depth < 8 else { return [value] }
        return inner.flatMap { flattened($0, depth: depth + 1) }
    }
}
