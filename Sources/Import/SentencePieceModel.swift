import GGUF
import Linux

/// tokenizer.model: SentencePiece's vocabulary with its scores, a protocol buffer of which two messages are read.
///
///     ModelProto   1: SentencePiece, repeated   2: TrainerSpec (3: model type)   3: NormalizerSpec
///     SentencePiece   1: text   2: score, float   3: kind
///     NormalizerSpec   3: whether a space is put first
struct SentencePieceModel {
    struct Piece {
        var text = ""
        var score: Float = 0
        var kind = TokenKind.normal
    }

    private(set) var pieces: [Piece] = []
    private(set) var addsSpacePrefix = true
    /// 1: unigram, 2: BPE, which GGUF's `llama` vocabulary means.
    private(set) var kind = 1

    /// Nil when the bytes are no such file.
    init?(_ bytes: [UInt8]) {
        var reader = ProtocolBuffer(bytes[...])
        while let field = reader.next() {
            switch field {
            case (1, .bytes(let message)):
                guard pieces.count < TokenList.largest, let piece = Self.piece(message) else { return nil }
                pieces.append(piece)
            case (2, .bytes(let message)): kind = Self.number(3, in: message) ?? 1
            case (3, .bytes(let message)): addsSpacePrefix = (Self.number(3, in: message) ?? 1) != 0
            default: break
            }
        }
        guard reader.isAtEnd, !pieces.isEmpty else { return nil }
    }

    private static func piece(_ message: ArraySlice<UInt8>) -> Piece? {
        var piece = Piece()
        var reader = ProtocolBuffer(message)
        while let field = reader.next() {
            switch field {
            case (1, .bytes(let text)):
                guard let text = String(validating: text, as: UTF8.self) else { return nil }
                piece.text = text
            case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .integer(let number)):
                guard let number = Int32(exactly: number), let kind = TokenKind(rawValue: number) else { return nil }
                piece.kind = kind
            default: break
            }
        }
        return reader.isAtEnd && piece.score.isFinite ? piece : nil
    }

    private static func number(_ number: UInt64, in message: ArraySlice<UInt8>) -> Int? {
        var reader = ProtocolBuffer(message)
        while let field = reader.next() {
            if case (number, .integer(let value)) = field { return Int(exactly: value) }
        }
        return nil
    }
}

/// The fields of one message, one after another; nothing is built from fields that nobody reads.
struct ProtocolBuffer {
    enum Value {
        case integer(UInt64)
        case fixed32(UInt32)
        case fixed64
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>
    private var failed = false

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// Whether all of it was read; false after something that is no field.
    var isAtEnd: Bool { rest.isEmpty && !failed }

    /// The next field, or nil at the end and at anything that is none.
    mutating func next() -> (number: UInt64, value: Value)? {
        guard !rest.isEmpty, !failed else { return nil }
        guard let key = variable(), let value = value(key & 7) else {
            failed = true
            return nil
        }
        return (key >> 3, value)
    }

    private mutating func value(_ kind: UInt64) -> Value? {
        switch kind {
        case 0: return variable().map { .integer($0) }
        case 1: return take(8).map { _ in .fixed64 }
        case 2:
            guard let count = variable(), count <= UInt64(rest.count) else { return nil }
            return take(Int(count)).map { .bytes($0) }
        case 5:
            return take(4).map { bytes in .fixed32(bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }) }
        default: return nil
        }
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    /// Seven bits a byte, the lowest first; ten bytes at most.
    private mutating func variable() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }
}
