import TestSupport
import Testing

@testable import Transport

/// Nothing grows: not with messages, not with reconnects.
@Suite(.serialized) struct MQTTSoakTests {
    /// A handle for each attempt, and none may stay.
    @Test func twoThousandRefusedConnectionsLeaveNothingBehind() throws {
        let port = try #require(PrivateBroker.freePort())
        let output = try Child.run([builtProgram("CrashHelper"), "knock", String(port)], seconds: 60)
        let figures = output.split(whereSeparator: { $0 == "\n" || $0 == " " }).compactMap { Int($0) }
        try #require(figures.count == 4, "\(output)")
        #expect(figures[3] <= figures[1] + 3, "descriptors: \(output)")
        #expect(figures[2] - figures[0] < 512, "KiB of anonymous memory: \(output)")
    }

    /// In a process of its own, because the tests beside this one take memory too.
    @Test(arguments: MQTTClientTests.versions)
    func thirtyThousandMessagesLeaveNothingBehind(_ version: MQTTOptions.ProtocolVersion) throws {
        let harness = try BrokerHarness()
        let name = version == .v5 ? "5" : "311"
        let output = try Child.run([builtProgram("CrashHelper"), "soak", String(harness.port), name], seconds: 60)
        let figures = output.split(separator: "\n").compactMap { line -> Int? in
            line.hasPrefix("anonymous ") ? Int(line.dropFirst(10)) : nil
        }
        try #require(figures.count == 2, "\(output)")
        print("transport: \(output.split(separator: "\n").last ?? "")")
        #expect(figures[1] - figures[0] < 1024, "KiB after 3,000 and after 30,000 messages: \(figures)")
    }
}
