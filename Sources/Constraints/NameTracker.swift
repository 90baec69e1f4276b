/// Keeps the names of an object different while it is written.
///
/// An automaton cannot remember names that the schema does not list, so this reads along: it knows how deep the text is
/// inside of objects and which names each of them has. The text is JSON as grammars write it.
struct NameTracker: Sendable {
    private struct Level {
        var isObject: Bool
        var names: [[UInt8]] = []
    }
    private var levels: [Level] = []
    /// The name being written, without its quotes; nil outside of one.
    private var name: [UInt8]?
    private var isInString = false
    private var isEscaped = false
    /// Whether the next string is a name.
    private var expectsName = false

    /// Reads a byte; false, and unchanged, when it ends a name that its object has already.
    mutating func read(_ byte: UInt8) -> Bool {
        if isInString { return readInString(byte) }
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            levels.append(Level(isObject: byte == UInt8(ascii: "{")))
            expectsName = byte == UInt8(ascii: "{")
        case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = levels.popLast()
        case UInt8(ascii: ","): expectsName = levels.last?.isObject ?? false
        case UInt8(ascii: ":"): expectsName = false
        case UInt8(ascii: "\""):
            isInString = true
            name = expectsName ? [] : nil
        default: break
        }
        return true
    }

    private mutating func readInString(_ byte: UInt8) -> Bool {
        if isEscaped {
            isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
            if let name, let level = levels.indices.last {
                guard !levels[level].names.contains(name) else { return false }
                levels[level].names.append(name)
            }
            name = nil
            isInString = false
            return true
        }
        name?.append(byte)
        return true
    }
}
