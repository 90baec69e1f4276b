import GGUF
import Synchronization

/// What tells a file from another, computed when it is first asked for and then kept: it reads pages all over the file,
/// which nothing else may touch.
struct Fingerprint: ~Copyable, Sendable {
    private let known = Mutex<String?>(nil)

    /// That of `file`, which is the same at every call.
    func of(_ file: GGUFFile) -> String {
        known.withLock { known in
            let result = known ?? PackedModel.fingerprint(file)
            known = result
            return result
        }
    }
}
