/// A set of Unicode scalar values as sorted ranges that neither touch nor overlap. Surrogates are never members.
struct CodePointSet: Hashable, Sendable {
    private(set) var ranges: [ClosedRange<UInt32>]

    init(_ ranges: [ClosedRange<UInt32>] = []) {
        self.ranges = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            for part in Self.withoutSurrogates(range) {
                if let last = self.ranges.last, UInt64(part.lowerBound) <= UInt64(last.upperBound) + 1 {
                    let end = max(last.upperBound, part.upperBound)
                    self.ranges[self.ranges.count - 1] = last.lowerBound...end
                } else {
                    self.ranges.append(part)
                }
            }
        }
    }

    init(_ scalar: Unicode.Scalar) { ranges = [scalar.value...scalar.value] }

    private static func withoutSurrogates(_ range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
        let (low, high) = (range.lowerBound, min(range.upperBound, 0x10_FFFF))
        var parts: [ClosedRange<UInt32>] = []
        if low < 0xD800 { parts.append(low...min(high, 0xD7FF)) }
        if high > 0xDFFF, max(low, 0xE000) <= high { parts.append(max(low, 0xE000)...high) }
        return parts
    }

    static let all = CodePointSet([0...0x10_FFFF])

    func union(_ other: CodePointSet) -> CodePointSet { CodePointSet(ranges + other.ranges) }

    var inverted: CodePointSet {
        var gaps: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { gaps.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= 0x10_FFFF { gaps.append(next...0x10_FFFF) }
        return CodePointSet(gaps)
    }

    func subtracting(_ other: CodePointSet) -> CodePointSet { inverted.union(other).inverted }

    func contains(_ value: UInt32) -> Bool { ranges.contains { $0.contains(value) } }

    /// The classes of ECMA-262: ASCII digits and words, and its white space with line terminators.
    static let digit = CodePointSet([0x30...0x39])
    static let word = CodePointSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let space = CodePointSet([
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ])
    static let lineEnd = CodePointSet([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029])

    /// UTF-8 as sequences of byte ranges: each sequence is a path, and together they are exactly the set.
    ///
    /// The splitting follows RE2 and Go's regexp: a range is cut where the encoded length changes and where a
    /// continuation byte would not span all of 80–BF.
    var utf8: [[ClosedRange<UInt8>]] {
        var paths: [[ClosedRange<UInt8>]] = []
        for range in ranges {
            for bounds in [0...0x7F, 0x80...0x7FF, 0x800...0xFFFF, 0x1_0000...0x10_FFFF] as [ClosedRange<UInt32>]
            where range.overlaps(bounds) {
                Self.split(range.clamped(to: bounds), &paths)
            }
        }
        return paths
    }

    private static func split(_ range: ClosedRange<UInt32>, _ paths: inout [[ClosedRange<UInt8>]]) {
        let (low, high) = (range.lowerBound, range.upperBound)
        let length = low < 0x80 ? 1 : low < 0x800 ? 2 : low < 0x1_0000 ? 3 : 4
        for tail in stride(from: 1, to: length, by: 1) {
            // All values with the same bits above the last `tail` continuation bytes.
            let mask: UInt32 = (1 << (6 * UInt32(tail))) - 1
            guard low & ~mask != high & ~mask else { continue }
            if low & mask != 0 {
                split(low...(low | mask), &paths)
                return split((low | mask) + 1...high, &paths)
            }
            if high & mask != mask {
                split(low...(high & ~mask) - 1, &paths)
                return split(high & ~mask...high, &paths)
            }
        }
        paths.append(zip(encoded(low, length), encoded(high, length)).map { $0...$1 })
    }

    private static func encoded(_ value: UInt32, _ length: Int) -> [UInt8] {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | value >> shift & 0x3F) }
        return switch length {
        case 1: [UInt8(value)]
        case 2: [UInt8(0xC0 | value >> 6), tail(0)]
        case 3: [UInt8(0xE0 | value >> 12), tail(6), tail(0)]
        default: [UInt8(0xF0 | value >> 18), tail(12), tail(6), tail(0)]
        }
    }
}
