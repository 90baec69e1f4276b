/// What kind of token an entry of the vocabulary is, numbered as in `tokenizer.ggml.token_type`.
@frozen  // Compared for every token by rooms above: only so are comparisons compiled in there.
public enum TokenKind: Int32, Sendable {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
}
