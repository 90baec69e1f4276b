/// The templates Martlet knows, as data.
extension ChatTemplate {
    /// The names that `named(_:)` knows.
    public static var names: [String] { known.map(\.name) }

    /// The template of that name, without any model's default system message; nil when unknown.
    public static func named(_ name: String) -> ChatTemplate? { known.first { $0.name == name } }

    /// The name that was probably meant by one that `named(_:)` does not know, and all of them.
    public static func advice(for name: String) -> String {
        let shared = names.map { (name: $0, length: zip($0, name.lowercased()).prefix { $0 == $1 }.count) }
        let near = shared.filter { $0.length >= 3 }.max { $0.length < $1.length }?.name
        return (near.map { "Did you mean \($0)? " } ?? "") + "Known are " + names.joined(separator: ", ")
    }

    /// SmolLM2, Qwen, Hermes, …
    static let chatml = turns("chatml", "<|im_end|>\n", "<|im_start|>assistant\n") { "<|im_start|>\($0)\n" }

    /// For a model whose template is missing or unknown: roles as words, which also suits base models.
    static let plain = ChatTemplate(
        name: "plain", system: .turn(Turn(before: "", after: "\n\n")), user: Turn(before: "User: ", after: "\n"),
        assistant: Turn(before: "Assistant: ", after: "\n"), generationPrompt: "Assistant:")

    /// What the known templates write around messages, one after the other. Without `<s>`, which some vocabularies hold
    /// as HTML.
    static var markup: [UInt8] {
        var texts: [String] = []
        for template in known {
            texts.append(template.generationPrompt)
            for turn in [template.user, template.assistant] { texts += [turn.before, turn.after] }
            switch template.system {
            case .turn(let turn), .inFirstUser(let turn): texts += [turn.before, turn.after]
            }
        }
        return Array(texts.joined(separator: "\n").utf8)
    }

    private static let known: [ChatTemplate] = [
        chatml,
        turns("llama3", "<|eot_id|>", "<|start_header_id|>assistant<|end_header_id|>\n\n", trims: true) {
            "<|start_header_id|>\($0)<|end_header_id|>\n\n"
        },
        ChatTemplate(
            name: "llama2", system: .inFirstUser(Turn(before: "<<SYS>>\n", after: "\n<</SYS>>\n\n")),
            user: Turn(before: "[INST] ", after: " [/INST]"), assistant: Turn(before: " ", after: " </s>"),
            laterUser: "<s>", generationPrompt: "", trims: true),
        ChatTemplate(
            name: "mistral", system: .inFirstUser(Turn(before: "", after: "\n\n")),
            user: Turn(before: "[INST] ", after: " [/INST]"), assistant: Turn(before: "", after: "</s>"),
            generationPrompt: ""),
        ChatTemplate(
            name: "mistral-v1", system: .inFirstUser(Turn(before: "", after: "\n\n")),
            user: Turn(before: " [INST] ", after: " [/INST]"), assistant: Turn(before: " ", after: "</s>"),
            generationPrompt: ""),
        ChatTemplate(
            name: "mistral-v3", system: .inFirstUser(Turn(before: "", after: "\n\n")),
            user: Turn(before: "[INST] ", after: "[/INST]"), assistant: Turn(before: " ", after: "</s>"),
            generationPrompt: ""),
        ChatTemplate(
            name: "mistral-v3-tekken", system: .inFirstUser(Turn(before: "", after: "\n\n")),
            user: Turn(before: "[INST]", after: "[/INST]"), assistant: Turn(before: "", after: "</s>"),
            generationPrompt: ""),
        ChatTemplate(
            name: "mistral-v7", system: .turn(Turn(before: "[SYSTEM_PROMPT] ", after: "[/SYSTEM_PROMPT]")),
            user: Turn(before: "[INST] ", after: "[/INST]"), assistant: Turn(before: " ", after: "</s>"),
            generationPrompt: ""),
        ChatTemplate(
            name: "gemma", system: .inFirstUser(Turn(before: "", after: "\n\n")),
            user: Turn(before: "<start_of_turn>user\n", after: "<end_of_turn>\n"),
            assistant: Turn(before: "<start_of_turn>model\n", after: "<end_of_turn>\n"),
            generationPrompt: "<start_of_turn>model\n", trims: true),
        turns("phi3", "<|end|>\n", "<|assistant|>\n") { "<|\($0)|>\n" },
        turns("phi4", "<|im_end|>", "<|im_start|>assistant<|im_sep|>") { "<|im_start|>\($0)<|im_sep|>" },
        turns("granite", "<|end_of_text|>\n", "<|start_of_role|>assistant<|end_of_role|>") {
            "<|start_of_role|>\($0)<|end_of_role|>"
        },
        ChatTemplate(
            name: "deepseek", system: .turn(Turn(before: "", after: "\n\n")),
            user: Turn(before: "User: ", after: "\n\n"),
            assistant: Turn(before: "Assistant: ", after: "<｜end▁of▁sentence｜>"), generationPrompt: "Assistant:"),
        ChatTemplate(
            name: "phi2", system: .inFirstUser(Turn(before: "", after: "\n")),
            user: Turn(before: "Instruct: ", after: "\n"), assistant: Turn(before: "Output: ", after: "\n"),
            generationPrompt: "Output:"),
        ChatTemplate(
            name: "alpaca", system: .turn(Turn(before: "", after: "\n\n")),
            user: Turn(before: "### Instruction\n", after: "\n\n"),
            assistant: Turn(before: "### Response\n", after: "<|endoftext|>\n"), generationPrompt: "### Response\n"),
        turns("olmo2", "\n", "<|assistant|>\n") { "<|\($0)|>\n" },
        turns("zephyr", "</s>\n", "<|assistant|>\n") { "<|\($0)|>\n" },
        plain,
    ]

    /// A template whose roles are written alike.
    private static func turns(
        _ name: String, _ after: String, _ generationPrompt: String, trims: Bool = false, before: (String) -> String
    ) -> ChatTemplate {
        ChatTemplate(
            name: name, system: .turn(Turn(before: before("system"), after: after)),
            user: Turn(before: before("user"), after: after),
            assistant: Turn(before: before("assistant"), after: after), generationPrompt: generationPrompt,
            trims: trims)
    }
}
