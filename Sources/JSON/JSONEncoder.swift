/// Encodes `Encodable` values with their members in the order they are encoded.
///
/// FoundationEssentials' JSONEncoder was not used: it emits keys in the order of a hash table.
extension JSONValue {
    /// Nil for what JSON cannot say: infinite numbers, or a type that encodes nothing.
    public init?(encoding value: some Encodable) {
        let encoder = TreeEncoder(codingPath: [])
        do {
            try value.encode(to: encoder)
        } catch {
            return nil
        }
        guard let tree = encoder.node.value else { return nil }
        self = tree
    }
}

/// A value under construction; a class, because containers are filled after they were placed.
private final class Node {
    enum Content {
        case empty
        case scalar(JSONValue)
        case array([Node])
        case object([(String, Node)])
    }
    var content = Content.empty

    var value: JSONValue? {
        switch content {
        case .empty: nil
        case .scalar(let value): value
        case .array(let nodes): .array(nodes.map { $0.value ?? .null })
        case .object(let members): .object(JSONObject(members.compactMap { key, node in node.value.map { (key, $0) } }))
        }
    }

    func append(_ key: String) -> Node {
        let node = Node()
        if case .object(let members) = content {
            content = .object(members + [(key, node)])
        } else {
            content = .object([(key, node)])
        }
        return node
    }

    func append() -> Node {
        let node = Node()
        if case .array(let nodes) = content { content = .array(nodes + [node]) } else { content = .array([node]) }
        return node
    }
}

private struct TreeEncoder: Encoder {
    var codingPath: [any CodingKey]
    let node: Node
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(codingPath: [any CodingKey], node: Node = Node()) {
        self.codingPath = codingPath
        self.node = node
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .empty = node.content { node.content = .object([]) }
        return KeyedEncodingContainer(KeyedContainer<Key>(codingPath: codingPath, node: node))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .empty = node.content { node.content = .array([]) }
        return UnkeyedContainer(codingPath: codingPath, node: node)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        ScalarContainer(codingPath: codingPath, node: node)
    }
}

/// Writes one value into a node; the other containers are made of these.
private struct ScalarContainer: SingleValueEncodingContainer {
    let codingPath: [any CodingKey]
    let node: Node

    private func set(_ value: JSONValue) { node.content = .scalar(value) }

    private func set(_ number: some BinaryInteger) { set(.number(JSONNumber(text: String(number)))) }

    private func set(_ value: Double) throws {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value, .init(codingPath: codingPath, debugDescription: "JSON has no infinite numbers"))
        }
        var writer = JSONWriter()
        writer.number(value)
        set(.number(JSONNumber(text: writer.text)))
    }

    func encodeNil() { set(.null) }
    func encode(_ value: Bool) { set(.bool(value)) }
    func encode(_ value: String) { set(.string(value)) }
    func encode(_ value: Double) throws { try set(value) }
    func encode(_ value: Float) throws { try set(Double(value)) }
    func encode(_ value: Int) { set(value) }
    func encode(_ value: Int8) { set(value) }
    func encode(_ value: Int16) { set(value) }
    func encode(_ value: Int32) { set(value) }
    func encode(_ value: Int64) { set(value) }
    func encode(_ value: UInt) { set(value) }
    func encode(_ value: UInt8) { set(value) }
    func encode(_ value: UInt16) { set(value) }
    func encode(_ value: UInt32) { set(value) }
    func encode(_ value: UInt64) { set(value) }
    func encode(_ value: some Encodable) throws {
        try value.encode(to: TreeEncoder(codingPath: codingPath, node: node))
    }
}

private struct KeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let codingPath: [any CodingKey]
    let node: Node

    func encodeNil(forKey key: Key) { node.append(key.stringValue).content = .scalar(.null) }

    // The one generic requirement serves every primitive: each encodes itself into a single-value container.
    func encode(_ value: some Encodable, forKey key: Key) throws {
        try value.encode(to: TreeEncoder(codingPath: codingPath + [key], node: node.append(key.stringValue)))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        TreeEncoder(codingPath: codingPath + [key], node: node.append(key.stringValue)).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        TreeEncoder(codingPath: codingPath + [key], node: node.append(key.stringValue)).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { TreeEncoder(codingPath: codingPath, node: node.append("super")) }
    func superEncoder(forKey key: Key) -> any Encoder {
        TreeEncoder(codingPath: codingPath, node: node.append(key.stringValue))
    }
}

private struct UnkeyedContainer: UnkeyedEncodingContainer {
    let codingPath: [any CodingKey]
    let node: Node

    var count: Int {
        if case .array(let nodes) = node.content { return nodes.count }
        return 0
    }

    func encodeNil() { node.append().content = .scalar(.null) }

    func encode(_ value: some Encodable) throws {
        try value.encode(to: TreeEncoder(codingPath: codingPath, node: node.append()))
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        TreeEncoder(codingPath: codingPath, node: node.append()).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        TreeEncoder(codingPath: codingPath, node: node.append()).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { TreeEncoder(codingPath: codingPath, node: node.append()) }
}
