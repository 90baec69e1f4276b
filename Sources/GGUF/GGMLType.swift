/// The storage format of a tensor's weights, numbered as in ggml's `enum ggml_type`.
public enum GGMLType: UInt32, Sendable, CaseIterable {
    case f32 = 0
    case f16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    case q8_0 = 8
    case q2_K = 10
    case q3_K = 11
    case q4_K = 12
    case q5_K = 13
    case q6_K = 14
    case iq4_nl = 20
    case iq4_xs = 23
    case bf16 = 30
    case mxfp4 = 39

    /// How many weights share one block; a row's length is a multiple of it.
    public var blockSize: Int {
        switch self {
        case .f32, .f16, .bf16: 1
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4_nl, .mxfp4: 32
        case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_xs: 256
        }
    }

    /// Bytes one block takes in the file: scales and mins first or last as ggml lays them, then the packed weights.
    public var bytesPerBlock: Int {
        switch self {
        case .f32: 4
        case .f16, .bf16: 2
        case .q4_0, .iq4_nl: 2 + 16
        case .q4_1: 2 + 2 + 16
        case .q5_0: 2 + 4 + 16
        case .q5_1: 2 + 2 + 4 + 16
        case .q8_0: 2 + 32
        case .mxfp4: 1 + 16
        case .q2_K: 16 + 64 + 2 + 2
        case .q3_K: 32 + 64 + 12 + 2
        case .q4_K: 2 + 2 + 12 + 128
        case .q5_K: 2 + 2 + 12 + 32 + 128
        case .q6_K: 128 + 64 + 16 + 2
        case .iq4_xs: 2 + 2 + 4 + 128
        }
    }

    /// The name users know from file names, for example `Q4_1`.
    public var name: String {
        switch self {
        case .f32: "F32"
        case .f16: "F16"
        case .q4_0: "Q4_0"
        case .q4_1: "Q4_1"
        case .q5_0: "Q5_0"
        case .q5_1: "Q5_1"
        case .q8_0: "Q8_0"
        case .q2_K: "Q2_K"
        case .q3_K: "Q3_K"
        case .q4_K: "Q4_K"
        case .q5_K: "Q5_K"
        case .q6_K: "Q6_K"
        case .iq4_nl: "IQ4_NL"
        case .iq4_xs: "IQ4_XS"
        case .bf16: "BF16"
        case .mxfp4: "MXFP4"
        }
    }

    /// Bytes of one row of `length` weights, or nil when the length is no multiple of the block or overflows.
    public func rowByteCount(_ length: Int, isInterleaved: Bool = false) -> Int? {
        guard length > 0, length % blockSize == 0 else { return nil }
        let block = isInterleaved ? bytesPerInterleavedBlock : bytesPerBlock
        guard let block else { return nil }
        let (bytes, overflow) = (length / blockSize).multipliedReportingOverflow(by: block)
        return overflow ? nil : bytes
    }

    /// Set in the type number of a tensor whose rows are interleaved: Martlet's own, so other programs refuse it
    /// instead of misreading it. See `InterleavedFormat` for the layout.
    public static let interleavedFlag: UInt32 = 0x1000
    /// Rows that are interleaved with each other; the rows of such a tensor are a multiple of it.
    public static let interleavedRows = 16

    /// Bytes of a block among interleaved rows, or nil when the type's rows are never interleaved.
    public var bytesPerInterleavedBlock: Int? {
        switch self {
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q6_K, .iq4_nl: bytesPerBlock
        // A 6-bit scale and minimum take a byte each.
        case .q4_K, .q5_K: bytesPerBlock + 4
        case .f32, .f16, .bf16, .mxfp4, .q2_K, .q3_K, .iq4_xs: nil
        }
    }

    /// What a type number means that ggml knows and Martlet does not, for error messages only.
    static func describe(unknown number: UInt32) -> String {
        let names: [UInt32: String] = [
            9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
            24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0",
        ]
        return names[number].map { "type \($0) (\(number))" } ?? "unknown type number \(number)"
    }
}
