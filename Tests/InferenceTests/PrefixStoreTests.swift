import Glibc
import Inference
import Linux
import TestModels
import Testing

private let folder =
    #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fixtures/architectures"

@Suite struct PrefixStoreTests {
    /// A cache folder that goes away with the test.
    private final class Cache {
        let path: String
        init() throws { path = try makeTemporaryFolder(prefix: "martlet-prefixes-", in: "/tmp") }
        deinit {
            for name in files + [".lock"] { unlink("\(path)/prefixes/\(name)") }
            rmdir(path + "/prefixes")
            rmdir(path)
        }
        var files: [String] {
            guard let list = opendir(path + "/prefixes") else { return [] }
            defer { closedir(list) }
            var names: [String] = []
            while let entry = readdir(list) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if !name.hasPrefix(".") { names.append(name) }
            }
            return names.sorted()
        }
    }

    private func session(_ name: String = "lfm2", kvCache: KVCacheType = .f16) throws -> (Session, [Int32]) {
        let fixture = try ArchitectureFixture(name, folder: folder)
        return (try Session(model: fixture.model, context: 128, threads: 1, kvCache: kvCache), fixture.tokens)
    }

    @Test(arguments: [KVCacheType.f16, .q8_0])
    func whatWasComputedIsMapped(_ kvCache: KVCacheType) throws {
        let cache = try Cache()
        let store = PrefixStore(cache: cache.path, program: "1")
        let (first, tokens) = try session(kvCache: kvCache)
        let prefix = Array(tokens.prefix(20))
        #expect(store.find(prefix, for: first) == nil)
        try first.evaluate(prefix)
        let saved = try #require(try store.save(first.snapshot(), prefix, for: first))
        #expect(saved.count == 20 && saved.byteCount == 0, "what was saved is mapped at once")
        try first.evaluate(tokens[20])
        let expected = Array(first.logits())

        let second = try Session(model: first.model, context: 128, threads: 1, kvCache: kvCache)
        let state = try #require(store.find(prefix, for: second))
        #expect(state.byteCount == 0, "a mapped state takes no memory of its own")
        #expect(second.restore(state))
        #expect(second.count == 20)
        try second.evaluate(tokens[20])
        #expect(Array(second.logits()) == expected)
    }

    @Test func onlyWhatFitsIsFound() throws {
        let cache = try Cache()
        let store = PrefixStore(cache: cache.path, program: "1")
        let (session, tokens) = try session("llama")
        let prefix = Array(tokens.prefix(20))
        try session.evaluate(prefix)
        _ = try store.save(session.snapshot(), prefix, for: session)
        #expect(store.find(prefix, for: session) != nil)
        #expect(PrefixStore(cache: cache.path, program: "2").find(prefix, for: session) == nil, "of another program")
        #expect(store.find(Array(tokens.prefix(21)), for: session) == nil)
        #expect(store.find(Array(prefix.dropLast() + [9]), for: session) == nil)
        #expect(store.find(prefix, for: try self.session("llama", kvCache: .q8_0).0) == nil)
        #expect(store.find(prefix, for: try self.session("llama-linear").0) == nil)
        let adapter = try AdapterFixture(
            session.model, seed: "1", rank: 2, alpha: 2, matrices: ["blk.0.attn_q.weight"])
        session.use([ScaledAdapter(adapter.adapter)])
        #expect(store.find(prefix, for: session) == nil)
        session.use([])
        // One bit of the cells, then of the header, then a file cut short.
        let path = try #require(cache.files.first.map { "\(cache.path)/prefixes/\($0)" })
        for offset in [4096 + 77, 20] {
            flip(path, at: offset)
            #expect(store.find(prefix, for: session) == nil)
            flip(path, at: offset)
            #expect(store.find(prefix, for: session) != nil)
        }
        // Longer than the state is, with a digest that fits: nothing a session could take.
        let mapped = try MappedFile(path: path)
        let whole = withExtendedLifetime(mapped) { Array(mapped.bytes) }
        let cells = whole[4096...] + [UInt8](repeating: 0, count: 64)
        let header = whole.prefix(4096).split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
        let digest = Array(cells).withUnsafeBytes { SHA256.hexadecimal(of: $0) }
        var forged = Array([Array(header[0]), Array(header[1]), Array(digest.utf8)].joined(separator: [10])) + [10]
        forged += [UInt8](repeating: 0, count: 4096 - forged.count) + cells
        let file = try ReplacedFile(path: path)
        try file.append(forged)
        try file.commit()
        #expect(store.find(prefix, for: session) == nil)
        truncate(path, 4096 + 100)
        #expect(store.find(prefix, for: session) == nil)
        truncate(path, 10)
        #expect(store.find(prefix, for: session) == nil)
    }

    private func flip(_ path: String, at offset: Int) {
        let file = open(path, O_RDWR)
        defer { close(file) }
        var byte: UInt8 = 0
        #expect(pread(file, &byte, 1, offset) == 1)
        byte ^= 4
        #expect(pwrite(file, &byte, 1, offset) == 1)
    }

    @Test func theFolderStaysBounded() throws {
        let cache = try Cache()
        let store = PrefixStore(cache: cache.path, program: "1")
        let (session, tokens) = try session("llama")
        try session.evaluate(Array(tokens.prefix(16)))
        let state = session.snapshot()
        for index in 0..<40 {
            _ = try store.save(state, tokens.prefix(15) + [Int32(index)], for: session)
        }
        #expect(cache.files.count == 32)
        // Too short to be worth a file.
        session.truncate(to: 4)
        #expect(try store.save(session.snapshot(), Array(tokens.prefix(4)), for: session) == nil)
        #expect(cache.files.count == 32)
        // A folder that cannot be made is an error, not a crash.
        #expect(throws: (any Error).self) {
            try PrefixStore(cache: "/proc/none", program: "1").save(state, Array(tokens.prefix(16)), for: session)
        }
    }

    /// The one that was used longest ago goes, however many were written in one second, and never the new one.
    @Test func theLeastRecentlyUsedGoes() throws {
        let cache = try Cache()
        let (session, tokens) = try session("llama")
        try session.evaluate(Array(tokens.prefix(16)))
        let state = session.snapshot()
        func prefix(_ index: Int) -> [Int32] { tokens.prefix(15) + [Int32(index)] }
        var size = stat()
        let probe = PrefixStore(cache: cache.path, program: "1")
        _ = try probe.save(state, prefix(0), for: session)
        let first = try #require(cache.files.first.map { "\(cache.path)/prefixes/\($0)" })
        #expect(stat(first, &size) == 0)
        // Room for three.
        let store = PrefixStore(cache: cache.path, program: "1", mostBytes: 3 * Int(size.st_size) + 1)
        func found() -> [Int] { (0..<6).filter { store.find(prefix($0), for: session) != nil } }
        for index in 1..<3 { _ = try store.save(state, prefix(index), for: session) }
        #expect(found() == [0, 1, 2])
        _ = try store.save(state, prefix(3), for: session)
        #expect(found() == [1, 2, 3])
        // One that was written long ago is marked when it is used, and only then.
        let (names, old) = (cache.files, timespec(tv_sec: time(nil) - 90_000, tv_nsec: 7))
        for name in names { #expect(utimensat(AT_FDCWD, "\(cache.path)/prefixes/\(name)", [old, old], 0) == 0) }
        #expect(store.find(prefix(1), for: session) != nil)
        let marked = names.filter { name in
            var status = stat()
            return stat("\(cache.path)/prefixes/\(name)", &status) == 0 && time(nil) - status.st_mtim.tv_sec < 3600
        }
        #expect(marked.count == 1)
        for index in 4..<6 { _ = try store.save(state, prefix(index), for: session) }
        #expect(found() == [1, 4, 5])
        // Larger than all may be together.
        let small = PrefixStore(cache: cache.path, program: "1", mostBytes: 4096)
        #expect(try small.save(state, prefix(0), for: session) == nil && found() == [1, 4, 5])
    }

    /// What a killed writer left goes with the next save; while another process writes, nothing is touched.
    @Test func leftoversGo() throws {
        let cache = try Cache()
        let store = PrefixStore(cache: cache.path, program: "1")
        let (session, tokens) = try session("llama")
        let prefix = Array(tokens.prefix(16))
        try session.evaluate(prefix)
        try makeFolders(store.folder)
        let part = store.folder + "/0123.kv.77.part"
        close(creat(part, 0o644))
        let lock = open(store.folder + "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX | LOCK_NB) == 0)
        #expect(try store.save(session.snapshot(), prefix, for: session) == nil)
        #expect(cache.files == ["0123.kv.77.part"])
        flock(lock, LOCK_UN)
        #expect(try store.save(session.snapshot(), prefix, for: session) != nil)
        #expect(cache.files.count == 1 && access(part, F_OK) != 0)
    }

    @Test func aLongStateDoesNotFitAShortContext() throws {
        let fixture = try ArchitectureFixture("llama", folder: folder)
        let long = try Session(model: fixture.model, context: 128, threads: 1)
        try long.evaluate(Array(fixture.tokens.prefix(20)))
        let short = try Session(model: fixture.model, context: 16, threads: 1)
        try short.evaluate(Array(fixture.tokens.prefix(3)))
        #expect(!short.restore(long.snapshot()))
        #expect(short.count == 3)
        let bytes = try Session(model: fixture.model, context: 128, threads: 1, kvCache: .q8_0)
        #expect(!bytes.restore(long.snapshot()) && bytes.count == 0)
    }

    @Test func aStretchedModelHasItsOwn() throws {
        let cache = try Cache()
        let store = PrefixStore(cache: cache.path, program: "1")
        let tiny = try TinyModel(seed: 3, context: 64)
        let plain = try Session(model: tiny.model, context: 64, threads: 1)
        let tokens = (0..<20).map { Int32(40 + $0) }
        try plain.evaluate(tokens)
        _ = try store.save(plain.snapshot(), tokens, for: plain)
        #expect(store.find(tokens, for: plain) != nil)
        let stretch = RopeStretch(.linear, context: 128)
        let model = try Model(path: tiny.model.file.path, packedFolder: nil, stretch: stretch)
        #expect(store.find(tokens, for: try Session(model: model, context: 64, threads: 1)) == nil)
    }
}
