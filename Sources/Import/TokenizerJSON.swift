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
    func tokens(_ change: (String, TokenKind) -> String = { text, _ in text }) throws(ImportError) -> TokenList {
        var list = TokenList()
        guard let vocabulary = model?["vocab"]?.object else {
            throw ImportError(path, "tokenizer.json has no vocabulary", "Download it again")
        }
        let added = added
        let addedIDs = Set(added.map(\.id))
        for member in vocabulary {
            guard let id = member.value.integer else { throw badID }
            // An added token's text is taken as it stands.
            if addedIDs.contains(id) { continue }
            guard list.set(id, change(member.key, .normal)) else { throw badID }
        }
        for token in added {
            let kind: TokenKind = token.isSpecial || Self.looksSpecial(token.text) ? .control : .userDefined
            let text = kind == .userDefined ? token.text.replacing(scalar: "▁", with: " ") : token.text
            guard list.set(token.id, text, score: -1000, kind) else { throw badID }
        }
        return list
    }

    private var badID: ImportError { ImportError(path, "tokenizer.json has an unusable token id", "Download it again") }

    /// Some models add control tokens without marking them as special.
    static func looksSpecial(_ text: String) -> Bool {
        ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(text) || text.begins("<|") && text.ends("|>")
            || text.begins("<｜") && text.ends("｜>") || text.begins("<unused") && text.ends(">")
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
