import GGUF
import Testing

@testable import Tokenizers

@Suite struct ChatTemplateTests {
    private struct Model: Decodable {
        struct Case: Decodable {
            struct Message: Decodable {
                let role: String
                let content: String
            }
            let messages: [Message]
            let addGenerationPrompt: Bool
            let expected: String
        }
        let model: String
        let name: String
        let source: String
        let cases: [Case]
    }

    @Test func `Published templates render what Jinja renders`() throws {
        let models = try fixture("chat-templates.json", as: [Model].self)
        try #require(models.count >= 9)
        for model in models {
            let template = ChatTemplate.detect(model.source)
            #expect(template.name == model.name, "\(model.model)")
            for test in model.cases {
                let messages = try test.messages.map {
                    try ChatMessage(#require(ChatMessage.Role(rawValue: $0.role)), $0.content)
                }
                #expect(
                    template.render(messages, addGenerationPrompt: test.addGenerationPrompt) == test.expected,
                    "\(model.model)")
            }
        }
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

    @Test func `Without a template the vocabulary decides`() throws {
        #expect(try ChatTemplate.detect(in: SmallVocabulary().file()).name == "chatml")
        #expect(try ChatTemplate.detect(in: open(GGUFWriter().header())).name == "plain")
    }

    @Test func `White space of every kind is trimmed`() {
        #expect(trimmed(" \n\t\u{A0}\u{3000}\u{1F}a b\r\n") == "a b")
        #expect(trimmed(" \n") == "")
        #expect(trimmed("") == "")
        #expect(trimmed("\r\n\u{301}a") == "\u{301}a")
    }
}
