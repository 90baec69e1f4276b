import Linux

/// A metadata value to be written.
public enum GGUFValue: Sendable, Equatable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case uint64(UInt64)
    case int64(Int64)
    case float32(Float)
    case float64(Double)
    case bool(Bool)
    case string(String)
    /// Elements are all of the given type.
    case array(GGUFValueType, [GGUFValue])

    public static func strings(_ values: some Sequence<String>) -> GGUFValue {
        .array(.string, values.map { .string($0) })
    }
    public static func int32s(_ values: some Sequence<Int32>) -> GGUFValue { .array(.int32, values.map { .int32($0) }) }
    public static func floats(_ values: some Sequence<Float>) -> GGUFValue {
        .array(.float32, values.map { .float32($0) })
    }

    public var type: GGUFValueType {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .uint64: .uint64
        case .int64: .int64
        case .float32: .float32
        case .float64: .float64
        case .bool: .bool
        case .string: .string
        case .array: .array
        }
    }
}

/// Writes GGUF version 3: metadata first, then tensors one after another, streamed, so that a model larger than memory
/// can be converted.
public struct GGUFWriter: Sendable {
    /// A tensor to come: what the directory says of it.
    public struct Tensor: Sendable {
        public let name: String
        /// GGUF order: the row length first.
        public let dimensions: [Int]
        public let type: GGMLType
        /// Whether sixteen rows stand side by side.
        public let isInterleaved: Bool
        /// Bytes that must be appended for it.
        public let byteCount: Int
    }

    private var metadata: [(key: String, value: GGUFValue)] = []
    /// Another file's metadata, which comes first.
    private var copied: (bytes: [UInt8], count: Int) = ([], 0)
    public private(set) var tensors: [Tensor] = []
    /// Tensor data begins at multiples of it; a power of two.
    public let alignment: Int

    /// - Parameter alignment: a power of two; anything else counts as 32, the format's default.
    public init(alignment: Int = 32) {
        let isPower = alignment > 0 && alignment & (alignment - 1) == 0 && alignment <= 65_536
        self.alignment = isPower ? alignment : 32
        if self.alignment != 32 { set("general.alignment", .uint32(UInt32(self.alignment))) }
    }

    /// A file with the metadata and the alignment of `file`; `set` adds keys that it does not have.
    ///
    /// Of a split model the keys that tell its parts are left out: what is written is one file.
    public init(metadataOf file: GGUFFile) {
        alignment = file.alignment
        for (key, range) in zip(file.keys, file.ranges) where !key.hasPrefix("split.") {
            copied.bytes += file.mapped.bytes[range]
            copied.count += 1
        }
    }

    /// Sets a metadata value, replacing one of the same key.
    public mutating func set(_ key: String, _ value: GGUFValue) {
        if let index = metadata.firstIndex(where: { $0.key == key }) {
            metadata[index].value = value
        } else {
            metadata.append((key, value))
        }
    }

    /// A value that was set; nil for a key that was not, or that came with another file's metadata.
    public subscript(key: String) -> GGUFValue? { metadata.first { $0.key == key }?.value }

    /// Announces a tensor; data is written in the order of these calls. Throws when the shape does not fit the type.
    public mutating func add(
        tensor name: String, _ dimensions: [Int], _ type: GGMLType, isInterleaved: Bool = false
    ) throws(GGUFError) {
        let fits = (1...4).contains(dimensions.count) && dimensions.allSatisfy { $0 > 0 }
        let row = dimensions.first.flatMap { type.rowByteCount($0, isInterleaved: isInterleaved) }
        let bytes = dimensions.dropFirst().reduce(row) { size, length in size.flatMap { checkedProduct($0, length) } }
        guard fits, let bytes else {
            throw GGUFError(
                unsupported: quoted(name), "a tensor of shape \(dimensions) cannot be stored as \(type.name)",
                "Choose a type whose block divides the row")
        }
        tensors.append(
            Tensor(name: name, dimensions: dimensions, type: type, isInterleaved: isInterleaved, byteCount: bytes))
    }

    /// Everything before the tensor data, padded to where it begins.
    public func header() -> [UInt8] {
        var bytes = Array("GGUF".utf8)
        bytes.append(integer: UInt32(3))
        bytes.append(integer: UInt64(tensors.count))
        bytes.append(integer: UInt64(copied.count + metadata.count))
        bytes += copied.bytes
        for (key, value) in metadata {
            bytes.append(string: key)
            bytes.append(integer: value.type.rawValue)
            bytes.append(value: value)
        }
        var offset = 0
        for tensor in tensors {
            bytes.append(string: tensor.name)
            bytes.append(integer: UInt32(tensor.dimensions.count))
            for length in tensor.dimensions { bytes.append(integer: UInt64(length)) }
            bytes.append(integer: tensor.type.rawValue | (tensor.isInterleaved ? GGMLType.interleavedFlag : 0))
            bytes.append(integer: UInt64(offset))
            offset = padded(offset + tensor.byteCount)
        }
        bytes += [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
        return bytes
    }

    /// Writes the file, replacing `path` only when complete.
    ///
    /// - Parameter fill: called for each tensor in order; appends exactly its `byteCount` bytes.
    public func write(
        to path: String, fill: (Tensor, ReplacedFile) throws(SystemError) -> Void
    ) throws(GGUFError) {
        do throws(SystemError) {
            let file = try ReplacedFile(path: path)
            try file.append(header())
            for tensor in tensors {
                let start = file.count
                try fill(tensor, file)
                // A wrong count would shift every later tensor: a mistake of the caller, reported as an invalid call.
                guard file.count - start == tensor.byteCount else {
                    throw SystemError("write tensor \(quoted(tensor.name)) of", path, code: 22)
                }
                try file.append([UInt8](repeating: 0, count: padded(file.count) - file.count))
            }
            try file.commit()
        } catch {
            throw GGUFError(unwritable: path, error)
        }
    }

    private func padded(_ offset: Int) -> Int { (offset + alignment - 1) & ~(alignment - 1) }
}

extension [UInt8] {
    fileprivate mutating func append<T: FixedWidthInteger>(integer value: T) {
        for shift in 0..<MemoryLayout<T>.size { append(UInt8(truncatingIfNeeded: value >> (8 * T(shift)))) }
    }

    fileprivate mutating func append(string: String) {
        append(integer: UInt64(string.utf8.count))
        append(contentsOf: string.utf8)
    }

    fileprivate mutating func append(value: GGUFValue) {
        switch value {
        case .uint8(let value): append(integer: value)
        case .int8(let value): append(integer: value)
        case .uint16(let value): append(integer: value)
        case .int16(let value): append(integer: value)
        case .uint32(let value): append(integer: value)
        case .int32(let value): append(integer: value)
        case .uint64(let value): append(integer: value)
        case .int64(let value): append(integer: value)
        case .float32(let value): append(integer: value.bitPattern)
        case .float64(let value): append(integer: value.bitPattern)
        case .bool(let value): append(value ? 1 : 0)
        case .string(let value): append(string: value)
        case .array(let type, let values):
            append(integer: type.rawValue)
            append(integer: UInt64(values.count))
            for value in values { append(value: value) }
        }
    }
}
