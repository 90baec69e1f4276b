import Linux

/// The memory of the machine.
public struct BoardMemory: Sendable {
    /// Bytes it has, swap not counted; nil where it does not tell.
    public let total: Int?

    public init(tree: FileTree = .machine) {
        let line = tree.lines("/proc/meminfo").first { $0.hasPrefix("MemTotal:") }
        total = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// Why a model cannot run here, with a smaller one as advice; nil when it can, or when the board does not tell.
    ///
    /// - Parameters:
    ///   - bytes: all it would take: file, keys and values, scratch.
    ///   - subject: begins the sentence, for example `the model x.gguf with a context of 2048 tokens`.
    public func obstacle(_ bytes: Int, _ subject: String) -> String? {
        guard let total, bytes > total else { return nil }
        return "\(subject) needs \(megabytes(bytes)) of memory, this board has \(megabytes(total)). "
            + Catalogue.advice(boardMemory: total)
    }
}
