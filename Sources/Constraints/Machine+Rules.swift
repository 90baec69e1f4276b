extension Machine {
    /// What a rule stands for.
    mutating func expanded(_ state: Int32) -> Int32 {
        switch terms[Int(state)] {
        case .value(let node, let level):
            return either(grammar.nodes[Int(node)].map { part($0, level) })
        case .members(let object, let index, let count, let level):
            return members(Int(object), Int(index), Int(count), level)
        case .items(let array, let count, let level): return items(Int(array), Int(count), level)
        case .unique(let array, let count, let left): return unique(Int(array), Int(count), left)
        default: return state
        }
    }

    private mutating func part(_ part: Grammar.Part, _ level: Int32) -> Int32 {
        let quote = literal([UInt8(ascii: "\"")])
        switch part {
        case .automaton(let number): return automaton(number, grammar.automata[number].start)
        case .string(let number):
            return sequence([quote, automaton(number, grammar.automata[number].start), quote])
        case .text(let least, let most):
            return sequence([quote, most == 0 ? Self.end : add(.characters(least: least, most: most)), quote])
        case .object(let object):
            guard level > 0 else { return Self.nothing }
            let members = add(.members(object: Int32(object), index: 0, count: 0, level: level - 1))
            return then(literal([UInt8(ascii: "{")]), members)
        case .array(let array):
            guard level > 0 else { return Self.nothing }
            let open = literal([UInt8(ascii: "[")])
            if let values = grammar.arrays[array].unique {
                let left = UInt64.max >> UInt64(64 - values.count)
                return then(open, add(.unique(array: Int32(array), count: 0, left: left)))
            }
            return then(open, add(.items(array: Int32(array), count: 0, level: level - 1)))
        }
    }

    private mutating func members(_ object: Int, _ index: Int, _ count: Int, _ level: Int32) -> Int32 {
        let rule = grammar.objects[object]
        var ways: [Int32] = []
        let comma = count > 0 ? literal(Grammar.comma) : Self.end
        // Behind all bounds the number of members makes no difference: one state for them all.
        let next = rule.most == .max ? min(count + 1, max(rule.least, 1)) : count + 1
        func rest(_ index: Int) -> Term {
            .members(object: Int32(object), index: Int32(index), count: Int32(next), level: level)
        }
        var canSkip = true
        for (at, property) in rule.properties.enumerated().dropFirst(index) where canSkip && count < rule.most {
            let value = add(.value(node: Int32(property.node), level: level))
            ways.append(sequence([comma, literal(property.head), value, add(rest(at + 1))]))
            canSkip = !property.isRequired
        }
        guard !rule.properties.dropFirst(index).contains(where: \.isRequired) else { return either(ways) }
        if count >= rule.least { ways.append(literal([UInt8(ascii: "}")])) }
        let quote = literal([UInt8(ascii: "\"")])
        for free in rule.free where count < rule.most {
            let name = automaton(free.names, grammar.automata[free.names].start)
            let value = add(.value(node: Int32(free.node), level: level))
            ways.append(
                sequence([comma, quote, name, quote, literal(Grammar.colon), value, add(rest(rule.properties.count))]))
        }
        return either(ways)
    }

    private mutating func items(_ array: Int, _ count: Int, _ level: Int32) -> Int32 {
        let rule = grammar.arrays[array]
        var ways: [Int32] = []
        if count >= rule.least { ways.append(literal([UInt8(ascii: "]")])) }
        if count < rule.most, let node = count < rule.first.count ? rule.first[count] : rule.rest {
            let comma = count > 0 ? literal(Grammar.comma) : Self.end
            // Behind all bounds every element is like the next: one state for them all.
            let isFree = rule.most == .max && count >= max(rule.least, rule.first.count, 1)
            let rest = add(.items(array: Int32(array), count: Int32(isFree ? count : count + 1), level: level))
            ways.append(sequence([comma, add(.value(node: Int32(node), level: level)), rest]))
        }
        return either(ways)
    }

    private mutating func unique(_ array: Int, _ count: Int, _ left: UInt64) -> Int32 {
        let rule = grammar.arrays[array]
        var ways: [Int32] = []
        if count >= rule.least { ways.append(literal([UInt8(ascii: "]")])) }
        let comma = count > 0 ? literal(Grammar.comma) : Self.end
        for (index, value) in (rule.unique ?? []).enumerated()
        where count < rule.most && left >> UInt64(index) & 1 == 1 {
            let rest = add(.unique(array: Int32(array), count: Int32(count + 1), left: left & ~(1 << UInt64(index))))
            ways.append(sequence([comma, literal(value), rest]))
        }
        return either(ways)
    }
}
