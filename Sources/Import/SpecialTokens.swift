import GGUF
import JSON

/// Which tokens begin, end and pad a text, and whether the tokenizer puts them there.
struct SpecialTokens {
    let tokenizer: TokenizerJSON?
    let settings: JSONValue?
    let config: HFConfig
    let list: TokenList

    /// Names in the files of a model and in GGUF (which misspells one).
    private static let roles = [
        ("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("sep", "seperator"), ("pad", "padding"), ("mask", "mask"),
    ]

    func write(to writer: inout GGUFWriter) {
        for (role, key) in Self.roles {
            guard let id = id(role), id < list.texts.count, let id = UInt32(exactly: id) else { continue }
            writer.set("tokenizer.ggml.\(key)_token_id", .uint32(id))
        }
        var adds = ["bos": settings?["add_bos_token"]?.bool, "eos": settings?["add_eos_token"]?.bool]
        for part in tokenizer?.parts("post_processor") ?? [] {
            switch part["type"]?.string {
            case "TemplateProcessing":
                let ends = templateEnds(part)
                if let first = ends.first { adds["bos"] = [text("bos"), text("cls")].contains(first) }
                if let last = ends.last { adds["eos"] = [text("eos"), text("sep")].contains(last) }
            // It adds nothing by itself.
            case "ByteLevel": for role in ["bos", "eos"] where adds[role] == .some(nil) { adds[role] = false }
            default: break
            }
        }
        for role in ["bos", "eos"] {
            if case .some(.some(let value)) = adds[role] {
                writer.set("tokenizer.ggml.add_\(role)_token", .bool(value))
            }
        }
        writeNormalizer(to: &writer)
    }

    /// The special tokens a template puts before and behind a text.
    private func templateEnds(_ part: JSONValue) -> (first: String?, last: String?) {
        guard let single = part["single"]?.array, single.count > 1 else { return (nil, nil) }
        return (single.first?["SpecialToken"]?["id"]?.string, single.last?["SpecialToken"]?["id"]?.string)
    }

    private func writeNormalizer(to writer: inout GGUFWriter) {
        for part in tokenizer?.parts("normalizer") ?? [] {
            switch part["type"]?.string {
            case "Lowercase": writer.set("tokenizer.ggml.normalizer.lowercase", .bool(true))
            case "StripAccents": writer.set("tokenizer.ggml.normalizer.strip_accents", .bool(true))
            case "BertNormalizer":
                if let value = part["lowercase"]?.bool {
                    writer.set("tokenizer.ggml.normalizer.lowercase", .bool(value))
                }
                if let value = part["strip_accents"]?.bool {
                    writer.set("tokenizer.ggml.normalizer.strip_accents", .bool(value))
                }
            default: break
            }
        }
    }

    /// The text of a role's token.
    private func text(_ role: String) -> String? {
        let value = settings?["\(role)_token"]
        return value?.string ?? value?["content"]?.string
    }

    /// Encoders name the first and last token of a text otherwise.
    private func id(_ role: String) -> Int? {
        let stand = ["bos": "cls", "eos": "sep"]
        for name in [role, stand[role]].compactMap(\.self) {
            if let text = text(name), let id = find(text) { return id }
        }
        // A list has the end of a turn after the end of a text.
        let value = config["\(role)_token_id"]
        return (value?.integer ?? value?.array?.first?.integer).flatMap { $0 >= 0 ? $0 : nil }
    }

    private func find(_ text: String) -> Int? {
        tokenizer?.added.first { $0.text.same(text) }?.id ?? list.texts.firstIndex { $0?.same(text) == true }
    }
}
