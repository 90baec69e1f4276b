import GGUF

/// Reads an architecture's keys and checks their bounds. Throws `ModelError` naming the key.
struct MetadataReader {
    let file: GGUFFile
    let architecture: String

    func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(ModelError) -> Int {
        guard let value = file.integer("\(architecture).\(key)") ?? fallback else {
            throw ModelError(file, "\(architecture).\(key) is missing", "Convert the model again.")
        }
        try check(value, key, range)
        return value
    }

    /// One number for all layers, or one for each.
    func integers(
        _ key: String, in range: ClosedRange<Int>, layers: Int, default fallback: Int
    ) throws(ModelError) -> [Int] {
        let name = "\(architecture).\(key)"
        if let kind = file.type(of: name), kind.type == .array, kind.count != layers {
            throw ModelError(
                file, "\(name) has \(kind.count) numbers for \(layers) layers", "Fetch the file again.")
        }
        if let values = file.integers(name) {
            for value in values { try check(value, key, range) }
            return values
        }
        return Array(repeating: try integer(key, in: range, default: fallback), count: layers)
    }

    /// A positive number; `fallback` where the key is absent.
    func number(_ key: String, default fallback: Float) throws(ModelError) -> Float {
        guard let value = file.float("\(architecture).\(key)") else { return fallback }
        guard Float(value).isFinite, value > 0 else {
            throw ModelError(file, "\(architecture).\(key) is not a positive number", "Fetch the file again.")
        }
        return Float(value)
    }

    func string(_ key: String) -> String? { file.string("\(architecture).\(key)") }

    func bool(_ key: String) -> Bool? { file.bool("\(architecture).\(key)") }

    private func check(_ value: Int, _ key: String, _ range: ClosedRange<Int>) throws(ModelError) {
        guard range.contains(value) else {
            throw ModelError(
                file, "\(architecture).\(key) is \(value), outside \(range.lowerBound)…\(range.upperBound)",
                "The file is damaged; fetch it again.")
        }
    }
}

/// Why a file cannot be run as a model: one sentence, then what to do.
public struct ModelError: Error, CustomStringConvertible, Sendable {
    public let description: String

    init(_ file: GGUFFile, _ why: String, _ todo: String) {
        description = "cannot run \(file.path): \(why). \(todo)"
    }

    init(_ description: String) { self.description = description }
}
