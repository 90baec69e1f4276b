/// A set of bytes.
struct ByteSet: Hashable, Sendable {
    private(set) var words: SIMD4<UInt64> = .zero

    init() {}
    init(_ byte: UInt8) { insert(byte) }
    init(_ range: ClosedRange<UInt8>) { for byte in range { insert(byte) } }

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }
    mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
    mutating func formUnion(_ other: ByteSet) { words |= other.words }

    static let all = ByteSet(0...255)

    /// A column for each byte such that bytes share one when every set treats them alike; and a byte of each column.
    static func columns(_ sets: [ByteSet]) -> (columns: [UInt8], samples: [UInt8]) {
        var columns = [UInt8](repeating: 0, count: 256)
        var count = 1
        for set in Set(sets) {
            // Splits each column in those inside and outside of the set.
            var inside: [UInt8: UInt8] = [:]
            var hasOutside = [Bool](repeating: false, count: count)
            for byte in 0...255 where !set.contains(UInt8(byte)) { hasOutside[Int(columns[byte])] = true }
            for byte in 0...255 where set.contains(UInt8(byte)) {
                let old = columns[byte]
                guard hasOutside[Int(old)] else { continue }
                if inside[old] == nil {
                    inside[old] = UInt8(truncatingIfNeeded: count)
                    count += 1
                }
                columns[byte] = inside[old] ?? old
            }
        }
        var samples = [UInt8](repeating: 0, count: count)
        for byte in (0...255).reversed() { samples[Int(columns[byte])] = UInt8(byte) }
        return (columns, samples)
    }
}
