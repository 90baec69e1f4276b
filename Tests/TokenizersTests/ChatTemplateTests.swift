import GGUF
import Linux
import Testing

@testable import Tokenizers

@Suite struct ChatTemplateTests {
    /// What `render-chat-templates.py` writes.
    private struct Published: Decodable {
        struct Message: Decodable {
            let role: String
            let content: String
        }
        struct Model: Decodable {
            let model: String
            let name: String
            let bos: String
            let eos: String
            let source: String
            /// By conversation: with and without generation prompt; nil where the template refuses.
            let expected: [[String?]]
        }
        let conversations: [[Message]]
        let models: [Model]
    }

    /// 15 January 2027; the script has it too.
    private let now = Timestamp(milliseconds: 1_800_000_000_000)

    @Test func `Published templates render what Jinja renders`() throws {
        let published = try fixture("chat-templates.json", as: Published.self)
        try #require(published.models.count >= 30)
        let conversations = try published.conversations.map { messages in
            try messages.map { try ChatMessage(#require(ChatMessage.Role(rawValue: $0.role)), $0.content) }
        }
        for model in published.models {
            let template = ChatTemplate.detect(model.source, bos: model.bos, eos: model.eos)
            #expect(template.name == model.name && template.problem == nil, "\(model.model)")
            for (messages, expected) in zip(conversations, model.expected) {
                for (prompt, text) in zip([true, false], expected) {
                    let segments = template.segments(messages, addGenerationPrompt: prompt, now: now)
                    let rendered = segments.map(\.text).joined()
                    if let text { #expect(rendered == text, "\(model.model)") }
                    // What the user says is there, and is content, even where the template refuses.
                    let content = segments.filter { !$0.isMarkup }.map(\.text).joined()
                    #expect(messages.allSatisfy { $0.role != .user || content.contains(trimmed($0.content)) })
                }
            }
        }
    }

    @Test func `A system message that the template refuses goes to the first user message`() throws {
        let source = """
            {% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system') }}{% endif %}\
            <{{ m.role }}>{{ m.content }}{% endfor %}
            """
        let template = ChatTemplate.detect(source)
        #expect(template.name == "own")
        let messages = [ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi")]
        #expect(template.render(messages, addGenerationPrompt: true) == "<user>Be brief.\n\nHi")
    }

    @Test func `A template that cannot be used is replaced and says why`() throws {
        var vocabulary = try SmallVocabulary()
        for (source, reason) in [
            ("{% extends 'x' %}", "it uses 'extends'"), ("{{ 'fixed' }}", "it does not write what the user says"),
            ("{{ raise_exception('no\nway') }}", "it says 'no\u{FFFD}way'"), ("{{ messages", "a tag has no end"),
            ("{% for i in range(99999999) %}{% endfor %}", "it takes too many steps"),
        ] {
            vocabulary.writer.set("tokenizer.chat_template", .string(source))
            let template = try ChatTemplate.detect(in: vocabulary.file())
            #expect(template.name == "chatml", "\(source)")
            #expect(template.problem?.contains(reason) == true, "\(template.problem ?? "")")
            #expect(template.warning(for: "m.gguf")?.hasPrefix("m.gguf: the file's chat template") == true)
            #expect(template.render([ChatMessage(.user, "Hi")], addGenerationPrompt: false).contains("user\nHi"))
        }
        #expect(try ChatTemplate.detect(in: SmallVocabulary().file()).problem == nil)
    }

    @Test func `A BOS of the template and one of the tokenizer are one`() throws {
        var vocabulary = try SmallVocabulary()
        vocabulary.writer.set("tokenizer.ggml.add_bos_token", .bool(true))
        vocabulary.writer.set(
            "tokenizer.chat_template", .string("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"))
        let template = try ChatTemplate.detect(in: vocabulary.file())
        let segments = template.segments([ChatMessage(.user, "<|im_start|>")], addGenerationPrompt: false)
        let tokens = try vocabulary.tokenizer().encode(segments, addSpecial: true)
        #expect(tokens.filter { $0 < 3 } == [1, 2])
        #expect(tokens.count > 3)
    }

    @Test func `Names are suggested`() {
        #expect(ChatTemplate.advice(for: "Gemma3").hasPrefix("Did you mean gemma? Known are chatml, "))
        #expect(ChatTemplate.advice(for: "gema").hasPrefix("Did you mean gemma?"))
        #expect(ChatTemplate.advice(for: "x").hasPrefix("Known are chatml, "))
    }

    @Test func `Templates are found by name, without a model's own system message`() throws {
        for name in ChatTemplate.names {
            let template = try #require(ChatTemplate.named(name))
            #expect(template.name == name)
            #expect(template.defaultSystem == nil)
        }
        #expect(Set(ChatTemplate.names).count == ChatTemplate.names.count)
        #expect(ChatTemplate.names.contains("chatml") && ChatTemplate.names.contains("plain"))
        #expect(ChatTemplate.named("no-such") == nil)
    }

    /// Written after the vendors' descriptions of their prompt formats.
    @Test(arguments: [
        (
            "llama3", "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}",
            "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi"
                + "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHo<|eot_id|><|start_header_id|>user"
                + "<|end_header_id|>\n\nWho?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        ),
        (
            "llama2", "{{ '[INST] <<SYS>>\\n' + content + ' [/INST]' }}",
            "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Ho </s><s>[INST] Who? [/INST]"
        ),
        (
            "gemma", "{{ '<start_of_turn>' + role + '\n' }}",
            "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHo<end_of_turn>\n"
                + "<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n"
        ),
        (
            "mistral-v3", "{{ '[INST] ' + message['content'] + '[/INST]' }}",
            "[INST] Be brief.\n\nHi[/INST] Ho</s>[INST] Who?[/INST]"
        ),
        (
            "mistral-v7", "{{ '[SYSTEM_PROMPT] ' + message['content'] }}{{ '[INST] ' }}",
            "[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] Hi[/INST] Ho</s>[INST] Who?[/INST]"
        ),
        (
            "phi4", "{{ '<|im_start|>user<|im_sep|>' }}",
            "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>Hi<|im_end|><|im_start|>assistant"
                + "<|im_sep|>Ho<|im_end|><|im_start|>user<|im_sep|>Who?<|im_end|><|im_start|>assistant<|im_sep|>"
        ),
        ("plain", "{{ message }}", "Be brief.\n\nUser: Hi\nAssistant: Ho\nUser: Who?\nAssistant:"),
    ])
    func `Each family is recognised and rendered`(_ name: String, _ source: String, _ expected: String) {
        let template = ChatTemplate.detect(source)
        #expect(template.name == name)
        let messages = [
            ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi"), ChatMessage(.assistant, "Ho"),
            ChatMessage(.user, "Who?"),
        ]
        #expect(template.render(messages, addGenerationPrompt: true) == expected)
    }

    @Test func `A system message that no user turn follows is still shown`() throws {
        let template = try #require(ChatTemplate.named("gemma"))
        #expect(
            template.render([ChatMessage(.system, "Be brief.")], addGenerationPrompt: false)
                == "<start_of_turn>user\nBe brief.<end_of_turn>\n")
    }

    @Test func `No messages render to the generation prompt alone`() throws {
        let template = ChatTemplate.detect("{{ '<|im_start|>system\\nBe good<|im_end|>\\n' }}")
        #expect(template.defaultSystem == "Be good")
        #expect(template.render([], addGenerationPrompt: false) == "")
        #expect(template.render([], addGenerationPrompt: true) == "<|im_start|>assistant\n")
    }

    @Test func `A source that is too long is not looked at`() {
        let long = "{{ '<|im_start|>system\\nBe good<|im_end|>\\n' }}" + String(repeating: " ", count: 1 << 18)
        let template = ChatTemplate.detect(long)
        #expect(template.name == "plain")
        #expect(template.defaultSystem == nil)
        #expect(template.problem == "the file's chat template cannot be used, because it is too long")
    }

    @Test(arguments: ["", "'<|im_end|>", "\n<|im_end|>"])
    func `Many opening marks are looked through once`(_ end: String) {
        func time(_ count: Int) -> Double {
            let source = String(repeating: "<|im_start|>system\n", count: count) + end
            return (0..<2).map { _ in
                processorSeconds { #expect(ChatTemplate.detect(source).name == "chatml") }
            }.min() ?? 0
        }
        let (quarter, whole) = (time(3250), time(13_000))
        // Four times; quadratic work would take sixteen times as long. Below a hundredth of a second noise decides.
        #expect(whole < 0.05 || whole / quarter < 9, "\(quarter) s, \(whole) s")
    }

    @Test func `Without a template the vocabulary decides`() throws {
        #expect(try ChatTemplate.detect(in: SmallVocabulary().file()).name == "chatml")
        var writer = GGUFWriter()
        #expect(try ChatTemplate.detect(in: open(writer.header())).name == "plain")
        writer.set("general.architecture", .string("phi2"))
        let phi2 = try ChatTemplate.detect(in: open(writer.header()))
        let messages = [ChatMessage(.user, "Hi"), ChatMessage(.assistant, "Ho"), ChatMessage(.user, "Who?")]
        #expect(
            phi2.render(messages, addGenerationPrompt: true)
                == "Instruct: Hi\nOutput: Ho\nInstruct: Who?\nOutput:")
    }

    @Test func `White space of every kind is trimmed`() {
        #expect(trimmed(" \n\t\u{A0}\u{3000}\u{1F}a b\r\n") == "a b")
        #expect(trimmed(" \n") == "")
        #expect(trimmed("") == "")
        #expect(trimmed("\r\n\u{301}a") == "\u{301}a")
    }
}
