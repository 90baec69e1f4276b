import Linux

/// An array of strings in the metadata, for example a vocabulary: slices of the mapping, found through 4 bytes each.
///
/// Ownership: keeps the mapping alive; a slice must not outlive the array or its `GGUFFile`.
public struct GGUFStringArray: RandomAccessCollection, Sendable {
    let mapped: MappedFile
    /// File offset of the first element's length.
    let base: Int
    /// Offset of each element's length relative to `base`. The array's size is checked to fit when the file is opened.
    let offsets: [UInt32]

    init(mapped: MappedFile, base: Int, count: Int) {
        self.mapped = mapped
        self.base = base
        let bytes = mapped.bytes
        offsets = [UInt32](unsafeUninitializedCapacity: count) { buffer, filled in
            var at = base
            for index in 0..<count {
                buffer[index] = UInt32(at - base)
                at += 8 + Self.length(bytes, at)
            }
            filled = count
        }
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { offsets.count }

    /// The bytes of one string, inside the mapping.
    public subscript(index: Int) -> UnsafeRawBufferPointer {
        let at = base + Int(offsets[index])
        let start = at + 8
        return UnsafeRawBufferPointer(rebasing: mapped.bytes[start..<start + Self.length(mapped.bytes, at)])
    }

    /// One string as text; invalid UTF-8 is repaired.
    public func text(_ index: Int) -> String { String(decoding: self[index], as: UTF8.self) }

    /// A string's length; it was checked against the file's end when the file was opened.
    static func length(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Int {
        Int(truncatingIfNeeded: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    }
}
