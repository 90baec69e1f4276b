import Linux

/// A GGUF file, versions 2 and 3, mapped read-only and checked whole when opened.
///
/// Layout (little-endian, no padding before the data):
///
///     "GGUF" | version u32 | tensors u64 | keys u64 | key, type, value … | name, dims, type, offset … | pad | data
///
/// After `init` every string, array and tensor is known to lie inside the file, so reading them cannot fail.
/// Metadata stays in the mapping and is decoded when asked for. Source: ggml's docs/gguf.md.
public final class GGUFFile: Sendable {
    public let path: String
    public let mapped: MappedFile
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
    /// All keys and values as they stand in the file.
    // Unchecked because the bytes are read-only pages of `mapped`, which lives as long.
    nonisolated(unsafe) let metadata: UnsafeRawBufferPointer
    private let tensorIndex: [String: Int]

    /// Maps and checks `path`. Throws `GGUFError`, in one sentence, when it cannot be read or is not valid GGUF.
    public init(path: String) throws(GGUFError) {
        self.path = path
        do {
            mapped = try MappedFile(path: path)
        } catch {
            throw GGUFError(unreachable: path, error)
        }
        var cursor = ByteCursor(path: path, bytes: mapped.bytes, offset: 0)
        let header = try cursor.header()
        version = header.version
        let metadataStart = cursor.offset
        (keys, entries) = try cursor.metadata(count: header.keys)
        metadata = UnsafeRawBufferPointer(rebasing: mapped.bytes[metadataStart..<cursor.offset])
        alignment = try cursor.alignment(entries["general.alignment"])
        let infos = try cursor.directory(count: header.tensors)
        dataOffset = cursor.dataOffset(alignment: alignment)
        tensors = try cursor.place(infos, dataOffset: dataOffset, alignment: alignment)
        var index: [String: Int] = [:]
        index.reserveCapacity(tensors.count)
        for (position, tensor) in tensors.enumerated() {
            guard index.updateValue(position, forKey: tensor.name) == nil else {
                throw GGUFError(damaged: path, "tensor \(quoted(tensor.name)) appears twice")
            }
        }
        tensorIndex = index
        try refusePart()
    }

    /// One part of a model that llama.cpp's gguf-split cut is valid, but the others' tensors are missing.
    private func refusePart() throws(GGUFError) {
        guard let parts = integer("split.count"), parts > 1 else { return }
        // The file counts from 0, its name from 1.
        let part = integer("split.no").map { "part \($0 &+ 1) of \(parts)" } ?? "one of the \(parts) parts"
        throw GGUFError(
            unsupported: path, "it is \(part) of a split model, which is not read yet",
            "Join the parts: llama-gguf-split --merge NAME-00001-of-\(padded(parts)).gguf NAME.gguf")
    }

    /// As gguf-split names its parts.
    private func padded(_ parts: Int) -> String {
        String(repeating: "0", count: max(0, 5 - String(parts).count)) + String(parts)
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

    mutating func metadata(count: UInt64) throws(GGUFError) -> ([String], [String: MetadataEntry]) {
        var keys: [String] = []
        var entries: [String: MetadataEntry] = [:]
        for _ in 0..<count {
            let range = try string("its metadata")
            guard !range.isEmpty, range.count <= Self.longestKey else {
                throw GGUFError(damaged: path, "a metadata key has \(range.count) bytes")
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
        }
        return (keys, entries)
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
