import Linux

/// Why a safetensors file cannot be used, as one sentence that ends with what to do.
public struct SafetensorsError: Error, Equatable, CustomStringConvertible {
    /// The file as the caller named it.
    public let path: String
    public let description: String
    /// True when the file does not exist.
    public let isNotFound: Bool

    init(unreachable path: String, _ error: SystemError) {
        self.path = path
        isNotFound = error.isNotFound
        description = "cannot \(error.operation) \(path): \(error.reason). Check the path and its rights"
    }

    init(damaged path: String, _ reason: String) {
        self.path = path
        isNotFound = false
        description = "\(path) is not a valid safetensors file: \(reason). Download it again"
    }
}
