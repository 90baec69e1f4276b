import CLinux
import CMosquitto
import Glibc
import Linux

extension MQTTClient {
    /// A connection that lasted this long was a good one: the next back-off starts from the beginning. Shorter ones,
    /// as when two clients with one id push each other out, keep the back-off growing.
    static let goodConnection: UInt64 = 10_000_000_000
    /// Nanoseconds that the goodbye may take.
    static let goodbye: UInt64 = 1_000_000_000

    func startThread() throws(TransportError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // The message handler runs here, with SQLite and JSON in it; OpenSSL's handshake needs about 64 KiB.
        pthread_attr_setstacksize(&attributes, 1 << 20)
        // The thread's reference: released when `run` returns.
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<MQTTClient>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw .system("cannot start the network thread: \(String(cString: strerror(code)))")
        }
    }

    private func run() {
        martlet_name_thread("mqtt")
        // Signals belong to the main thread; here they would only interrupt.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)

        var backoff = Backoff(range: options.backoffMilliseconds)
        var random = SystemRandomNumberGenerator()
        while !isStopping {
            let start = monotonicNanoseconds()
            let (served, reason) = connectAndServe()
            if isStopping { break }
            report(.disconnected(reason: reason))
            if served, monotonicNanoseconds() &- start >= Self.goodConnection { backoff.reset() }
            _ = wake.wait(milliseconds: backoff.step(using: &random))
        }
        ended.set()
    }

    var isStopping: Bool { state.withLock { $0.stopping } }

    func report(_ event: TransportEvent) {
        let handler = state.withLock { $0.onEvent }
        handler?(event)
    }

    /// One connection from its handle's making to its destruction. Returns whether the broker accepted us, and why the
    /// connection ended.
    private func connectAndServe() -> (served: Bool, reason: String) {
        lastError.withLock { $0 = nil }
        let handle: MQTTHandle
        do {
            // Unretained: the network thread holds `self` until it ends, and destroys the handle before.
            handle = try MQTTHandle(options: options, context: Unmanaged.passUnretained(self).toOpaque())
        } catch {
            return (false, error.description)
        }
        setCallbacks(handle)
        let before = state.withLock { state in
            // A `stop` before this line found no handle to disconnect.
            if !state.stopping { state.handle = handle }
            state.refusing = false
            state.endReason = nil
            state.unstored.removeAll(keepingCapacity: true)
            state.unstoredBytes = 0
            return state.connections
        }
        var failure = "the connection ended"
        let code = handle.connect(options)
        if code == MOSQ_ERR_SUCCESS.code {
            let socket = handle.duplicateSocket()
            failure = serve(handle)
            if isStopping {
                // What was handed over last, the farewell, shall still leave.
                close(socket)
            } else {
                MQTTHandle.abandon(socket)
            }
        } else {
            failure = MQTTReason.failure(code, errno: errno, log: lastError.withLock { $0 })
            failure = "cannot connect to \(options.host):\(options.port): \(failure)"
        }
        let (served, reason) = state.withLock { state in
            state.handle = nil
            state.connected = false
            state.outstanding.removeAll(keepingCapacity: true)
            state.outstandingBytes = 0
            state.subscribing.removeAll(keepingCapacity: true)
            return (state.connections > before, state.endReason ?? failure)
        }
        handle.destroy()
        return (served, reason)
    }

    /// Runs the network until the connection ends; returns why, as far as the return code tells.
    private func serve(_ handle: MQTTHandle) -> String {
        let start = monotonicNanoseconds()
        var stopSeen: UInt64?
        while true {
            let (connected, stopping, refusing) = state.withLock { ($0.connected, $0.stopping, $0.refusing) }
            let now = monotonicNanoseconds()
            if refusing { return "a message was refused" }
            if stopping {
                let since = stopSeen ?? now
                stopSeen = since
                if !connected || now &- since > Self.goodbye { return "stopped" }
            } else if !connected, now &- start > UInt64(max(1, options.connectTimeout)) &* 1_000_000_000 {
                return "the broker at \(options.host):\(options.port) took the connection but did not answer"
            }
            // The limit only bounds how late our own deadlines and the keep-alive are seen.
            let patience = options.keepAlive == 0 ? 10_000 : min(10_000, options.keepAlive * 250)
            let code = turn(handle, milliseconds: connected && !stopping ? patience : 200)
            if code != MOSQ_ERR_SUCCESS.code {
                return MQTTReason.failure(code, errno: errno, log: lastError.withLock { $0 })
            }
        }
    }
}
