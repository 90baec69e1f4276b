import Linux

/// Resident memory of this process, from its `status`.
struct ProcessMemory: Equatable {
    var rssMB: Double?
    var anonymousMB: Double?
    var fileMB: Double?

    /// - Parameter process: folder of the process, `/proc/self` on the machine itself.
    static func read(_ tree: FileTree, process: String) -> ProcessMemory {
        let keys: Set<String> = ["VmRSS", "RssAnon", "RssFile"]
        let values = KernelText.kilobytes(tree.lines(process + "/status"), keys: keys)
        func megabytes(_ key: String) -> Double? { values[key].map { (Double($0) / 1024).rounded(digits: 1) } }
        return ProcessMemory(rssMB: megabytes("VmRSS"), anonymousMB: megabytes("RssAnon"), fileMB: megabytes("RssFile"))
    }

    /// Major page faults since the process started: field 12 of its `stat`.
    static func majorFaults(_ tree: FileTree, process: String) -> Int64? {
        // The command name is in parentheses and may itself hold blanks and parentheses: count from the last one.
        guard let text = tree.text(process + "/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = KernelText.words(text[text.index(after: end)...])
        return fields.count > 9 ? KernelText.count(fields[9]) : nil
    }
}
