import Linux

/// Reads little-endian values one after another; every read is checked against the end of the file.
///
/// GGUF aligns nothing before the tensor data, so all loads are unaligned.
struct ByteCursor {
    let path: String
    let bytes: UnsafeRawBufferPointer
    var offset: Int

    var remaining: Int { bytes.count - offset }

    /// The next integer of type `T`. `what` names it should the file end here.
    mutating func integer<T: FixedWidthInteger>(
        _ type: T.Type, _ what: @autoclosure () -> String
    ) throws(GGUFError) -> T {
        guard remaining >= MemoryLayout<T>.size else { throw truncated(what()) }
        let value = T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
        offset += MemoryLayout<T>.size
        return value
    }

    /// Passes over `count` bytes and returns where they began.
    mutating func skip(_ count: UInt64, _ what: @autoclosure () -> String) throws(GGUFError) -> Int {
        guard count <= UInt64(remaining) else { throw truncated(what()) }
        let start = offset
        offset += Int(count)
        return start
    }

    /// Passes over a length-prefixed string and returns the range of its bytes.
    mutating func string(_ what: @autoclosure () -> String) throws(GGUFError) -> Range<Int> {
        let count = try integer(UInt64.self, what())
        let start = try skip(count, what())
        return start..<offset
    }

    func text(_ range: Range<Int>) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
    }

    func truncated(_ what: String) -> GGUFError {
        GGUFError(damaged: path, "it ends inside \(what) (\(bytes.count) bytes)")
    }
}
