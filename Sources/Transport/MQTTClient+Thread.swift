import CLinux
import CMosquitto
import Glibc
import Linux

extension MQTTClient {
    /// Nanoseconds that a renewal waits for the broker's acknowledgements.
    static let renewal: UInt64 = 5_000_000_000
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
            let (served, problem) = connectAndServe()
            if isStopping { break }
            report(.disconnected(problem))
            let lasted = Int(clamping: (monotonicNanoseconds() &- start) / 1_000_000)
            if served, backoff.forgives(lasted, slowly: problem.retry == .slowly) { backoff.reset() }
            switch problem.retry {
            case .atOnce: break
            case .soon: pause(backoff.step(using: &random))
            case .slowly: pause(Backoff.slowness * backoff.step(using: &random))
            case .never: pause(nil)
            }
        }
        ended.set()
    }

    /// Waits for so many milliseconds, or without end; `stop` and `renew` cut it short.
    private func pause(_ milliseconds: Int?) {
        if let milliseconds {
            _ = wake.wait(milliseconds: milliseconds)
        } else {
            while !wake.wait(milliseconds: 3_600_000) {}
        }
        // `stop` has set its own flag before, which the caller looks at next.
        wake.clear()
    }

    var isStopping: Bool { state.withLock { $0.stopping } }

    func report(_ event: TransportEvent) {
        let handler = state.withLock { $0.onEvent }
        handler?(event)
    }

    /// One connection from its handle's making to its destruction. Returns whether the broker accepted us, and why the
    /// connection ended.
    private func connectAndServe() -> (served: Bool, problem: ConnectionProblem) {
        tlsFailure.withLock { $0 = nil }
        let options = state.withLock { state in
            state.used = UsedWay(state.way)
            state.renewing = nil
            return state.way
        }
        let handle: MQTTHandle
        do {
            // Unretained: the network thread holds `self` until it ends, and destroys the handle before.
            handle = try MQTTHandle(options: options, context: Unmanaged.passUnretained(self).toOpaque())
        } catch {
            // Files for TLS may come with a file system that is mounted later.
            return (false, ConnectionProblem(options.tls == nil ? .local : .tls, error.description))
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
        var failure: ConnectionProblem
        let code = handle.connect(options)
        if code == MOSQ_ERR_SUCCESS.code {
            let socket = handle.duplicateSocket()
            failure = serve(handle, options)
            if isStopping {
                // What was handed over last, the farewell, shall still leave.
                close(socket)
            } else {
                MQTTHandle.abandon(socket)
            }
        } else {
            failure = MQTTReason.failure(code, errno: errno, tls: tlsFailure.withLock { $0 }, options: options)
            failure.reason = "cannot connect to \(options.host):\(options.port): \(failure.reason)"
        }
        let (served, problem) = state.withLock { state in
            state.handle = nil
            if state.renewing != nil { failure = Self.renewed }
            state.renewing = nil
            state.connected = false
            state.outstanding.removeAll(keepingCapacity: true)
            state.outstandingBytes = 0
            state.subscribing.removeAll(keepingCapacity: true)
            return (state.connections > before, state.endReason ?? failure)
        }
        handle.destroy()
        return (served, problem)
    }

    /// Runs the network until the connection ends; returns why, as far as the return code tells.
    private func serve(_ handle: MQTTHandle, _ options: MQTTOptions) -> ConnectionProblem {
        let start = monotonicNanoseconds()
        var stopSeen: UInt64?
        while true {
            let now = monotonicNanoseconds()
            let (connected, stopping, refusing) = state.withLock { state in
                let leaving = state.renewing.map { state.outstanding.isEmpty || now > $0 &+ Self.renewal } ?? false
                if leaving, stopSeen == nil { mosquitto_disconnect_v5(handle.pointer, 0, nil) }
                return (state.connected, state.stopping || leaving, state.refusing)
            }
            if refusing { return ConnectionProblem(.local, "a message was refused") }
            if stopping {
                let since = stopSeen ?? now
                stopSeen = since
                if !connected || now &- since > Self.goodbye { return ConnectionProblem(.local, "stopped") }
            } else if !connected, now &- start > UInt64(max(1, options.connectTimeout)) &* 1_000_000_000 {
                return ConnectionProblem(
                    .network, "the broker at \(options.host):\(options.port) took the connection but did not answer")
            }
            // The limit only bounds how late our own deadlines and the keep-alive are seen.
            let patience = options.keepAlive == 0 ? 10_000 : min(10_000, options.keepAlive * 250)
            let code = turn(handle, milliseconds: connected && !stopping ? patience : 200)
            if code != MOSQ_ERR_SUCCESS.code {
                return MQTTReason.failure(code, errno: errno, tls: tlsFailure.withLock { $0 }, options: options)
            }
        }
    }
}
