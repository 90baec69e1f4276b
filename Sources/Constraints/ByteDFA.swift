/// A deterministic automaton over bytes, complete and trimmed: every state leads to an accepting one.
///
/// Used for the regular parts of a grammar: string contents, numbers, literals, property names. State 0 is dead.
struct ByteDFA: Sendable {
    /// Which column of `table` a byte belongs to; bytes that no state tells apart share one.
    let columns: [UInt8]
    let columnCount: Int
    /// (states, columns); 0 for no way on.
    let table: [Int32]
    let accepts: [Bool]
    /// Bytes of the shortest text from a state to the end.
    let distance: [Int32]
    /// 0 when nothing at all is accepted.
    let start: Int32

    static let dead: Int32 = 0

    var stateCount: Int { accepts.count }
    var isEmpty: Bool { start == Self.dead }

    func step(_ state: Int32, _ byte: UInt8) -> Int32 {
        table[Int(state) * columnCount + Int(columns[Int(byte)])]
    }

    /// Whether nothing can follow.
    func isFinal(_ state: Int32) -> Bool {
        let row = Int(state) * columnCount
        return table[row..<row + columnCount].allSatisfy { $0 == Self.dead }
    }

    func matches(_ bytes: some Sequence<UInt8>) -> Bool {
        var state = start
        for byte in bytes {
            state = step(state, byte)
            if state == Self.dead { return false }
        }
        return accepts[Int(state)]
    }
}

extension ByteDFA {
    /// Explores all states of an automaton that is given as functions; nil when there are more than `limit`.
    ///
    /// - Parameters:
    ///   - splits: sets of bytes that the states tell apart; bytes equal in all of them are tried once.
    ///   - next: the state behind a byte; nil for none.
    static func explore<State: Hashable>(
        _ start: State, splits: [ByteSet], limit: Int, next: (State, UInt8) throws(GrammarError) -> State?,
        accepts: (State) -> Bool
    ) throws(GrammarError) -> ByteDFA? {
        let (columns, samples) = ByteSet.columns(splits)
        var ids: [State: Int32] = [start: 1]
        var states = [start]
        var table = [Int32](repeating: dead, count: samples.count)
        var at = 0
        while at < states.count {
            let state = states[at]
            for byte in samples {
                guard let other = try next(state, byte) else {
                    table.append(dead)
                    continue
                }
                if let id = ids[other] {
                    table.append(id)
                } else {
                    guard states.count < limit else { return nil }
                    states.append(other)
                    let id = Int32(truncatingIfNeeded: states.count)
                    ids[other] = id
                    table.append(id)
                }
            }
            at += 1
        }
        return ByteDFA(columns, samples.count, table, [false] + states.map(accepts))
    }

    /// One that accepts exactly these texts.
    static func literals(_ texts: [[UInt8]]) -> ByteDFA {
        let (columns, samples) = ByteSet.columns(Set(texts.joined()).map { ByteSet($0) })
        var table = [Int32](repeating: dead, count: samples.count * 2)
        var accepts = [false, false]
        for text in texts {
            var state = 1
            for byte in text {
                let cell = state * samples.count + Int(columns[Int(byte)])
                if table[cell] == dead {
                    table[cell] = Int32(truncatingIfNeeded: accepts.count)
                    accepts.append(false)
                    table += [Int32](repeating: dead, count: samples.count)
                }
                state = Int(table[cell])
            }
            accepts[state] = true
        }
        return ByteDFA(columns, samples.count, table, accepts)
    }

    /// Measures distances and cuts every way that leads nowhere. State 1 is the start.
    private init(_ columns: [UInt8], _ columnCount: Int, _ untrimmed: [Int32], _ accepts: [Bool]) {
        var before = [[Int32]](repeating: [], count: accepts.count)
        for (cell, state) in untrimmed.enumerated() where state != Self.dead {
            before[Int(state)].append(Int32(truncatingIfNeeded: cell / columnCount))
        }
        var distance = [Int32](repeating: .max, count: accepts.count)
        var queue = accepts.indices.filter { accepts[$0] }
        for state in queue { distance[state] = 0 }
        var at = 0
        while at < queue.count {
            let state = queue[at]
            at += 1
            for other in before[state] where distance[Int(other)] == .max {
                distance[Int(other)] = distance[state] + 1
                queue.append(Int(other))
            }
        }
        self.columns = columns
        self.columnCount = columnCount
        table = untrimmed.map { distance[Int($0)] == .max ? Self.dead : $0 }
        self.accepts = accepts
        self.distance = distance
        start = distance[1] == .max ? Self.dead : 1
    }

