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
    init(_ columns: [UInt8], _ columnCount: Int, _ untrimmed: [Int32], _ accepts: [Bool]) {
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
}
