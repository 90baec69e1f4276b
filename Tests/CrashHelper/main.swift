// A process for tests to kill: it does what the daemon does at the moment a crash would hurt.
import CLinux
import Glibc
import Linux
import Spool
import Synchronization
import Transport

/// Tells the test, past any buffer of stdio.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

/// Accepts, answers and acknowledges events for ever; says what is durable after each call returned.
func writeSpool(_ path: String) throws {
    let spool = try Spool(path: path, limitBytes: 8 << 20)
    var open: [SpooledEvent.Key] = []
    var number = 0
    while true {
        number += 1
        let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number * 37 % 9000)
        let event = SpooledEvent(
            id: ULID.next().description, task: "t", topic: "in/\(number)", payload: payload, received: .now())
        try spool.accept(event)
        say("accepted \(event.id) \(number)")
        open.append(event.key)
        // Keeps some events waiting, so that there is always something to lose.
        guard open.count > 20 else { continue }
        let done = open.remove(at: number * 7 % open.count)
        say("completing \(done.id)")
        let answer = SpooledMessage(topic: "out", payload: Array(done.id.utf8))
        let ids = try spool.complete(done, messages: [answer])
        say("completed \(done.id) \(ids[0])")
        if number % 3 == 0 {
            say("acknowledging \(ids[0])")
            try spool.acknowledge(ids[0])
            say("acknowledged \(ids[0])")
        }
    }
}

/// Receives on `in` with a session that outlives us, and dies at the first message: before storing it, or after.
func receive(port: Int, version: MQTTOptions.ProtocolVersion, spoolPath: String?) throws {
    var options = MQTTOptions(host: "127.0.0.1", port: port)
    options.clientID = "crash"
    options.protocolVersion = version
    let client = try MQTTClient(options)
    try client.subscribe([MQTTSubscription(filter: "in", qos: 1)])
    let spool = try spoolPath.map { try Spool(path: $0, limitBytes: 1 << 20) }
    try client.start(
        onMessage: { message in
            if let spool {
                let id = ULID.next().description
                let event = SpooledEvent(
                    id: id, task: "t", topic: message.topic, payload: message.payload, packetID: message.packetID,
                    received: .now())
                do { try spool.accept(event) } catch { say("error \(error)") }
            }
            say("received \(message.text)")
            // A while, in which an acknowledgement already written would leave.
            usleep(300_000)
            kill(getpid(), SIGKILL)
            return .accepted
        }, onEvent: { say("event \($0)") })
    sleep(60)
}

/// Is refused connections; says how much memory and how many descriptors it has after 200 and after 2,000.
func knock(port: Int) throws {
    var options = MQTTOptions(host: "127.0.0.1", port: port)
    options.clientID = "again"
    options.backoffMilliseconds = 1...1
    options.will = MQTTMessage(topic: "will", text: "gone")
    let count = Atomic(0)
    let client = try MQTTClient(options)
    try client.start(onMessage: { _ in .accepted }, onEvent: { _ in count.add(1, ordering: .relaxed) })
    for target in [200, 2000] {
        while count.load(ordering: .relaxed) < target { usleep(1000) }
        let line = FileTree.machine.lines("/proc/self/status").first { $0.hasPrefix("RssAnon:") } ?? ""
        say("anonymous \(line.filter(\.isNumber)) descriptors \(FileTree.machine.names(in: "/proc/self/fd").count)")
    }
    client.stop(drainFor: .zero)
}

/// Connects with a last will and waits to be killed.
func hold(port: Int) throws {
    var options = MQTTOptions(host: "127.0.0.1", port: port)
    options.clientID = "crash"
    options.will = MQTTMessage(topic: "status/crash", text: "offline", qos: 1, retain: true)
    let client = try MQTTClient(options)
    try client.start(onMessage: { _ in .accepted }, onEvent: { say("event \($0)") })
    sleep(60)
}

