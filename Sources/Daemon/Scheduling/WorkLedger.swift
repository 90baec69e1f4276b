import CLinux
import Glibc
import Linux
import Spool
import Synchronization

/// Remembers over the death of the process what it was working on, so that an event that kills it is set aside.
///
/// A file of its own and not a column of the spool: what is in work is written before every event, and a transaction
/// each would double what the card has to bear. These pages are never synced; a killed process leaves them to the
/// kernel, and after a loss of power the file is from another boot and says nothing.
///
///     byte 0      `!` when a fatal signal ended the process
///     1…36        the kernel's boot id
///     64…         what the network thread works on: `id task` lines and a NUL
///     64 KiB…     what the engine works on, likewise
public final class WorkLedger: Sendable {
    /// Who works on events; they do so at the same time.
    public enum Place: Int, Sendable {
        case intake = 64
        case engine = 65_536
    }

    /// How often the process died while an event was in work.
    public struct Suspicion: Sendable, Equatable {
        /// By a signal that a fault of the program raises, or the watchdog: the event or its company is the cause.
        public var crashes = 0
        /// By SIGKILL, which the kernel sends when memory ran out, and so does anybody.
        public var kills = 0

        /// Twice is no accident for a crash. Kills are counted longer: whoever pulls a service down time and again
        /// meets the same event, which is taken up first.
        public var isEnough: Bool { crashes >= 2 || crashes + kills >= 5 }
    }

    /// The engine may have a whole window in work; more keys than fit are not remembered.
    static let mostBytes = 1 << 20

    private let descriptor: Int32
    private let folder: String
    private let suspects: Mutex<[SpooledEvent.Key: Suspicion]>

    /// Reads what the last run left in `folder` and begins anew. Throws when the files cannot be written.
    public init(folder: String, bootID: String = WorkLedger.bootID) throws(SystemError) {
        self.folder = folder
        var suspects = Self.read(FileTree.machine.lines(folder + "/suspects"))
        let left = FileTree.machine.contents(folder + "/work") ?? []
        if String(decoding: left.dropFirst().prefix(36), as: UTF8.self) == bootID {
            let crashed = left.first == UInt8(ascii: "!")
            for key in Self.keys(left) {
                if crashed {
                    suspects[key, default: Suspicion()].crashes += 1
                } else {
                    suspects[key, default: Suspicion()].kills += 1
                }
            }
        }
        self.suspects = Mutex(suspects)
        do {
            try Self.save(suspects, in: folder)
        } catch {
            // As below: a full disk must not keep the daemon from starting. It counts again from what was there.
            guard error.isFull else { throw error }
        }
        // Only after that: a death in between counts twice rather than not at all. Not truncated: what is written over
        // needs no room, and so is written on a full disk too.
        descriptor = open(folder + "/work", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError("create", folder + "/work") }
        for place in [Place.intake, .engine] { end(at: place) }
        write([UInt8(ascii: "-")] + Array(bootID.utf8.prefix(36)), at: 0)
    }

    deinit { close(descriptor) }

    /// The kernel's name for the time since the machine started; empty where it has none.
    public static var bootID: String { FileTree.machine.text("/proc/sys/kernel/random/boot_id") ?? "" }

    /// What is known against an event; nil when the process never died over it.
    public func suspicion(of key: SpooledEvent.Key) -> Suspicion? { suspects.withLock { $0[key] } }

    /// Says that work on these events begins. Replaces what the same place had in work before.
    func begin(_ keys: [SpooledEvent.Key], at place: Place) {
        guard !keys.isEmpty else { return }
        let room = place == .intake ? Place.engine.rawValue - place.rawValue : Self.mostBytes
        var bytes: [UInt8] = []
        for key in keys {
            let line = "\(key.id) \(key.task)\n"
            guard bytes.count + line.utf8.count < room else { break }
            bytes += line.utf8
        }
        write(bytes + [0], at: place.rawValue)
    }

