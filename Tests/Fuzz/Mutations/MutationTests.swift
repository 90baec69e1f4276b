import Glibc
import Testing

/// The short form of `scripts/fuzz`: inputs changed at random, the same ones in every run, without coverage to guide.
///
/// A finding ends the process; `MARTLET_FUZZ_SHOW=1` prints each input before it is used.
@Suite(.serialized) struct MutationTests {
    private static let fixtures = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/Fixtures"
    private static let inputs = getenv("MARTLET_FUZZ_INPUTS").flatMap { Int(String(cString: $0)) } ?? 200
    private static let shows = getenv("MARTLET_FUZZ_SHOW") != nil

    @Test(arguments: FuzzTarget.all.map(\.name))
    func takesWhateverComes(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let seeds = try target.seeds(Self.fixtures)
        let take = try target.make()
        #expect(!seeds.isEmpty && seeds.allSatisfy { $0.count <= target.longest })
        for seed in seeds { take(seed) }
        var mutator = Mutator(seeds: seeds, longest: target.longest)
        let start = ContinuousClock.now
        var slowest = Duration.zero
        for _ in 0..<Self.inputs {
            // The time of all of them is bounded, so that a loaded machine sees fewer and not a time limit.
            let begin = ContinuousClock.now
            guard start.duration(to: begin) < .seconds(6) else { break }
            let input = mutator.next()
            if Self.shows { print(name, input) }
            take(input)
            slowest = max(slowest, begin.duration(to: .now))
        }
        #expect(slowest < .seconds(10))
    }
}

/// Changes inputs as fuzzers do: bits, bytes, numbers, cuts, repetitions, and pieces of other inputs.
private struct Mutator {
    private let seeds: [[UInt8]]
    private let longest: Int
    /// SplitMix64.
    private var state: UInt64 = 4

    init(seeds: [[UInt8]], longest: Int) {
        self.seeds = seeds
        self.longest = longest
    }

    private mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(max(1, bound)))
    }

    mutating func next() -> [UInt8] {
        var bytes = seeds[below(seeds.count)]
        for _ in 0...below(4) { change(&bytes) }
        return Array(bytes.prefix(longest))
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        let at = below(bytes.count + 1)
        let end = min(bytes.count, at + 1 + below(16))
        switch below(8) {
        case 0: if at < end { bytes[at] ^= 1 << UInt8(below(8)) }
        case 1: if at < end { bytes[at] = UInt8(below(256)) }
        case 2: bytes.removeSubrange(at..<end)
        case 3: bytes.removeLast(bytes.count - at)
        case 4: bytes.insert(contentsOf: bytes[at..<end], at: below(bytes.count + 1))
        case 5:
            let other = seeds[below(seeds.count)]
            let from = below(other.count + 1)
            bytes.insert(contentsOf: other[from..<min(other.count, from + below(64))], at: at)
        case 6:
            // Numbers at their edges, of one to eight bytes.
            let edges: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF]
            let (low, high) = (edges[below(5)], edges[below(5)])
            for index in at..<min(bytes.count, at + 1 << below(4)) { bytes[index] = index == at ? low : high }
        default:
            let words = ["0", "9999999999", "-1", "1e308", "null", "{", "[", "\"", "\\", "{{", "%}", "(", "*", "\u{0}"]
            bytes.insert(contentsOf: words[below(words.count)].utf8, at: at)
        }
    }
}
