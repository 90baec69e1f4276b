import Tokenizers

/// A conversation split where what is new comes in: all before it is computed once, and only what is behind it again.
struct PromptParts {
    private var before: [TextSegment] = []
    private var after: [TextSegment] = []

    /// Stands for what is new while the conversation is rendered; a private-use character that no prompt needs.
    static let mark = "\u{10FFFD}"

    /// - Parameter messages: one of them holds `mark` once.
    init(_ messages: [ChatMessage], template: ChatTemplate) {
        var found = false
        for segment in template.segments(messages, addGenerationPrompt: true) {
            guard !found, let mark = segment.text.range(of: Self.mark) else {
                if found { after.append(segment) } else { before.append(segment) }
                continue
            }
            found = true
            before.append(TextSegment(String(segment.text[..<mark.lowerBound]), isMarkup: segment.isMarkup))
            after.append(TextSegment(String(segment.text[mark.upperBound...]), isMarkup: segment.isMarkup))
        }
    }

    /// The tokens behind what is new, with how the assistant's answer begins.
    func suffix(_ tokenizer: Tokenizer, answer: String = "") -> [Int32] {
        let answer = answer.isEmpty ? [] : [TextSegment(answer, isMarkup: false)]
        return tokenizer.encode(after + answer, addSpecial: false, continues: true)
    }

    /// The tokens before what is new, and the blanks at their end that must be tokenised with it: a space is part of
    /// the word behind it in most vocabularies, a newline is not.
    ///
    /// Only punctuation that the prompt puts right before or behind the text can come out as other tokens than those of
    /// the whole, for example a quote before a bracket; the state would be the same for every event all the same.
    func prefix(_ tokenizer: Tokenizer) -> (tokens: [Int32], lead: String) {
        var before = before
        let last = before.popLast() ?? TextSegment("", isMarkup: false)
        var text = last.text[...]
        var lead = ""
        func tokens(_ end: String) -> [Int32] {
            tokenizer.encode(before + [TextSegment(end, isMarkup: last.isMarkup)], addSpecial: true)
        }
        // Every start of a word that a pre-tokenizer might treat in its own way.
        let probes = ["a", "A", "1", "\"", "(", "é"]
        while true {
            let prefix = tokens(String(text))
            let isStable = probes.allSatisfy { probe in
                let event = tokenizer.encode(
                    lead + probe, addSpecial: false, parseSpecial: false,
                    continues: !tokenizer.beginsText(after: prefix.last))
                return prefix + event == tokens(last.text + probe)
            }
            guard !isStable, let blank = text.last, blank.isWhitespace else { return (prefix, lead) }
            lead = String(blank) + lead
            text.removeLast()
        }
    }
}