    /// Says that this work is done: its answers are in the spool. Not said of work without such events, for which
    /// nothing was written: the card would be written for each.
    func end(_ keys: [SpooledEvent.Key], at place: Place) {
        if !keys.isEmpty { end(at: place) }
    }

    /// Says that nothing is in work.
    func end(at place: Place) { write([0], at: place.rawValue) }

    /// From now on a fatal signal leaves its mark before the process dies of it. Once for a process.
    public func watchSignals() { martlet_mark_crashes(descriptor) }

    /// As if a fatal signal had come.
    func noteCrash() { write([UInt8(ascii: "!")], at: 0) }

    /// Forgets suspects that are answered or set aside.
    func forget(_ isGone: (SpooledEvent.Key) -> Bool) {
        let left = suspects.withLock { suspects in
            suspects = suspects.filter { !isGone($0.key) }
            return suspects
        }
        // Only room is lost: ids are never used again.
        try? Self.save(left, in: folder)
    }

    /// Bad events that are kept; of more, the newest.
    static let mostKept = 32

    /// Keeps a bad event for whoever wants to find the fault.
    func keep(_ event: SpooledEvent, _ suspicion: Suspicion) throws(SystemError) {
        let quarantine = folder + "/quarantine"
        try makeFolders(quarantine)
        // Both come from a file that may be damaged; as names they must not lead out of the folder.
        let name = "\(event.id.prefix(64)).\(event.task.prefix(64))".map { Self.isPlain($0) ? $0 : "_" }
        let head = "\(suspicion.crashes) crashes, \(suspicion.kills) kills, \(event.received), topic \(event.topic)\n"
        let file = try ReplacedFile(path: "\(quarantine)/q\(String(name))")
        try file.append(head.utf8)
        try file.append(event.payload)
        try file.commit()
        // Ids sort by time.
        for old in FileTree.machine.names(in: quarantine).dropLast(Self.mostKept) { unlink("\(quarantine)/\(old)") }
    }

    private static func isPlain(_ character: Character) -> Bool {
        guard character.isASCII else { return false }
        return character.isLetter || character.isNumber || "._-".contains(character)
    }

    private func write(_ bytes: [UInt8], at offset: Int) {
        // A ledger that cannot be written, as on a full disk, only knows less.
        _ = pwrite(descriptor, bytes, bytes.count, off_t(offset))
    }

    private static func keys(_ file: [UInt8]) -> Set<SpooledEvent.Key> {
        var keys: Set<SpooledEvent.Key> = []
        for place in [Place.intake, .engine] {
            let text = String(decoding: file.dropFirst(place.rawValue).prefix { $0 != 0 }, as: UTF8.self)
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: " ")
                if parts.count == 2 { keys.insert(SpooledEvent.Key(id: String(parts[0]), task: String(parts[1]))) }
            }
        }
        return keys
    }

    private static func read(_ lines: [Substring]) -> [SpooledEvent.Key: Suspicion] {
        var suspects: [SpooledEvent.Key: Suspicion] = [:]
        for line in lines {
            let parts = line.split(separator: " ")
            guard parts.count == 4, let crashes = UInt8(parts[0]), let kills = UInt8(parts[1]) else { continue }
            let key = SpooledEvent.Key(id: String(parts[2]), task: String(parts[3]))
            suspects[key] = Suspicion(crashes: Int(crashes), kills: Int(kills))
        }
        return suspects
    }

    private static func save(_ suspects: [SpooledEvent.Key: Suspicion], in folder: String) throws(SystemError) {
        let path = folder + "/suspects"
        if suspects.isEmpty, access(path, F_OK) != 0 { return }
        let file = try ReplacedFile(path: path)
        for (key, suspicion) in suspects.sorted(by: { $0.key < $1.key }) {
            let counts = "\(min(255, suspicion.crashes)) \(min(255, suspicion.kills))"
            try file.append("\(counts) \(key.id) \(key.task)\n".utf8)
        }
        try file.commit()
    }
}
