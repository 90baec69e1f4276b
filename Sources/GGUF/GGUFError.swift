import Glibc
import Linux

/// Why a GGUF file was refused or could not be written: one sentence, and what to do about it.
public struct GGUFError: Error, Equatable, CustomStringConvertible {
    /// The file as the caller named it.
    public let path: String
    /// The whole sentence, with the path and the advice.
    public let description: String
    /// The failed system call when the file could not be reached at all; nil when its content was refused.
    public let system: SystemError?

    /// True when the file does not exist, so that a command can answer with the right exit status.
    public var isNotFound: Bool { !isUnwritable && (system?.isNotFound ?? false) }
    /// True when it was to be written and could not be.
    public let isUnwritable: Bool

    init(unreachable path: String, _ error: SystemError) {
        self.path = path
        self.system = error
        isUnwritable = false
        let advice = error.isNotFound ? "Check the path" : "Check that it is a readable file"
        description = "cannot \(error.operation) \(path): \(error.reason). \(advice)"
    }

    init(unwritable path: String, _ error: SystemError) {
        self.path = path
        self.system = error
        isUnwritable = true
        description = "cannot \(error.operation) \(path): \(error.reason). Check the folder, its rights and free space"
    }

    /// A part of a split model that is not where the others are.
    init(missingPart path: String, _ number: Int, _ count: Int) {
        self.path = path
        system = SystemError("open", path, code: ENOENT)
        isUnwritable = false
        description =
            "cannot open \(path): part \(number) of \(count) of the model is missing. Put it beside the others"
    }

    init(notGGUF path: String, _ reason: String, _ advice: String = "Download the model again or convert it to GGUF") {
        self.path = path
        self.system = nil
        isUnwritable = false
        description = "\(path) is not a GGUF file: \(reason). \(advice)"
    }

    /// A GGUF file by its magic, whose content breaks the format.
    init(damaged path: String, _ reason: String, _ advice: String = "Download the model again") {
        self.path = path
        self.system = nil
        isUnwritable = false
        description = "\(path) is not a valid GGUF file: \(reason). \(advice)"
    }

    /// A valid file that needs something Martlet does not have.
    init(unsupported path: String, _ reason: String, _ advice: String) {
        self.path = path
        self.system = nil
        isUnwritable = false
        description = "\(path) is not supported: \(reason). \(advice)"
    }
}

/// A name or other text from the file made safe for one line of an error message.
package func quoted(_ text: String) -> String {
    // Enough to recognise a name; a damaged length could otherwise print megabytes.
    "'\(oneLine(text, most: 60))'"
}
