/// One tensor of a file: its shape, its storage format and its bytes in the mapping.
///
/// Ownership: `bytes` belongs to the `GGUFFile` it came from and must not outlive it.
// @unchecked because the bytes are read-only pages of the mapping.
public struct GGUFTensor: @unchecked Sendable {
    public let name: String
    /// Lengths in GGUF order: the first is the row length, whose weights lie side by side.
    public let dimensions: [Int]
    public let type: GGMLType
    /// Whether sixteen rows stand side by side, as `martlet model pack` writes them.
    public let isInterleaved: Bool
    /// The weights as stored, `rows` × `rowByteCount`.
    public let bytes: UnsafeRawBufferPointer

    /// Weights in one row.
    public var rowLength: Int { dimensions[0] }
    /// Rows: the product of all other dimensions.
    public var rows: Int { dimensions.dropFirst().reduce(1, *) }
    /// Bytes of one row; its share of sixteen where they are interleaved.
    public var rowByteCount: Int {
        let block = isInterleaved ? type.bytesPerInterleavedBlock : nil
        return rowLength / type.blockSize * (block ?? type.bytesPerBlock)
    }
    /// The name users know, with the rows side by side where there are such, for example `Q4_1` or `Q4_1x16`.
    public var typeName: String { isInterleaved ? "\(type.name)x\(GGMLType.interleavedRows)" : type.name }
    /// Weights in the whole tensor.
    public var elementCount: Int { rowLength * rows }
}

extension ByteCursor {
    /// ggml's GGML_MAX_DIMS.
    static let mostDimensions: UInt32 = 4
    /// ggml refuses names of 64 bytes and more; some writers do not, so leave room, but bound a damaged length.
    static let longestTensorName = 1024

    /// One entry of the tensor directory, checked but for its place in the file.
    mutating func tensorInfo() throws(GGUFError) -> TensorInfo {
        let range = try string("the tensor directory")
        guard range.count <= Self.longestTensorName, !range.isEmpty else {
            throw GGUFError(damaged: path, "a tensor name has \(range.count) bytes")
        }
        let name = text(range)
        let what = "the tensor directory at \(quoted(name))"
        let count = try integer(UInt32.self, what)
        guard (1...Self.mostDimensions).contains(count) else {
            throw GGUFError(damaged: path, "tensor \(quoted(name)) has \(count) dimensions instead of 1 to 4")
        }
        var dimensions: [Int] = []
        for _ in 0..<count {
            let length = try integer(UInt64.self, what)
            guard length > 0, let length = Int(exactly: length) else {
                throw GGUFError(damaged: path, "tensor \(quoted(name)) has a dimension of \(length)")
            }
            dimensions.append(length)
        }
        let number = try integer(UInt32.self, what)
        let isInterleaved = number & GGMLType.interleavedFlag != 0
        guard let type = GGMLType(rawValue: number & ~GGMLType.interleavedFlag),
            !isInterleaved || type.bytesPerInterleavedBlock != nil
        else {
            throw GGUFError(
                unsupported: path, "tensor \(quoted(name)) has \(GGMLType.describe(unknown: number))",
                "Use a file quantised as Q4_0, Q4_1, Q8_0, Q4_K or Q6_K")
        }
        let offset = try integer(UInt64.self, what)
        let size = try byteCount(name, dimensions, type, isInterleaved)
        return TensorInfo(
            name: name, dimensions: dimensions, type: type, isInterleaved: isInterleaved, offset: offset,
            byteCount: size)
    }

    private func byteCount(
        _ name: String, _ dimensions: [Int], _ type: GGMLType, _ isInterleaved: Bool
    ) throws(GGUFError) -> Int {
        let rows = dimensions.dropFirst().reduce(Int?(1)) { product, length in
            product.flatMap { checkedProduct($0, length) }
        }
        guard !isInterleaved || rows.map({ $0 % GGMLType.interleavedRows == 0 }) == true else {
            throw GGUFError(
                damaged: path,
                "tensor \(quoted(name)) interleaves \(rows ?? 0) rows, no multiple of \(GGMLType.interleavedRows)")
        }
        guard dimensions[0] % type.blockSize == 0 else {
            throw GGUFError(
                damaged: path,
                "tensor \(quoted(name)) has rows of \(dimensions[0]) weights, no multiple of "
                    + "\(type.name)'s block of \(type.blockSize)")
        }
        var size = type.rowByteCount(dimensions[0], isInterleaved: isInterleaved)
        var elements: Int? = dimensions[0]
        for length in dimensions.dropFirst() {
            size = size.flatMap { checkedProduct($0, length) }
            elements = elements.flatMap { checkedProduct($0, length) }
        }
        guard let size, elements != nil else {
            throw GGUFError(damaged: path, "the size of tensor \(quoted(name)) \(dimensions) overflows")
        }
        return size
    }
}

/// What the directory says of a tensor, before its place in the file is known.
struct TensorInfo {
    let name: String
    let dimensions: [Int]
    let type: GGMLType
    let isInterleaved: Bool
    /// Relative to the start of the data section.
    let offset: UInt64
    let byteCount: Int
}

func checkedProduct(_ left: Int, _ right: Int) -> Int? {
    let (value, overflow) = left.multipliedReportingOverflow(by: right)
    return overflow ? nil : value
}
