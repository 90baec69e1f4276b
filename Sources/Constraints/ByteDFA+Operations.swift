extension ByteDFA {
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
