import Linux

/// Reading metadata: nil means the key is absent or holds another kind of value.
extension GGUFFile {
    /// The text of a string value; invalid UTF-8 is repaired.
    public func string(_ key: String) -> String? {
        guard let entry = entries[key], entry.type == .string else { return nil }
        let start = entry.offset + 8
        let count = GGUFStringArray.length(mapped.bytes, entry.offset)
        return String(decoding: UnsafeRawBufferPointer(rebasing: mapped.bytes[start..<start + count]), as: UTF8.self)
    }

    /// A value of any integer type; nil when it does not fit `Int`.
    public func integer(_ key: String) -> Int? {
        entries[key].flatMap { integer($0.type, at: $0.offset) }
    }

    /// A value of either floating-point type, or an integer.
    public func float(_ key: String) -> Double? {
        entries[key].flatMap { float($0.type, at: $0.offset) }
    }

    /// A value of type bool.
    public func bool(_ key: String) -> Bool? {
        guard let entry = entries[key], entry.type == .bool else { return nil }
        return mapped.bytes[entry.offset] != 0
    }

    /// The kind of a value; for an array also the kind and number of its elements.
    public func type(of key: String) -> (type: GGUFValueType, element: GGUFValueType, count: Int)? {
        entries[key].map { ($0.type, $0.elementType, $0.count) }
    }

    /// An array of strings, found through offsets built here (4 bytes an element): keep it, do not ask again.
    public func strings(_ key: String) -> GGUFStringArray? {
        guard let entry = array(key), entry.elementType == .string else { return nil }
        return GGUFStringArray(mapped: mapped, base: entry.offset, count: entry.count)
    }

    /// Visits an array's strings in order without building offsets; false when there is no such array.
    @discardableResult
    public func forEachString(_ key: String, _ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
        guard let entry = array(key), entry.elementType == .string else { return false }
        var at = entry.offset
        for _ in 0..<entry.count {
            let count = GGUFStringArray.length(mapped.bytes, at)
            body(UnsafeRawBufferPointer(rebasing: mapped.bytes[at + 8..<at + 8 + count]))
            at += 8 + count
        }
        return true
    }

    /// An array of any numeric type as floats.
    public func floats(_ key: String) -> [Float]? {
        guard let entry = array(key), let size = entry.elementType.byteCount else { return nil }
        var values: [Float] = []
        values.reserveCapacity(entry.count)
        for index in 0..<entry.count {
            guard let value = float(entry.elementType, at: entry.offset + index * size) else { return nil }
            values.append(Float(value))
        }
        return values
    }

    /// An array of any integer type, or of bools as 0 and 1.
    public func integers(_ key: String) -> [Int]? {
        guard let entry = array(key), let size = entry.elementType.byteCount else { return nil }
        var values: [Int] = []
        values.reserveCapacity(entry.count)
        for index in 0..<entry.count {
            let at = entry.offset + index * size
            let value = entry.elementType == .bool ? Int(mapped.bytes[at]) : integer(entry.elementType, at: at)
            guard let value else { return nil }
            values.append(value)
        }
        return values
    }

    private func array(_ key: String) -> MetadataEntry? {
        guard let entry = entries[key], entry.type == .array else { return nil }
        return entry
    }

    private func integer(_ type: GGUFValueType, at offset: Int) -> Int? {
        GGUF.integer(type, at: offset, in: mapped)
    }

    private func float(_ type: GGUFValueType, at offset: Int) -> Double? {
        switch type {
        case .float32: Double(Float(bitPattern: load(UInt32.self, offset, mapped)))
        case .float64: Double(bitPattern: load(UInt64.self, offset, mapped))
        default: integer(type, at: offset).map(Double.init)
        }
    }
}

private func load<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int, _ mapped: MappedFile) -> T {
    T(littleEndian: mapped.bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
}

/// The integer at an offset that was checked when the file was opened; nil for other types, and beyond `Int`.
func integer(_ type: GGUFValueType, at offset: Int, in mapped: MappedFile) -> Int? {
    switch type {
    case .uint8: Int(load(UInt8.self, offset, mapped))
    case .int8: Int(load(Int8.self, offset, mapped))
    case .uint16: Int(load(UInt16.self, offset, mapped))
    case .int16: Int(load(Int16.self, offset, mapped))
    case .uint32: Int(load(UInt32.self, offset, mapped))
    case .int32: Int(load(Int32.self, offset, mapped))
    case .uint64: Int(exactly: load(UInt64.self, offset, mapped))
    case .int64: Int(load(Int64.self, offset, mapped))
    case .float32, .float64, .bool, .string, .array: nil
    }
}
