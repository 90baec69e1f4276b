import CTOML
import Linux

/// A TOML value with the place it came from; a Swift copy, so nothing of the C++ parser outlives `parse`.
struct TOMLValue: Sendable {
    enum Kind: Sendable {
        case table([TOMLEntry])
        case array([TOMLValue])
        case string(String)
        case integer(Int64)
        case float(Double)
        case boolean(Bool)
        case date
    }
    let kind: Kind
    /// From 1; 0 where TOML gives the value no place of its own.
    let line: Int

    /// What a person calls this kind of value.
    var kindName: String {
        switch kind {
        case .table: "a table"
        case .array: "an array"
        case .string: "a string"
        case .integer: "an integer"
        case .float: "a number"
        case .boolean: "true or false"
        case .date: "a date or time"
        }
    }
}

/// A key with its value, in the order of the file.
struct TOMLEntry: Sendable {
    let key: String
    let line: Int
    let value: TOMLValue
}

/// Why a text is not TOML. Line 0: the whole file.
struct TOMLError: Error, Equatable {
    let line: Int
    let column: Int
    let message: String
}

enum TOMLDocument {
    /// Parses a whole document into its root table.
    static func parse(_ bytes: [UInt8]) throws(TOMLError) -> [TOMLEntry] {
        var error = martlet_toml_error()
        // Unsafe at this edge only: C reads the bytes during the call and keeps none of them.
        let document = bytes.withUnsafeBytes { buffer in
            martlet_toml_parse(buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count, &error)
        }
        guard let document else {
            let message = withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            throw TOMLError(line: Int(error.line), column: Int(error.column), message: message)
        }
        defer { martlet_toml_free(document) }
        guard let root = martlet_toml_at(document, 0)?.pointee else { return [] }
        return entries(of: root, in: document, line: 1)
    }

    // Recursion is safe: the parser refuses nesting beyond 64.
    private static func entries(of node: martlet_toml_node, in document: OpaquePointer, line: Int) -> [TOMLEntry] {
        children(of: node, in: document).map { child in
            let keyLine = child.key_line > 0 ? Int(child.key_line) : line
            return TOMLEntry(
                key: text(child.key, child.key_count), line: keyLine,
                value: value(child, in: document, line: keyLine))
        }
    }

    private static func value(_ node: martlet_toml_node, in document: OpaquePointer, line: Int) -> TOMLValue {
        let line = node.line > 0 ? Int(node.line) : line
        let kind: TOMLValue.Kind =
            switch node.kind {
            case MARTLET_TOML_TABLE: .table(entries(of: node, in: document, line: line))
            case MARTLET_TOML_ARRAY:
                .array(children(of: node, in: document).map { value($0, in: document, line: line) })
            case MARTLET_TOML_STRING: .string(text(node.string, node.string_count))
            case MARTLET_TOML_INTEGER: .integer(node.integer)
            case MARTLET_TOML_FLOAT: .float(node.number)
            case MARTLET_TOML_BOOLEAN: .boolean(node.boolean)
            default: .date
            }
        return TOMLValue(kind: kind, line: line)
    }

    private static func children(of node: martlet_toml_node, in document: OpaquePointer) -> [martlet_toml_node] {
        (0..<Int(node.child_count)).compactMap { martlet_toml_at(document, Int(node.first_child) + $0)?.pointee }
    }

    private static func text(_ base: UnsafePointer<CChar>?, _ count: Int) -> String {
        // The C parser owns these bytes until it is freed; they are copied here.
        String(decoding: UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : count), as: UTF8.self)
    }
}
