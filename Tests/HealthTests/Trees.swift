import Foundation
import Glibc
import Linux

/// Captured trees, and copies of them that a test may damage.
enum Trees {
    static let boards = ["pi-zero-2w", "pi-3", "pi-4", "pi-5", "orange-pi-5", "x86-64"]

    static let boardsFolder: String = {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("boards").path
    }()

    static func board(_ name: String) -> FileTree { FileTree(root: boardsFolder + "/" + name) }
}

/// A private tree; gone when the test ends.
///
/// In memory where there is such a folder: the damage tests write some hundred thousand small files.
final class ScratchTree {
    let root: String

    /// A copy of a board's tree, or an empty one.
    init(_ board: String? = nil) throws {
        let memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : NSTemporaryDirectory()
        root = memory + "martlet-health-" + UUID().uuidString
        if let board {
            try FileManager.default.copyItem(atPath: Trees.boardsFolder + "/" + board, toPath: root)
        } else {
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    var tree: FileTree { FileTree(root: root) }

    func write(_ path: String, _ text: String) throws { try write(path, Data(text.utf8)) }

    func write(_ path: String, _ data: Data) throws {
        let url = URL(fileURLWithPath: root + path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try data.write(to: url)
    }

    func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: root + path) }

    /// Every regular file below `proc` and `sys`, as paths in the tree.
    var files: [String] {
        let all = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return all.map { "/" + $0 }.filter { path in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: root + path, isDirectory: &isFolder) && !isFolder.boolValue
                && (path.hasPrefix("/proc") || path.hasPrefix("/sys"))
        }.sorted()
    }
}
