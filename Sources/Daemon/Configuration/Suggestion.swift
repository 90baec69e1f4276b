/// "Did you mean": the known word nearest to what was written.
package enum Suggestion {
    /// The nearest of `candidates`, or nil when none is near enough to be what was meant.
    package static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        let word = word.lowercased()
        // Two slips in a word of four are another word; longer words may hold more.
        let limit = word.count <= 4 ? 1 : word.count <= 8 ? 2 : 3
        var best: (distance: Int, word: String)?
        for candidate in candidates {
            let distance = distance(Array(word.utf8.prefix(64)), Array(candidate.lowercased().utf8.prefix(64)))
            if distance <= limit, distance < (best?.distance ?? .max) { best = (distance, candidate) }
        }
        return best?.word
    }

    /// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var row = [i + 1]
            for (j, b) in right.enumerated() {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a == b ? 0 : 1))
                if i > 0, j > 0, a == right[j - 1], left[i - 1] == b { cost = min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            beforeLast = last
            last = row
        }
        return last[right.count]
    }
}
