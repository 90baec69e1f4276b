import Linux

/// A GGUF file, versions 2 and 3, mapped read-only and checked whole when opened.
///
/// Layout (little-endian, no padding before the data):
///
///     "GGUF" | version u32 | tensors u64 | keys u64 | key, type, value … | name, dims, type, offset … | pad | data
///
/// After `init` every string, array and tensor is known to lie inside the file, so reading them cannot fail.
/// Metadata stays in the mapping and is decoded when asked for. Source: ggml's docs/gguf.md.
///
/// A model that gguf-split cut into `NAME-00001-of-00003.gguf` and so on is one `GGUFFile`, whichever part is opened:
/// the metadata is the first part's, the tensors are all parts', each in the mapping of its part.
public final class GGUFFile: Sendable {
    /// As the caller named it.
    public let path: String
    /// The file, or the first of its parts, which holds the metadata.
    public let mapped: MappedFile
    /// All parts in order; only `mapped` for a model in one file.
    public let parts: [MappedFile]
    /// 2 or 3; they differ in nothing Martlet reads.
    public let version: UInt32
    /// In the order of the file's directory.
    public let tensors: [GGUFTensor]
    /// `general.alignment`: tensor data begins at multiples of it.
    public let alignment: Int
    /// File offset at which tensor data begins.
    public let dataOffset: Int
    /// Keys in the order of the file.
    public let keys: [String]

    let entries: [String: MetadataEntry]
    /// Where each of `keys` stands in the file, name and value.
    let ranges: [Range<Int>]
    private let tensorIndex: [String: Int]

    /// Bytes of the file, or of all its parts.
    public var byteCount: Int { parts.reduce(0) { $0 + $1.bytes.count } }

    /// Maps and checks `path` and, where it is a part of a split model, all other parts.
    ///
    /// Throws `GGUFError`, in one sentence, when it or a part cannot be read or is not valid GGUF.
    public init(path: String) throws(GGUFError) {
        let opened = try GGUFPart(path: path)
        let others = try opened.others()
        let first = others.first ?? opened
        self.path = path
        (mapped, version, alignment, dataOffset) = (first.mapped, first.version, first.alignment, first.dataOffset)
        (keys, entries, ranges) = (first.keys, first.entries, first.ranges)
        parts = others.isEmpty ? [opened.mapped] : others.map(\.mapped)
        let tensors = others.isEmpty ? opened.tensors : others.flatMap(\.tensors)
        var index: [String: Int] = [:]
        index.reserveCapacity(tensors.count)
        for (position, tensor) in tensors.enumerated() {
            guard index.updateValue(position, forKey: tensor.name) == nil else {
                throw GGUFError(damaged: path, "tensor \(quoted(tensor.name)) appears twice")
            }
        }
        self.tensors = tensors
        tensorIndex = index
    }

    /// The tensor of that name, for example `blk.0.attn_q.weight`, or nil.
    public func tensor(named name: String) -> GGUFTensor? {
        tensorIndex[name].map { tensors[$0] }
    }
}

extension ByteCursor {
    /// Known models have under 2,000 tensors and 100 keys; the caps bound the tables built for a damaged file.
    static let mostTensors: UInt64 = 1 << 16
    static let mostKeys: UInt64 = 1 << 16
    /// The specification allows keys of up to 2^16 − 1 bytes.
    static let longestKey = 65_535
    /// Keys are copied out of the file; those of known models have 4 KB together.
    static let mostKeyBytes = 4 << 20

    mutating func header() throws(GGUFError) -> (version: UInt32, tensors: UInt64, keys: UInt64) {
        guard !bytes.isEmpty else { throw GGUFError(notGGUF: path, "it is empty") }
        guard bytes.count >= 4, bytes.loadUnaligned(as: UInt32.self) == UInt32(littleEndian: 0x4655_4747) else {
            throw GGUFError(notGGUF: path, "it does not begin with 'GGUF'")
        }
        offset = 4
        let version = try integer(UInt32.self, "its header")
        if version & 0xFFFF == 0, version != 0 {
            throw GGUFError(unsupported: path, "it is a big-endian GGUF", "Get the little-endian file")
        }
        if version == 1 {
            throw GGUFError(unsupported: path, "it is GGUF version 1 of 2023", "Get a newer file of the model")
        }
        guard version == 2 || version == 3 else {
            throw GGUFError(unsupported: path, "it is GGUF version \(version)", "Use a file of version 2 or 3")
        }
        let tensors = try integer(UInt64.self, "its header")
        let keys = try integer(UInt64.self, "its header")
        guard tensors <= Self.mostTensors else {
            throw GGUFError(damaged: path, "it claims \(tensors) tensors, more than \(Self.mostTensors)")
        }
        guard keys <= Self.mostKeys else {
            throw GGUFError(damaged: path, "it claims \(keys) metadata keys, more than \(Self.mostKeys)")
        }
        return (version, tensors, keys)
    }

