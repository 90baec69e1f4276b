import CLinux
import Dispatch
import Glibc
import Synchronization

/// A thread of its own for the engine: on Swift's cooperative pool a 60 s prefill would starve every other task.
final class EngineThread: Sendable {
    private struct Body: Sendable { let run: @Sendable () -> Void }

    private let handle = Mutex<pthread_t?>(nil)
    private let ended = DispatchSemaphore(value: 0)

    /// The scratch of the engine is on the heap; tokenizer and JSON recursion need some hundred KiB.
    static let stackBytes = 2 << 20

    /// Starts `body`; nil when the system has no thread left.
    init?(name: String, _ body: @escaping @Sendable () -> Void) {
        let ended = ended
        let box = UnsafeMutablePointer<Body>.allocate(capacity: 1)
        box.initialize(
            to: Body {
                martlet_name_thread(name)
                body()
                ended.signal()
            })
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, Self.stackBytes)
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { raw in
                // Unsafe: pthread passes the box made above; this thread is its only user and frees it.
                guard let box = raw?.assumingMemoryBound(to: Body.self) else { return nil }
                let body = box.move()
                box.deallocate()
                body.run()
                return nil
            }, box)
        guard failure == 0 else {
            box.deinitialize(count: 1)
            box.deallocate()
            return nil
        }
        handle.withLock { $0 = thread }
    }

    deinit {
        // One that hangs is left to the end of the process.
        handle.withLock { thread in _ = thread.map { pthread_detach($0) } }
    }

    /// Waits until the body has returned; false when that takes longer.
    func join(within limit: Duration) -> Bool {
        let arrived = ended.wait(timeout: .now() + .milliseconds(Int(clamping: limit.milliseconds))) == .success
        if arrived {
            handle.withLock { thread in
                if let thread { pthread_join(thread, nil) }
                thread = nil
            }
            ended.signal()
        }
        return arrived
    }

    /// Its processor time and the process's page faults; nil when it has ended.
    func signs() -> EngineProgress.Signs? {
        handle.withLock { thread in
            guard let thread else { return nil }
            var clock = clockid_t()
            var time = timespec()
            guard pthread_getcpuclockid(thread, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
            var usage = rusage()
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            return EngineProgress.Signs(
                processorNanoseconds: UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec),
                majorFaults: UInt64(clamping: usage.ru_majflt))
        }
    }
}
