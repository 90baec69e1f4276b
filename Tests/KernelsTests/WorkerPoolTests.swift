import Glibc
import Kernels
import Linux
import Testing

@Suite struct WorkerPoolTests {
    /// What the members of a test's pool share.
    final class Board: @unchecked Sendable {  // @unchecked: each test's access pattern is what the pool must make safe
        let pool: WorkerPool
        let counters: UnsafeMutablePointer<UInt32>
        var seen: [Int]
        var sums: [Int]
        init(_ members: Int, cpus: [Int] = [], bindsCaller: Bool = false) {
            pool = WorkerPool(count: members, cpus: cpus, bindsCaller: bindsCaller)
            counters = .allocate(capacity: 1)
            counters.initialize(to: 0)
            seen = [Int](repeating: 0, count: members)
            sums = [Int](repeating: 0, count: members)
        }
        deinit { counters.deallocate() }
    }

    private func run(_ board: Board, _ body: WorkerPool.Body) {
        board.counters.pointee = 0
        board.pool.run(Unmanaged.passUnretained(board).toOpaque(), body)
    }

    @Test(arguments: [1, 2, 3, 5])
    func everyMemberRunsOnceEachTime(members: Int) {
        let board = Board(members)
        for round in 1...200 {
            run(board) { member, raw in
                let board = Unmanaged<Board>.fromOpaque(raw).takeUnretainedValue()
                board.seen.withUnsafeMutableBufferPointer { $0[member] += 1 }
            }
            #expect(board.seen == [Int](repeating: round, count: members))
        }
    }

    @Test(arguments: [1, 2, 3])
    func piecesAreTakenOnceEach(members: Int) {
        let board = Board(members)
        run(board) { member, raw in
            let board = Unmanaged<Board>.fromOpaque(raw).takeUnretainedValue()
            let counter = WorkCounter(board.counters)
            var sum = 0
            while let piece = counter.next(below: 1000) { sum += piece }
            board.sums.withUnsafeMutableBufferPointer { $0[member] = sum }
        }
        #expect(board.sums.reduce(0, +) == 999 * 1000 / 2)
    }

    /// Nobody passes a barrier before all have reached it: every member must see every other's last write.
    @Test(arguments: [2, 3])
    func barrierOrdersWritesBeforeReads(members: Int) {
        let board = Board(members)
        run(board) { member, raw in
            let board = Unmanaged<Board>.fromOpaque(raw).takeUnretainedValue()
            board.seen.withUnsafeMutableBufferPointer { seen in
                for round in 1...500 {
                    seen[member] = round
                    board.pool.barrier()
                    if seen.contains(where: { $0 != round }) {
                        board.sums.withUnsafeMutableBufferPointer { $0[member] += 1 }
                    }
                    board.pool.barrier()
                }
            }
        }
        #expect(board.sums.allSatisfy { $0 == 0 })
    }

    /// Members come and go between runs, also while they spin or sleep, and never run a generation not meant for them.
    @Test func membersComeAndGo() async throws {
        let board = Board(4)
        var expected = [0, 0, 0, 0]
        for round in 0..<400 {
            let active = [4, 1, 3, 2, 4, 4, 2][round % 7]
            board.pool.active = active
            #expect(board.pool.active == active)
            run(board) { member, raw in
                let board = Unmanaged<Board>.fromOpaque(raw).takeUnretainedValue()
                board.pool.barrier()
                board.seen.withUnsafeMutableBufferPointer { $0[member] += 1 }
                board.pool.barrier()
            }
            for member in 0..<active { expected[member] += 1 }
            #expect(board.seen == expected)
            if round % 50 == 49 { try await Task.sleep(for: .milliseconds(10)) }
        }
        board.pool.active = 99
        #expect(board.pool.active == 4)
        board.pool.active = 0
        #expect(board.pool.active == 1)
    }

    /// An idle pool sleeps: it must wake again after the spinning is long over.
    @Test func sleepersWake() async throws {
        let board = Board(3)
        for round in 1...5 {
            try await Task.sleep(for: .milliseconds(30))
            run(board) { member, raw in
                let board = Unmanaged<Board>.fromOpaque(raw).takeUnretainedValue()
                board.seen.withUnsafeMutableBufferPointer { $0[member] += 1 }
            }
            #expect(board.seen == [round, round, round])
        }
    }

    /// Who waits long gives its core away, also to the one it waits for; spinning would cost the whole time.
    @Test func longWaitsAtABarrierAreAsleep() {
        let board = Board(2)
        let before = threadNanoseconds()
        run(board) { member, raw in
            let board = Unmanaged<Board>.fromOpaque(raw).takeUnretainedValue()
            for _ in 0..<5 {
                if member == 1 { usleep(40_000) }
                board.pool.barrier()
            }
            // And the end of a run.
            if member == 1 { usleep(100_000) }
        }
        #expect(threadNanoseconds() - before < 60_000_000)
    }

    private func threadNanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    @Test func membersStayOnTheirCPUs() throws {
        let usable = Self.usable()
        let last = try #require(usable.last)
        for bindsCaller in [false, true] {
            let board = Board(3, cpus: [last], bindsCaller: bindsCaller)
            run(board) { member, raw in
                let board = Unmanaged<Board>.fromOpaque(raw).takeUnretainedValue()
                let usable = WorkerPoolTests.usable()
                board.seen.withUnsafeMutableBufferPointer { $0[member] = usable.count == 1 ? usable[0] : -1 }
            }
            #expect(board.seen[1...] == [last, last])
            if bindsCaller { #expect(board.seen[0] == last) }
        }
        // This thread is not the pool's own: what was bound is loosened again.
        _ = WorkerPool(count: 1, cpus: usable, bindsCaller: true)
        #expect(Self.usable() == usable)
    }

    /// CPUs that the calling thread may use.
    private static func usable() -> [Int] {
        let topology = CPUTopology.detect()
        return (topology.performance + topology.efficiency).sorted()
    }
}
