/// The kinds of metadata values, numbered as in the GGUF specification.
public enum GGUFValueType: UInt32, Sendable {
    case uint8 = 0
    case int8 = 1
    case uint16 = 2
    case int16 = 3
    case uint32 = 4
    case int32 = 5
    case float32 = 6
    case bool = 7
    case string = 8
    case array = 9
    case uint64 = 10
    case int64 = 11
    case float64 = 12

    /// Bytes one value takes; nil where that depends on the value.
    var byteCount: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }

    /// The fewest bytes one element can take: what bounds an array's count by the file's size.
    var smallestByteCount: Int {
        switch self {
        case .string: 8  // its length
        case .array: 12  // its element type and count
        default: byteCount ?? 1
        }
    }
}

/// Where a metadata value lies in the file; values are read when asked for, so metadata costs no copies.
struct MetadataEntry {
    let type: GGUFValueType
    /// Offset of the value, or of an array's first element.
    let offset: Int
    /// Only for arrays.
    let elementType: GGUFValueType
    /// Elements of an array; 1 otherwise.
    let count: Int
}

extension ByteCursor {
    /// How deep arrays may lie inside arrays. No known file nests at all; the cap bounds recursion on a damaged one.
    static let deepestArray = 4
    /// The most elements one array may have. The largest vocabularies hold under 300,000 tokens and 600,000 merges;
    /// this keeps the work on a damaged file, and the 32-bit indices built from it, bounded.
    static let longestArray: UInt64 = 1 << 24

    /// Walks over one value of `type`, checking all of it, and returns where it lies.
    mutating func value(_ type: GGUFValueType, of key: String, depth: Int = 0) throws(GGUFError) -> MetadataEntry {
        switch type {
        case .string:
            let start = offset
            _ = try string("the value of \(quoted(key))")
            return MetadataEntry(type: .string, offset: start, elementType: .string, count: 1)
        case .array:
            return try array(of: key, depth: depth)
        default:
            let start = try skip(UInt64(type.byteCount ?? 0), "the value of \(quoted(key))")
            if type == .bool, bytes[start] > 1 {
                throw GGUFError(damaged: path, "\(quoted(key)) is a bool with value \(bytes[start])")
            }
            return MetadataEntry(type: type, offset: start, elementType: type, count: 1)
        }
    }

    private mutating func array(of key: String, depth: Int) throws(GGUFError) -> MetadataEntry {
        guard depth < Self.deepestArray else {
            throw GGUFError(damaged: path, "\(quoted(key)) nests arrays deeper than \(Self.deepestArray)")
        }
        let what = "the array \(quoted(key))"
        let number = try integer(UInt32.self, what)
        guard let element = GGUFValueType(rawValue: number) else {
            throw GGUFError(damaged: path, "\(what) has elements of unknown type \(number)")
        }
        let count = try integer(UInt64.self, what)
        guard count <= Self.longestArray, count <= UInt64(remaining / element.smallestByteCount) else {
            throw GGUFError(damaged: path, "\(what) claims \(count) elements, more than the file can hold")
        }
        let start = offset
        if let size = element.byteCount {
            _ = try skip(count * UInt64(size), what)
        } else if element == .string {
            for _ in 0..<count { _ = try string(what) }
        } else {
            for _ in 0..<count { _ = try array(of: key, depth: depth + 1) }
        }
        guard offset - start <= Int(UInt32.max) else {
            throw GGUFError(damaged: path, "\(what) is larger than 4 GiB")
        }
        return MetadataEntry(type: .array, offset: start, elementType: element, count: Int(count))
    }
}
