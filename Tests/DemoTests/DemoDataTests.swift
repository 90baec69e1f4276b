import Daemon
import JSON
import Linux
import TestSupport
import Testing

@testable import martlet

@Suite struct DemoDataTests {
    @Test func everyRequestHasALabelAndEveryLabelItsShare() {
        let requests = DemoData.requests()
        #expect(requests.count == 80)
        for label in DemoData.labels {
            #expect(requests.count { $0.label == label } == 16, "\(label)")
        }
        #expect(Set(requests.map(\.text)).count == requests.count)
        #expect(requests.first == DemoData.Request(text: "hey olly make the lights a little dimmer", label: "lights"))
    }

    @Test(arguments: [
        ("iot_hue_lightdim", "lights"), ("alarm_remove", "alarm"), ("iot_cleaning", "vacuum"), ("iot_wemo_on", nil),
    ])
    func intentsMapAsTheCreditsSay(intent: String, label: String?) {
        #expect(DemoData.label(ofIntent: intent) == label)
    }

    @Test func readingsFillTheirWindows() throws {
        for readings in [DemoData.office(), DemoData.thermometer()] {
            #expect(readings.payloads.count == 48)
            #expect(readings.payloads.count % readings.window == 0)
        }
        let first = try JSONValue(parsing: try #require(DemoData.office().payloads.first))
        #expect(first["temperature"]?.double == 20.3 && first["co2"]?.double == 442.8)
        #expect(DemoData.thermometer().payloads.first == "69.9")
    }

    @Test func creditsNameEverySourceAndLicence() {
        for words in ["NLU Evaluation Data", "CC BY 4.0", "Candanedo", "Numenta Inc.", "Permission is hereby granted"] {
            #expect(DemoData.credits.contains(words), "\(words)")
        }
    }

    /// The daemon's own reader must take what the demo writes, also for paths that need escapes.
    @Test(arguments: ["model.gguf", "a \"quoted\" \\ path\n.gguf"])
    func configurationIsValid(name: String) throws {
        let folder = try TemporaryFolder()
        try folder.write([0], to: name)
        let text = DemoConfiguration(
            device: "demo-1", url: "mqtt://127.0.0.1:1883", model: folder.path(name), threads: 1, home: "demo/demo-1"
        ).text
        let configuration = try Configuration.parse(Array(text.utf8), file: "demo.toml", context: .machine())
        #expect(configuration.tasks.map(\.name) == ["request", "office", "thermometer"])
        #expect(configuration.models[0].path == folder.path(name))
        #expect(configuration.warnings.isEmpty)
    }

    /// The daemon of the demo reads the packed models of the user's cache and keeps all else in a folder that goes.
    @Test func theCacheOfTheDemoGoesWithIt() throws {
        let (cache, folder) = (try TemporaryFolder(), try TemporaryFolder())
        try makeFolders(cache.path("packed"))
        try cache.write("weights", to: "packed/a.gguf")
        try DemoDaemon.makeCache(in: folder.root, of: cache.root)
        #expect(folder.read("cache/packed/a.gguf") == "weights")
        try makeFolders(folder.path("cache/prefixes"))
        try folder.write("state", to: "cache/prefixes/a.kv")
        #expect(cache.names == ["packed"])
        DemoDaemon.remove(folder.path("cache"))
        #expect(folder.names.isEmpty)
        #expect(cache.read("packed/a.gguf") == "weights")
        // Without packed models there is nothing to link to.
        try DemoDaemon.makeCache(in: folder.root, of: folder.path("none"))
        #expect(folder.names == ["cache"] && FileTree.machine.names(in: folder.path("cache")).isEmpty)
    }

    @Test func aPasswordInTheURLStaysOutOfTheConfiguration() {
        for (url, plain) in [
            ("mqtt://u:p%40:w@h:1", "mqtt://u@h:1"), ("mqtts://u@h", "mqtts://u@h"),
            ("mqtt://[::1]:5", "mqtt://[::1]:5"),
        ] { #expect(DemoConfiguration.withoutPassword(url) == plain) }
    }

    @Test func latencyIsTheNearestRank() {
        var tally = DemoTally()
        #expect(tally.latency(0.95) == 0)
        for value in 1...20 {
            tally.add(DemoData.Request(text: "", label: "a"), answer: "a", milliseconds: Double(value))
        }
        #expect(tally.latency(0.5) == 10 && tally.latency(0.95) == 19 && tally.latency(1) == 20)
        #expect(tally.correct == 20)
    }
}

/// Failures of the command as a user meets them, without a model.
@Suite struct DemoFailureTests {
    private func demo(_ arguments: [String]) throws -> (status: Int32?, error: String, output: String) {
        let child = try Child([builtProgram("martlet"), "demo"] + arguments)
        let status = child.wait(seconds: 30)
        return (status, child.errors, child.output)
    }

    @Test func aMissingModelIsNamed() throws {
        let result = try demo(["--model", "/nonexistent/model.gguf"])
        #expect(result.status == 66)
        #expect(result.error.hasPrefix("martlet: error: cannot open /nonexistent/model.gguf"))
    }

    @Test func aBrokenModelIsTheDaemonsComplaint() throws {
        let result = try demo(["--model", "/etc/passwd"])
        #expect(result.status == 65)
        #expect(result.error.contains("not a GGUF file"))
        #expect(result.error.split(separator: "\n").count == 1)
    }

    @Test func anAbsentBrokerIsUnavailable() throws {
        let result = try demo(["--model", "/etc/passwd", "--broker", "mqtt://127.0.0.1:1"])
        #expect(result.status == 69)
        #expect(result.error.hasPrefix("martlet: error: cannot reach the broker at 127.0.0.1"))
    }

    @Test(arguments: [["--broker", "http://x", "--model", "/etc/passwd"], ["--events", "0"], ["--events", "81"]])
    func unusableArgumentsAreUsageErrors(arguments: [String]) throws {
        #expect(try demo(arguments).status == 64)
    }
}
