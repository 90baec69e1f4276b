import GGUF

extension ChatTemplate {
    /// The template of a model file, known by what its `tokenizer.chat_template` writes.
    ///
    /// Without that key, a vocabulary that holds `<|im_start|>` means `chatml`; else, and for a template that writes
    /// nothing known, `plain`.
    public static func detect(in file: GGUFFile) -> ChatTemplate {
        guard let source = file.string("tokenizer.chat_template") else {
            let mark = Array("<|im_start|>".utf8)
            var found = false
            file.forEachString("tokenizer.ggml.tokens") { found = found || $0.elementsEqual(mark) }
            return found ? chatml : plain
        }
        return detect(source)
    }

    /// Recognises the Jinja source of a template.
    static func detect(_ source: String) -> ChatTemplate {
        let source = Array(source.utf8)
        func has(_ text: String) -> Bool { position(of: Array(text.utf8), in: source[...]) != nil }
        let name: String? =
            if has("<|im_sep|>") {
                "phi4"
            } else if has("<|im_start|>") {
                "chatml"
            } else if has("<|start_header_id|>") {
                "llama3"
            } else if has("<start_of_turn>") {
                "gemma"
            } else if has("<|end|>"), has("<|user|>") || has("'<|' + message['role'] + '|>'") {
                "phi3"
            } else if has("<|user|>"), has("eos_token") || has("</s>") {
                "zephyr"
            } else if has("[INST]") {
                mistralName(has)
            } else {
                nil
            }
        guard var template = name.flatMap(named) else { return plain }
        if template.name == "chatml" { template.defaultSystem = defaultSystem(source) }
        return template
    }

    private static func mistralName(_ has: (String) -> Bool) -> String {
        if has("<<SYS>>") { return "llama2" }
        if has("'[SYSTEM_PROMPT] '") { return "mistral-v7" }
        if has("' [INST] '") { return "mistral-v1" }
        if has(" [/INST]") { return "mistral" }
        return has("'[INST] '") || has("\"[INST] \"") ? "mistral-v3" : "mistral-v3-tekken"
    }

    /// The system message that a ChatML template writes when the conversation brings none.
    ///
    /// It stands in the source as one literal: `'<|im_start|>system\nYou are …<|im_end|>\n'`. An expression between the
    /// marks means the template only writes what it is given.
    private static func defaultSystem(_ source: [UInt8]) -> String? {
        let opening = Array("<|im_start|>system".utf8)
        let closing = Array("<|im_end|>".utf8)
        var rest = source[...]
        while let start = position(of: opening, in: rest) {
            rest = rest[(start + opening.count)...]
            let line = rest.starts(with: [0x0A]) ? 1 : rest.starts(with: [0x5C, 0x6E]) ? 2 : 0  // newline or \n
            guard line > 0, let end = position(of: closing, in: rest) else { continue }
            let text = rest[(rest.startIndex + line)..<end]
            let isLiteral = !text.contains { $0 == 0x27 || $0 == 0x22 || $0 == 0x7B }  // ' " {
            if isLiteral, !text.isEmpty { return unescaped(String(decoding: text, as: UTF8.self)) }
        }
        return nil
    }

    /// A Jinja string literal's text with its `\n` as newlines.
    private static func unescaped(_ literal: String) -> String {
        var text = ""
        var isEscaped = false
        for character in literal {
            if isEscaped {
                text.append(character == "n" ? "\n" : character == "t" ? "\t" : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                text.append(character)
            }
        }
        return text
    }

    private static func position(of text: [UInt8], in source: ArraySlice<UInt8>) -> Int? {
        guard let first = text.first, source.count >= text.count else { return nil }
        for start in source.startIndex...(source.endIndex - text.count) where source[start] == first {
            if source[start..<start + text.count].elementsEqual(text) { return start }
        }
        return nil
    }
}
