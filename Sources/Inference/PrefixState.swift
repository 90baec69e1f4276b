import Linux

/// The state behind a prefix, copied out of the cache or mapped from a file: put back, it saves computing the prefix
/// again.
public struct PrefixState: Sendable {
    public let count: Int
    private let cells: Cells

    enum Cells: Sendable {
        case memory([UInt8])
        /// The bytes of a file from an offset on.
        case mapped(MappedFile, from: Int)
    }

    init(count: Int, cells: Cells) {
        self.count = count
        self.cells = cells
    }

    /// Bytes of memory it holds: none of a file, whose pages the system gives and takes.
    public var byteCount: Int {
        switch cells {
        case .memory(let bytes): bytes.count
        case .mapped: 0
        }
    }

    func withCells<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch cells {
        case .memory(let bytes): bytes.withUnsafeBytes(body)
        case .mapped(let file, let start):
            withExtendedLifetime(file) { body(UnsafeRawBufferPointer(rebasing: file.bytes[start...])) }
        }
    }

    func append(to file: ReplacedFile) throws(SystemError) {
        switch cells {
        case .memory(let bytes): try file.append(bytes)
        case .mapped(let mapped, let start): try file.append(mapped.bytes[start...])
        }
    }
}