    mutating func metadata(count: UInt64) throws(GGUFError) -> ([String], [String: MetadataEntry], [Range<Int>]) {
        var keys: [String] = []
        var entries: [String: MetadataEntry] = [:]
        var ranges: [Range<Int>] = []
        var keyBytes = 0
        for _ in 0..<count {
            let start = offset
            let range = try string("its metadata")
            guard !range.isEmpty, range.count <= Self.longestKey else {
                throw GGUFError(damaged: path, "a metadata key has \(range.count) bytes")
            }
            keyBytes += range.count
            guard keyBytes <= Self.mostKeyBytes else {
                throw GGUFError(
                    damaged: path, "its metadata keys have more than \(Self.mostKeyBytes >> 20) MiB together")
            }
            let key = text(range)
            let number = try integer(UInt32.self, "the value of \(quoted(key))")
            guard let type = GGUFValueType(rawValue: number) else {
                throw GGUFError(damaged: path, "\(quoted(key)) has unknown value type \(number)")
            }
            guard entries.updateValue(try value(type, of: key), forKey: key) == nil else {
                throw GGUFError(damaged: path, "metadata key \(quoted(key)) appears twice")
            }
            keys.append(key)
            ranges.append(start..<offset)
        }
        return (keys, entries, ranges)
    }

    func alignment(_ entry: MetadataEntry?) throws(GGUFError) -> Int {
        guard let entry else { return 32 }
        // A page of the largest kind Linux uses on ARM; more would only be padding.
        let largest = 65_536
        guard entry.type == .uint32 else {
            throw GGUFError(damaged: path, "general.alignment is no 32-bit unsigned number")
        }
        let value = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: entry.offset, as: UInt32.self)))
        guard value > 0, value & (value - 1) == 0, value <= largest else {
            throw GGUFError(damaged: path, "general.alignment is \(value), not a power of two up to \(largest)")
        }
        return value
    }

    mutating func directory(count: UInt64) throws(GGUFError) -> [TensorInfo] {
        var infos: [TensorInfo] = []
        for _ in 0..<count { infos.append(try tensorInfo()) }
        return infos
    }

    /// The next multiple of `alignment`. It may lie past the end when the file has no tensors.
    func dataOffset(alignment: Int) -> Int { (offset + alignment - 1) & ~(alignment - 1) }

    /// Checks that each tensor lies inside the file. Tensors may share bytes: tied weights do in some files.
    func place(_ infos: [TensorInfo], dataOffset: Int, alignment: Int) throws(GGUFError) -> [GGUFTensor] {
        var tensors: [GGUFTensor] = []
        tensors.reserveCapacity(infos.count)
        let available = UInt64(max(0, bytes.count - dataOffset))
        for info in infos {
            guard info.offset % UInt64(alignment) == 0 else {
                throw GGUFError(
                    damaged: path,
                    "tensor \(quoted(info.name)) begins at \(info.offset), no multiple of the alignment \(alignment)")
            }
            guard info.offset <= available, UInt64(info.byteCount) <= available - info.offset else {
                throw GGUFError(
                    damaged: path,
                    "tensor \(quoted(info.name)) needs \(info.byteCount) bytes at \(info.offset) of its data, "
                        + "which has \(available)")
            }
            let start = dataOffset + Int(info.offset)
            tensors.append(
                GGUFTensor(
                    name: info.name, dimensions: info.dimensions, type: info.type, isInterleaved: info.isInterleaved,
                    bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<start + info.byteCount])))
        }
        return tensors
    }
}
