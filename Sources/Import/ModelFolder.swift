import Glibc
import JSON
import Linux

/// A folder as Hugging Face lays out a model: config.json, weights, tokenizer files.
struct ModelFolder {
    let path: String

    /// Configurations have kilobytes.
    static let largestConfiguration = 4 << 20
    /// The largest tokenizer.json in use (Gemma's, 262,144 tokens) has 33 MB.
    static let largestTokenizer = 96 << 20

    init(path: String) throws(ImportError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ImportError(unreachable: path, SystemError("open", path)) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw ImportError(path, "it is not a folder", "Give the folder that holds config.json and the weights")
        }
        self.path = path
    }

    /// The folder's last name.
    var name: String {
        path.split(separator: "/").last.map(String.init).flatMap { $0 == "." || $0 == ".." ? nil : $0 } ?? "model"
    }

    func has(_ file: String) -> Bool { access("\(path)/\(file)", R_OK) == 0 }

    /// A file's bytes; nil when it does not exist.
    func bytes(_ file: String, limit: Int = largestTokenizer) throws(ImportError) -> [UInt8]? {
        let whole = "\(path)/\(file)"
        let mapped: MappedFile
        do {
            mapped = try MappedFile(path: whole)
        } catch {
            if error.isNotFound { return nil }
            throw ImportError(unreachable: whole, error)
        }
        guard mapped.bytes.count <= limit else {
            throw ImportError(
                path, "\(file) has \(mapped.bytes.count >> 20) MiB, more than \(limit >> 20)",
                "Check that it is the right file")
        }
        // The pointer does not keep the mapping.
        return withExtendedLifetime(mapped) { Array(mapped.bytes) }
    }

    /// A JSON file; nil when it does not exist.
    func json(_ file: String, limit: Int = largestConfiguration) throws(ImportError) -> JSONValue? {
        guard let bytes = try bytes(file, limit: limit) else { return nil }
        do {
            return try JSONValue(parsing: bytes, limits: JSONLimits(depth: 32, values: 8 << 20))
        } catch {
            throw ImportError(path, "\(file) is \(error.description)", "Download it again")
        }
    }

    /// A text file; nil when it does not exist, invalid UTF-8 repaired.
    func text(_ file: String) throws(ImportError) -> String? {
        try bytes(file, limit: Self.largestConfiguration).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Names in the folder that end with `suffix`, sorted.
    func files(endingWith suffix: String) -> [String] {
        FileTree.machine.names(in: path).filter { $0.hasSuffix(suffix) }
    }
}