    /// The same language with as few states as possible (Moore 1956).
    func minimized() -> ByteDFA {
        var classes = accepts.map { $0 ? 1 : 0 }
        classes[Int(Self.dead)] = 2
        var count = Set(classes).count
        while true {
            var known: [[Int]: Int] = [:]
            let next = (0..<stateCount).map { state in
                let row = table[state * columnCount..<(state + 1) * columnCount]
                let key = [classes[state]] + row.map { classes[Int($0)] }
                let number = known[key] ?? known.count
                known[key] = number
                return number
            }
            classes = next
            if known.count == count { break }
            count = known.count
        }
        return rebuilt(classes, count)
    }

    /// One state for each class; classes are equal in what they do.
    private func rebuilt(_ classes: [Int], _ count: Int) -> ByteDFA {
        // Dead and start keep their numbers.
        var numbers: [Int: Int] = [classes[Int(Self.dead)]: 0]
        if classes[Int(Self.dead)] != classes[1] { numbers[classes[1]] = 1 }
        var samples = [0, 1]
        for (state, kind) in classes.enumerated() where numbers[kind] == nil {
            numbers[kind] = samples.count
            samples.append(state)
        }
        var merged: [Int32] = []
        for state in samples {
            for column in 0..<columnCount {
                merged.append(Int32(numbers[classes[Int(table[state * columnCount + column])]] ?? 0))
            }
        }
        return ByteDFA(columns, columnCount, merged, samples.map { accepts[$0] })
    }

    /// What it accepts of texts with `least` to `most` characters, as a JSON string writes them.
    func counting(_ least: Int, _ most: Int, _ what: String) throws(GrammarError) -> ByteDFA {
        struct State: Hashable {
            var state: Int32
            var count = 0
            var isEscaped = false
        }
        var splits = [ByteSet](repeating: ByteSet(), count: columnCount)
        for byte in UInt8.min...UInt8.max { splits[Int(columns[Int(byte)])].insert(byte) }
        splits += [ByteSet(0x80...0xBF), ByteSet(UInt8(ascii: "\\"))]
        let limit = 60_000
        let dfa = try ByteDFA.explore(State(state: start), splits: splits, limit: limit) { state, byte in
            var next = state
            next.state = step(state.state, byte)
            guard next.state != Self.dead else { return nil }
            next.isEscaped = !state.isEscaped && byte == UInt8(ascii: "\\")
            if !state.isEscaped, byte & 0xC0 != 0x80 { next.count += 1 }
            // Without an upper bound it makes no difference how many more there are.
            if most == .max { next.count = min(next.count, least) }
            return next.count > most ? nil : next
        } accepts: {
            accepts[Int($0.state)] && $0.count >= least
        }
        guard let dfa else {
            throw GrammarError("\(what) is too complex: its automaton has more than \(limit) states. Lower its length.")
        }
        return dfa
    }

    /// Whether every state has endlessly many texts before it, so that no list of texts can exhaust one.
    var isEndlessEverywhere: Bool {
        // Takes away, again and again, the states all of whose ways lead to states taken away: those are finite.
        var open = [Int](repeating: 0, count: stateCount)
        var before = [[Int]](repeating: [], count: stateCount)
        for (cell, state) in table.enumerated() where state != Self.dead {
            open[cell / columnCount] += 1
            before[Int(state)].append(cell / columnCount)
        }
        var finite = open.indices.filter { open[$0] == 0 && distance[$0] != .max && $0 != Int(Self.dead) }
        guard !isEmpty else { return false }
        return finite.isEmpty || !reaches(&finite, before, &open)
    }

    /// Whether the start leads to a finite state; `finite` begins as the states without a way on.
    private func reaches(_ finite: inout [Int], _ before: [[Int]], _ open: inout [Int]) -> Bool {
        var at = 0
        while at < finite.count {
            for other in before[finite[at]] {
                open[other] -= 1
                if open[other] == 0 { finite.append(other) }
            }
            at += 1
        }
        // A name may end at such a state, but another one must be possible from each state that it passes.
        let isFinite = Set(finite)
        var seen: Set<Int> = [Int(start)]
        var queue = [Int(start)]
        while let state = queue.popLast() {
            if isFinite.contains(state) { return true }
            for column in 0..<columnCount {
                let next = Int(table[state * columnCount + column])
                if next != Int(Self.dead), seen.insert(next).inserted { queue.append(next) }
            }
        }
        return false
    }
}

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
