/// A text that knows, character by character, what came from outside.
///
/// A unit is a Unicode scalar, with `content` set where it is content: whatever a template trims, splits and joins,
/// special tokens are read in the template's own characters only.
struct JinjaText: Equatable {
    static let content: UInt32 = 1 << 31

    var units: [UInt32]

    init(_ units: some Sequence<UInt32>) { self.units = Array(units) }

    init(_ text: String, isContent: Bool = false) {
        let mark = isContent ? Self.content : 0
        units = text.unicodeScalars.map { $0.value | mark }
    }

    /// The text alone.
    var string: String {
        var scalars = String.UnicodeScalarView()
        for unit in units { if let scalar = Unicode.Scalar(unit & ~Self.content) { scalars.append(scalar) } }
        return String(scalars)
    }

    /// Whether any of it came from outside.
    var holdsContent: Bool { units.contains { $0 & Self.content != 0 } }

    /// Equal as texts, whatever their origin.
    static func == (left: JinjaText, right: JinjaText) -> Bool {
        left.units.count == right.units.count
            && zip(left.units, right.units).allSatisfy { ($0 ^ $1) & ~content == 0 }
    }

    static func < (left: JinjaText, right: JinjaText) -> Bool {
        left.units.lexicographicallyPrecedes(right.units) { $0 & ~content < $1 & ~content }
    }

    /// The first place from `start` on where `other` stands.
    func position(of other: JinjaText, from start: Int = 0) -> Int? {
        guard !other.units.isEmpty, units.count >= other.units.count else { return other.units.isEmpty ? start : nil }
        var at = start
        while at + other.units.count <= units.count {
            if has(other, at: at) { return at }
            at += 1
        }
        return nil
    }

    func has(_ other: JinjaText, at start: Int) -> Bool {
        guard start >= 0, start + other.units.count <= units.count else { return false }
        for offset in other.units.indices where (units[start + offset] ^ other.units[offset]) & ~Self.content != 0 {
            return false
        }
        return true
    }

    /// Without the characters of `set` at its ends, white space when nil.
    func stripped(_ set: JinjaText? = nil, left: Bool = true, right: Bool = true) -> JinjaText {
        let values = set.map { Set($0.units.map { $0 & ~Self.content }) }
        let goes = { (unit: UInt32) -> Bool in
            let value = unit & ~Self.content
            guard let values else { return Self.isSpace(value) }
            return values.contains(value)
        }
        var rest = units[...]
        if left { rest = rest.drop(while: goes) }
        while right, let last = rest.last, goes(last) { rest.removeLast() }
        return JinjaText(rest)
    }

    /// Python's str.isspace: also the four separators U+001C–U+001F.
    static func isSpace(_ value: UInt32) -> Bool {
        if value < 0x80 { return value == 0x20 || value &- 9 < 5 || value &- 0x1C < 4 }
        return Unicode.Scalar(value)?.properties.isWhitespace ?? false
    }

    /// The pieces between `separator`, between white space when nil; of the rest after `most` cuts one piece is made.
    func split(_ separator: JinjaText?, most: Int) -> [JinjaText] {
        var pieces: [JinjaText] = []
        var start = 0
        guard let separator, !separator.units.isEmpty else { return words(most: most) }
        while pieces.count < most, let end = position(of: separator, from: start) {
            pieces.append(JinjaText(units[start..<end]))
            start = end + separator.units.count
        }
        pieces.append(JinjaText(units[start...]))
        return pieces
    }

    private func words(most: Int) -> [JinjaText] {
        var pieces: [JinjaText] = []
        var rest = stripped(right: false).units[...]
        let isSpace = { (unit: UInt32) in Self.isSpace(unit & ~Self.content) }
        while !rest.isEmpty {
            let word = pieces.count < most ? rest.prefix { !isSpace($0) } : rest
            pieces.append(JinjaText(word))
            rest = rest.dropFirst(word.count).drop(while: isSpace)
        }
        return pieces
    }

    /// Each character through `transform`; what becomes of content is content.
    func mapped(_ transform: (Unicode.Scalar) -> String) -> JinjaText {
        JinjaText(
            units.flatMap { unit -> [UInt32] in
                guard let scalar = Unicode.Scalar(unit & ~Self.content) else { return [] }
                return transform(scalar).unicodeScalars.map { $0.value | unit & Self.content }
            })
    }
}

