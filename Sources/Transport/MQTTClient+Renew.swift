import CMosquitto
import Glibc
import Linux

/// The options a connection was made with, and what the files named in them were like then.
struct UsedWay: Equatable {
    private struct FileState: Equatable {
        var inode: UInt = 0
        var size = 0
        var seconds = 0
        var nanoseconds = 0

        init(_ path: String?) {
            var status = stat()
            // systemd and most tools replace a file: the inode tells that even within one tick of the clock.
            guard let path, stat(path, &status) == 0 else { return }
            inode = UInt(status.st_ino)
            size = Int(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    private let options: MQTTOptions
    private let files: [FileState]

    init(_ options: MQTTOptions) {
        self.options = options
        files = [options.tls?.caFile, options.tls?.certFile, options.tls?.keyFile].map(FileState.init)
    }
}

extension MQTTClient {
    /// How a connection ends that makes room for another.
    static let renewed = ConnectionProblem(
        .local, "it is made again with the login and certificates as they are now", retry: .atOnce)

    public func renew(_ new: MQTTOptions) {
        state.withLock { state in
            (state.way.host, state.way.port, state.way.tls) = (new.host, new.port, new.tls)
            (state.way.username, state.way.password) = (new.username, new.password)
            guard state.connected, let handle = state.handle else { return }
            guard state.used != UsedWay(state.way), !state.stopping, state.renewing == nil else { return }
            state.renewing = monotonicNanoseconds()
            // Otherwise the network thread does that when the last acknowledgement has come.
            if state.outstanding.isEmpty { mosquitto_disconnect_v5(handle.pointer, 0, nil) }
        }
        if !isConnected { wake.set() }
    }
}
