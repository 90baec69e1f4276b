import Linux

/// How the numbers of a tensor are stored. Raw values are the header's names.
public enum SafetensorsType: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case u8 = "U8"
    case i8 = "I8"
    case f8e4m3 = "F8_E4M3"
    case f8e5m2 = "F8_E5M2"
    case u16 = "U16"
    case i16 = "I16"
    case f16 = "F16"
    case bf16 = "BF16"
    case u32 = "U32"
    case i32 = "I32"
    case f32 = "F32"
    case u64 = "U64"
    case i64 = "I64"
    case f64 = "F64"

    public var byteCount: Int {
        switch self {
        case .bool, .u8, .i8, .f8e4m3, .f8e5m2: 1
        case .u16, .i16, .f16, .bf16: 2
        case .u32, .i32, .f32: 4
        case .u64, .i64, .f64: 8
        }
    }
}

/// One tensor of a file: its shape, its type and its bytes in the mapping.
///
/// Ownership: it keeps the mapping alive; `bytes` must not outlive it.
// @unchecked because the bytes are read-only pages of the mapping.
public struct SafetensorsTensor: @unchecked Sendable {
    public let name: String
    public let type: SafetensorsType
    /// Row-major, the longest stride first: the reverse of GGUF's order. Empty for a single number.
    public let shape: [Int]
    /// Of any alignment: the header before it may have any length.
    public let bytes: UnsafeRawBufferPointer
    private let mapped: MappedFile

    init(_ name: String, _ type: SafetensorsType, _ shape: [Int], _ range: Range<Int>, of mapped: MappedFile) {
        (self.name, self.type, self.shape, self.mapped) = (name, type, shape, mapped)
        bytes = UnsafeRawBufferPointer(rebasing: mapped.bytes[range])
    }

    public var elementCount: Int { bytes.count / type.byteCount }

    /// Whether `float` can read it.
    public var isFloat: Bool { [.f16, .bf16, .f32, .f64].contains(type) }

    /// Element `index` in row-major order; only for `isFloat` and an index below `elementCount`.
    @inlinable
    public func float(_ index: Int) -> Float {
        switch type {
        case .f32: Float(bitPattern: word(index, UInt32.self))
        case .f16: Float(Float16(bitPattern: word(index, UInt16.self)))
        case .bf16: Float(bitPattern: UInt32(word(index, UInt16.self)) << 16)
        default: Float(Double(bitPattern: word(index, UInt64.self)))
        }
    }

    /// The bits of element `index`; only for types of that width.
    @inlinable
    public func word<T: FixedWidthInteger>(_ index: Int, _ type: T.Type) -> T {
        T(littleEndian: bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self))
    }

    /// Elements `first`, `first + stride` … as floats; only for `isFloat` and indices below `elementCount`.
    public func read(_ first: Int, _ stride: Int, _ count: Int, into out: UnsafeMutablePointer<Float>) {
        switch type {
        // The switch inside `float` would be taken once a weight.
        case .f32: for j in 0..<count { out[j] = Float(bitPattern: word(first + j * stride, UInt32.self)) }
        case .f16: for j in 0..<count { out[j] = Float(Float16(bitPattern: word(first + j * stride, UInt16.self))) }
        case .bf16:
            for j in 0..<count { out[j] = Float(bitPattern: UInt32(word(first + j * stride, UInt16.self)) << 16) }
        default: for j in 0..<count { out[j] = float(first + j * stride) }
        }
    }
}