/// What an expression comes to.
enum JinjaValue {
    case undefined
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case text(JinjaText)
    case list(JinjaList)
    case dict(JinjaDict)
    case function(JinjaFunction)

    static func text(_ text: String) -> JinjaValue { .text(JinjaText(text)) }
    static func list(_ items: [JinjaValue]) -> JinjaValue { .list(JinjaList(items)) }

    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .float(let value): value != 0
        case .text(let text): !text.units.isEmpty
        case .list(let list): !list.items.isEmpty
        case .dict(let dict): !dict.entries.isEmpty
        case .function: true
        }
    }

    var number: Double? {
        switch self {
        case .bool(let value): value ? 1 : 0
        case .int(let value): Double(value)
        case .float(let value): value
        default: nil
        }
    }

    /// How many lists and dictionaries lie inside each other; the renderer refuses more than it can walk and release.
    var depth: Int {
        switch self {
        case .list(let list): list.depth
        case .dict(let dict): dict.depth
        case .function(.method(let receiver, _)): receiver.depth + 1
        default: 0
        }
    }

    /// Whether a dictionary can be reached from it. All count: messages are dictionaries too, and published templates
    /// put none into a namespace.
    var holdsNamespace: Bool {
        switch self {
        case .dict, .function(.method): true
        case .list(let list): list.holdsNamespace
        default: false
        }
    }

    /// Whether both are the same. `budget` counts down what is compared; at 0 the answer is worthless.
    func isEqual(_ other: JinjaValue, _ budget: inout Int) -> Bool {
        budget -= 1
        guard budget > 0 else { return false }
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.int(let left), .int(let right)): return left == right
        case (.text(let left), .text(let right)):
            budget -= min(left.units.count, right.units.count)
            return left == right
        case (.list(let left), .list(let right)):
            guard left.items.count == right.items.count else { return false }
            for (left, right) in zip(left.items, right.items) where !left.isEqual(right, &budget) { return false }
            return true
        case (.dict(let left), .dict(let right)):
            guard left.entries.count == right.entries.count else { return false }
            for (key, value) in left.entries {
                guard let match = right[key], value.isEqual(match, &budget) else { return false }
            }
            return true
        default: return number != nil && number == other.number
        }
    }
}

/// A list or tuple. It cannot be changed, so no list holds itself.
final class JinjaList {
    let items: [JinjaValue]
    /// As they were when the list was made: a namespace inside may since have grown, once, by what holds no other.
    let depth: Int
    let holdsNamespace: Bool

    init(_ items: [JinjaValue]) {
        self.items = items
        var depth = 0
        var holdsNamespace = false
        for item in items {
            depth = max(depth, item.depth)
            holdsNamespace = holdsNamespace || item.holdsNamespace
        }
        self.depth = depth + 1
        self.holdsNamespace = holdsNamespace
    }
}

/// A dictionary or a namespace, in the order of insertion. Only `set` on a namespace changes it, and to a value that
/// holds no namespace, so none holds itself.
final class JinjaDict {
    private(set) var entries: [(key: String, value: JinjaValue)] = []
    private var places: [String: Int] = [:]
    /// Of the deepest value it ever held.
    private(set) var depth = 1

    init(_ entries: [(key: String, value: JinjaValue)] = []) {
        for (key, value) in entries { set(key, value) }
    }

    /// The key that a value is; a whole number's can be no text.
    static func key(_ value: JinjaValue) -> String? {
        switch value {
        case .text(let text): text.string
        case .int(let number): "\u{0}\(number)"
        default: nil
        }
    }

    /// The value that a key was.
    static func value(_ key: String) -> JinjaValue {
        if key.hasPrefix("\u{0}"), let number = Int(key.dropFirst()) { return .int(number) }
        return .text(key)
    }

    subscript(key: String) -> JinjaValue? { places[key].map { entries[$0].value } }

    func set(_ key: String, _ value: JinjaValue) {
        depth = max(depth, value.depth + 1)
        if let place = places[key] {
            entries[place].value = value
        } else {
            places[key] = entries.count
            entries.append((key, value))
        }
    }
}

/// Something that can be called.
enum JinjaFunction {
    case global(String)
    indirect case method(JinjaValue, String)
    case macro(JinjaMacro)
}
