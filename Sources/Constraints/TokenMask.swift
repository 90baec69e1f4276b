/// A set of tokens.
public struct TokenMask: Sendable, Equatable {
    public private(set) var words: [UInt64]
    public private(set) var count = 0

    init(vocabulary count: Int) { words = [UInt64](repeating: 0, count: (count + 63) / 64) }

    public func contains(_ token: Int32) -> Bool {
        token >= 0 && Int(token) < words.count * 64 && words[Int(token) / 64] >> UInt64(token % 64) & 1 == 1
    }

    mutating func insert(_ token: Int32) {
        guard !contains(token) else { return }
        words[Int(token) / 64] |= 1 << UInt64(token % 64)
        count += 1
    }

    public mutating func remove(_ token: Int32) {
        guard contains(token) else { return }
        words[Int(token) / 64] &= ~(1 << UInt64(token % 64))
        count -= 1
    }

    /// Calls `body` with each token below `limit`, in order.
    // The body is a comparison; a call for each token would cost more than all the rest.
    @inlinable @inline(__always)
    public func forEach(below limit: Int, _ body: (Int) -> Void) {
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                let token = index * 64 + rest.trailingZeroBitCount
                guard token < limit else { return }
                body(token)
                rest &= rest - 1
            }
        }
    }
}
