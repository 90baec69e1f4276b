import GGUF
import Linux

extension ChatTemplate {
    /// The template of a model file: its `tokenizer.chat_template`, run as it is.
    ///
    /// Without that key, phi2 has its own form, and a vocabulary that holds `<|im_start|>` means `chatml`; else `plain`.
    /// A program that cannot be run is known by what it writes; one that writes nothing known is treated as if it were
    /// missing. Both set `problem`.
    public static func detect(in file: GGUFFile) -> ChatTemplate {
        guard let source = file.string("tokenizer.chat_template") else { return fallback(in: file) }
        let texts = tokenTexts(file, ["bos_token_id", "eos_token_id"])
        return detect(source, bos: texts[0], eos: texts[1], fallback: fallback(in: file))
    }

    private static func fallback(in file: GGUFFile) -> ChatTemplate {
        // Phi-2 came without a template; its model card has the form.
        if file.string("general.architecture") == "phi2", let phi2 = named("phi2") { return phi2 }
        let mark = Array("<|im_start|>".utf8)
        var found = false
        file.forEachString("tokenizer.ggml.tokens") { found = found || $0.elementsEqual(mark) }
        return found ? chatml : plain
    }

    /// The texts of the tokens that keys name; empty where the key or the token is missing.
    private static func tokenTexts(_ file: GGUFFile, _ keys: [String]) -> [String] {
        let numbers = keys.map { file.integer("tokenizer.ggml.\($0)") }
        var texts = keys.map { _ in "" }
        var token = 0
        file.forEachString("tokenizer.ggml.tokens") { text in
            for (index, number) in numbers.enumerated() where number == token {
                texts[index] = String(decoding: text, as: UTF8.self)
            }
            token += 1
        }
        return texts
    }

    /// Recognises the Jinja source of a template and makes it ready to run.
    static func detect(
        _ source: String, bos: String = "", eos: String = "", fallback: ChatTemplate = plain
    ) -> ChatTemplate {
        // Looking for what it writes takes the square of its length at worst.
        guard source.utf8.count <= JinjaLexer.longestSource else {
            var template = fallback
            template.problem = "the file's chat template cannot be used, because it is too long"
            return template
        }
        var template = family(source)
        do throws(JinjaError) {
            let program = try JinjaTemplate(source, bos: bos, eos: eos)
            try probe(program)
            template = template ?? plain.renamed("own")
            template?.program = program
        } catch {
            template = template ?? fallback
            template?.problem = "the file's chat template cannot be used, because \(error.reason)"
        }
        return template ?? fallback
    }

    private func renamed(_ name: String) -> ChatTemplate {
        var template = self
        template.name = name
        return template
    }

    /// Throws when a program fails on a plain question or leaves it out.
    private static func probe(_ program: JinjaTemplate) throws(JinjaError) {
        let question = "Is it 5\u{2009}°C?"
        let segments = try program.segments(
            [ChatMessage(.user, question)], addGenerationPrompt: true, now: Timestamp(milliseconds: 0))
        guard segments.contains(where: { !$0.isMarkup && $0.text == question }) else {
            throw JinjaError("it does not write what the user says")
        }
    }

    /// The family a source belongs to, by what it writes.
    private static func family(_ source: String) -> ChatTemplate? {
        let source = Array(source.utf8)
        func has(_ text: String) -> Bool { position(of: Array(text.utf8), in: source[...]) != nil }
        let name: String? =
            if has("<|im_sep|>") {
                "phi4"
            } else if has("<|im_start|>") {
                "chatml"
            } else if has("<|start_header_id|>") {
                "llama3"
            } else if has("<|start_of_role|>") {
                "granite"
            } else if has("<start_of_turn>") {
                "gemma"
            } else if has("<|end|>"), has("<|user|>") || has("'<|' + message['role'] + '|>'") {
                "phi3"
            } else if has("<|user|>"), has("<|endoftext|>") {
                "olmo2"
            } else if has("<|user|>"), has("eos_token") || has("</s>") {
                "zephyr"
            } else if has("'User: '"), has("'Assistant: '") {
                "deepseek"
            } else if has("### Instruction"), has("### Response") {
                "alpaca"
            } else if has("[INST]") {
                mistralName(has)
            } else {
                nil
            }
        guard var template = name.flatMap(named) else { return nil }
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
        var end: Int?
        while let start = position(of: opening, in: rest) {
            rest = rest[(start + opening.count)...]
            let line = rest.starts(with: [0x0A]) ? 1 : rest.starts(with: [0x5C, 0x6E]) ? 2 : 0  // newline or \n
            guard line > 0 else { continue }
            // One closing mark behind many opening ones is looked for once.
            if end.map({ $0 < rest.startIndex + line }) ?? true { end = position(of: closing, in: rest) }
            guard let end else { return nil }
            let text = rest[(rest.startIndex + line)..<end]
            let isLiteral = text.count <= 1 << 13 && !text.contains { $0 == 0x27 || $0 == 0x22 || $0 == 0x7B }  // ' " {
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
