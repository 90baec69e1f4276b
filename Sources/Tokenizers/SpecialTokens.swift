import GGUF

/// The numbers of a vocabulary's special tokens, and which of them belong around every text.
struct SpecialTokens {
    var bos: Int32?
    var eos: Int32?
    var unknown: Int32?
    var addsBOS: Bool
    var addsEOS: Bool

    /// Reads the keys; where a file lacks one, the number that all vocabularies of that kind have, as llama.cpp does.
    init(_ file: GGUFFile, _ vocabulary: Vocabulary, _ kind: Tokenizer.Kind, _ pre: String) throws(TokenizerError) {
        func token(_ keys: [String], _ standard: Int?, _ text: String? = nil) throws(TokenizerError) -> Int32? {
            for key in keys {
                if let token = try specialToken("tokenizer.ggml.\(key)", file, vocabulary) { return token }
            }
            if let text, let token = vocabulary.token(for: Array(text.utf8)[...]) { return token }
            return standard.flatMap { $0 < vocabulary.count ? Int32($0) : nil }
        }
        func flag(_ key: String) -> Bool? { file.bool("tokenizer.ggml.\(key)") }
        switch kind {
        case .bytePair:
            bos = try token(["bos_token_id"], nil)
            eos = try token(["eos_token_id"], nil)
            addsBOS = flag("add_bos_token") ?? PreTokenizer.addsBOS.contains(pre)
            addsEOS = flag("add_eos_token") ?? false
        case .sentencePiece:
            bos = try token(["bos_token_id"], 1)
            eos = try token(["eos_token_id"], 2)
            unknown = try token(["unknown_token_id"], 0)
            addsBOS = flag("add_bos_token") ?? true
            addsEOS = flag("add_eos_token") ?? false
        case .wordPiece:
            // [CLS] and [SEP]; GGUF's key has the spelling mistake. They are part of the input whatever flags say.
            bos = try token(["cls_token_id", "bos_token_id"], 101, "[CLS]")
            eos = try token(["seperator_token_id", "eos_token_id"], 102, "[SEP]")
            unknown = try token(["unknown_token_id"], 100, "[UNK]")
            addsBOS = true
            addsEOS = true
        }
        addsBOS = addsBOS && bos != nil
        addsEOS = addsEOS && eos != nil
    }
}