/// Sends itself 30,000 messages; says how much anonymous memory it has after 3,000 and at the end.
func soak(port: Int, version: MQTTOptions.ProtocolVersion) throws {
    var options = MQTTOptions(host: "127.0.0.1", port: port)
    options.clientID = "soak"
    options.protocolVersion = version
    let client = try MQTTClient(options)
    try client.subscribe([MQTTSubscription(filter: "loop", qos: 1)])
    try client.start(onMessage: { _ in .accepted }, onEvent: { _ in })
    while !client.isConnected { usleep(1000) }
    // Every property is memory that libmosquitto hands over.
    let message = MQTTMessage(
        topic: "loop", payload: [UInt8](repeating: 7, count: 1000), qos: 1, responseTopic: "an/answer",
        correlationData: [1, 2, 3], contentType: "text/plain", expirySeconds: 60)
    func run(upTo total: Int) {
        while client.counters.received < total {
            let sent = client.counters.published
            if sent < total { try? client.publish(message, token: 1) }
            if client.counters.received + 100 < sent || sent >= total { usleep(200) }
        }
        let line = FileTree.machine.lines("/proc/self/status").first { $0.hasPrefix("RssAnon:") } ?? ""
        say("anonymous \(line.filter(\.isNumber))")
    }
    run(upTo: 3000)
    let start = monotonicNanoseconds()
    run(upTo: 30_000)
    let seconds = Double(monotonicNanoseconds() - start) / 1e9
    say("QoS 1 messages of 1 kB, out and in again: \(Int(27_000 / seconds)) a second")
    client.stop(drainFor: .seconds(1))
}

/// Marks fatal signals in a file and dies of one.
func die(_ signal: Int32, path: String) {
    // Whoever starts us may have blocked it, as threads of Dispatch do.
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
    martlet_mark_crashes(open(path, O_RDWR | O_CREAT, 0o600))
    say("marking")
    // The standard says that a signal to oneself arrives before this returns.
    kill(getpid(), signal)
    exit(0)
}

/// Replaces itself while a thread of its own runs, signals are blocked and files are open; then tells what is left.
func startAnew(isSecond: Bool) {
    guard isSecond else {
        say("\(getpid())")
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        signal(SIGTERM, SIG_IGN)
        // Not close-on-exec, as sockets of some libraries.
        _ = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { _ in
                while true { pause() }
            }, nil)
        var strings: [UnsafeMutablePointer<CChar>?] = (CommandLine.arguments + ["again"]).map { strdup($0) }
        strings.append(nil)
        martlet_start_anew(strings)
        say("not started: \(errno)")
        exit(1)
    }
    let status = FileTree.machine.lines("/proc/self/status")
    for key in ["SigBlk", "SigIgn", "Threads"] { say(status.first { $0.hasPrefix(key) }.map(String.init) ?? "") }
    // The listing itself is one of them.
    say("files \(FileTree.machine.names(in: "/proc/self/fd").count) of \(getpid())")
    exit(0)
}

let arguments = CommandLine.arguments
switch (arguments.dropFirst().first, arguments.count) {
case ("spool-writer", 3): try writeSpool(arguments[2])
case ("receive", 4), ("receive", 5):
    try receive(
        port: Int(arguments[2]) ?? 0, version: arguments[3] == "5" ? .v5 : .v311,
        spoolPath: arguments.count == 5 ? arguments[4] : nil)
case ("soak", 4): try soak(port: Int(arguments[2]) ?? 0, version: arguments[3] == "5" ? .v5 : .v311)
case ("knock", 3): try knock(port: Int(arguments[2]) ?? 0)
case ("die", 4): die(Int32(arguments[2]) ?? 0, path: arguments[3])
case ("start-anew", 2), ("start-anew", 3): startAnew(isSecond: arguments.count == 3)
case ("will", 3): try hold(port: Int(arguments[2]) ?? 0)
default:
    say("usage: CrashHelper spool-writer PATH | receive PORT 5|311 [SPOOL] | will PORT | knock PORT | soak PORT 5|311")
    exit(64)
}
