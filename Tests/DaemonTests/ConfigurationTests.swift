import Catalogue
import Linux
import TestSupport
import Testing

@testable import Daemon

/// A world in which every file exists but those named `missing…`.
let testContext = ConfigurationContext(
    hostname: "pi.local", isReadable: { !$0.contains("missing") }, readFile: { $0.contains("missing") ? nil : "secret" }
)

func parse(_ text: String, context: ConfigurationContext = testContext) throws -> Configuration {
    try Configuration.parse(Array(text.utf8), file: "m.toml", context: context)
}

/// The messages of a configuration that must be refused.
func problems(_ text: String, context: ConfigurationContext = testContext) -> [String] {
    do {
        _ = try Configuration.parse(Array(text.utf8), file: "m.toml", context: context)
        return []
    } catch {
        return error.problems.map(\.description)
    }
}

let minimal = """
    [broker]
    url = "mqtt://localhost"
    [[model]]
    path = "/models/smollm2-135m.gguf"
    [[task]]
    kind = "classify"
    subscribe = ["a/b"]
    labels = ["yes", "no"]

    """

/// The device "pi" with one classify task, "door", on the broker `url`; `broker` are further lines of [broker].
func oneDoor(_ url: String, broker: String = "") -> String {
    """
    [device]
    id = "pi"
    [broker]
    url = "\(url)"
    \(broker)
    [[model]]
    name = "m"
    path = "/m.gguf"
    [[task]]
    name = "door"
    subscribe = ["door/#"]
    labels = ["routine", "unusual"]
    """
}

@Suite struct ConfigurationReading {
    @Test func fillsInEveryDefault() throws {
        let configuration = try parse(minimal)
        #expect(configuration.device == .init(id: "pi-local", board: "auto"))
        #expect(configuration.broker.host == "localhost" && configuration.broker.port == 1883)
        #expect(!configuration.broker.tls && configuration.broker.protocolVersion == 5)
        #expect(configuration.broker.clientID == "martlet-pi-local")
        #expect(configuration.broker.sessionExpiry == .seconds(3600))
        #expect(configuration.models[0].name == "smollm2-135m" && configuration.models[0].context == 2048)
        let task = configuration.tasks[0]
        #expect(task.name == "classify" && task.model == "smollm2-135m" && task.priority == 5)
        #expect(task.minConfidence == 0 && task.otherwise == "uncertain" && task.deadline == nil)
        #expect(configuration.health == .init() && configuration.limits == .init())
        #expect(configuration.limits.queue == 1000 && configuration.limits.maxPayload == 262_144)
    }

    @Test func readsTheWholeContract() throws {
        let configuration = try parse(
            """
            [device]
            id = "kitchen-pi"
            board = "pi-5"
            [broker]
            url = "mqtts://broker.lan:8884"
            username = "martlet"
            password_file = "/run/pw"
            ca_file = "/etc/martlet/ca.pem"
            cert_file = "/etc/martlet/client.pem"
            key_file = "/etc/martlet/client.key"
            protocol = 311
            client_id = "me"
            session_expiry = "2h"
            [[model]]
            name = "smollm2"
            path = "/m.gguf"
            sha256 = "\(String(repeating: "aB", count: 32))"
            context = 1024
            threads = 2
            kv_cache = "f16"
            lora = []
            chat_template = "gemma"
            [[task]]
            name = "front-door"
            kind = "classify"
            model = "smollm2"
            subscribe = ["zigbee2mqtt/front_door", "$share/martlet/home/+/alerts"]
            text = "{{topic}}: {{payload.contact}} {{payload.action}}"
            labels = ["routine", "unusual", "emergency"]
            prompt = "Judge."
            min_confidence = 0.55
            otherwise = "unsure"
            priority = 9
            deadline = "5s"
            retain = true
            [[task]]
            name = "digest"
            kind = "summarize"
            subscribe = "home/#"
            every = 50
            max_tokens = 40
            [[task]]
            name = "on-demand"
            kind = "summarize"
            subscribe = ["home/#"]
            on = "martlet/<device>/task/on-demand/run"
            [health]
            interval = "1m30s"
            homeassistant = false
            discovery_prefix = "ha"
            [limits]
            memory = "100MiB"
            max_temperature = 70
            spool = "8MiB"
            queue = 10
            max_payload = "10KiB"
            """)
        #expect(configuration.broker.tls && configuration.broker.password == "secret")
        #expect(configuration.broker.protocolVersion == 311 && configuration.broker.port == 8884)
        #expect(configuration.models[0].sha256 == String(repeating: "ab", count: 32))
        #expect(configuration.models[0].chatTemplate == "gemma")
        #expect(configuration.tasks[0].deadline == .seconds(5) && configuration.tasks[0].retain)
        #expect(configuration.tasks[1].window == .count(50) && configuration.tasks[1].model == "smollm2")
        #expect(configuration.tasks[2].window == .onTopic("martlet/kitchen-pi/task/on-demand/run"))
        #expect(configuration.health.interval == .seconds(90) && !configuration.health.homeassistant)
        #expect(
            configuration.limits.memory == 100 << 20 && configuration.limits.maxTemperature == 70
                && configuration.limits.maxPayload == 10_240)
        #expect(configuration.warnings.isEmpty)
    }

    @Test func theEnvironmentsPasswordWins() throws {
        var context = testContext
        context.environmentPassword = "from-env"
        let text = minimal.replacing("[[model]]", with: "username = \"u\"\npassword_file = \"/missing\"\n[[model]]")
        #expect(try parse(text, context: context).broker.password == "from-env")
    }

    @Test func aMissingSystemdCredentialIsOnlyAWarning() throws {
        let file = "/run/credentials/martlet.service/missing"
        let text = minimal.replacing("[[model]]", with: "username = \"u\"\npassword_file = \"\(file)\"\n[[model]]")
        #expect(try parse(text).warnings.count == 1)
    }
}

@Suite struct ConfigurationRefusals {
    @Test func reportsEverythingAtOnceInTheOrderOfTheFile() {
        let found = problems(
            """
            [device]
            id = "küche"
            [broker]
            urll = "mqtt://localhost"
            [[model]]
            path = "/missing.gguf"
            [[task]]
            name = "a"
            kind = "clasify"
            [limits]
            queue = "many"
            """)
        #expect(
            found == [
                "m.toml:2: id \"küche\" is not a device name. "
                    + "Use 1 to 64 of the characters a-z A-Z 0-9 _ -, because it becomes a topic level",
                "m.toml:3: [broker] has no url. Add url = \"mqtt://localhost:1883\"",
                "m.toml:4: unknown key urll in [broker]. Did you mean url?",
                "m.toml:6: the model /missing.gguf cannot be read. "
                    + "Check the path and its rights; `make model` fetches the default model",
                "m.toml:9: kind \"clasify\" is unknown. Did you mean classify?",
                "m.toml:11: queue must be a whole number, not a string. Write queue = 1",
            ])
    }

    @Test func aModelMayBeNamedAsInTheCatalogue() throws {
        var context = testContext
        let folder = try TemporaryFolder()
        let store = ModelStore(cache: folder.root)
        context.isReadable = { $0.contains("/") }
        context.resolveModel = { path throws(CatalogueError) in try store.resolve(path) { _, _ in nil } }
        let named = minimal.replacing("/models/smollm2-135m.gguf", with: "smollm2-135m")
        #expect(
            problems(named, context: context).contains {
                $0.hasSuffix("smollm2-135m is not here yet. Pull it first: martlet model pull smollm2-135m")
            })
        let entry = try #require(Catalogue.entry(named: "smollm2-135m"))
        try makeFolders(store.folder)
        try folder.write("x", to: "models/\(entry.file)")
        let model = try #require(parse(named, context: context).models.first)
        #expect(model.path == store.path(entry) && model.name == "smollm2-135m")
    }

    @Test func anEmptyFileNamesAllThreeThingsItNeeds() {
        let found = problems("")
        #expect(found.count == 3 && found.allSatisfy { $0.hasPrefix("m.toml: there is no") })
    }

    @Test func syntaxErrorsHaveALine() {
        #expect(problems("[device]\nid = \n")[0].hasPrefix("m.toml:2: not valid TOML: "))
        #expect(problems("a = \"\u{0}\"").count == 1)
        #expect(problems(String(repeating: "a=[", count: 5000)).count == 1)
        #expect(problems("a = " + String(repeating: "[", count: 100_000))[0].hasPrefix("m.toml:1: not valid TOML"))
    }

    /// An assertion inside toml++ ended the process. Found by fuzzing.
    @Test(arguments: ["[\n", "a = 1\n[  \n\nb = 2", "[[\nx"]) func aHeaderWithoutANameIsASyntaxError(_ text: String) {
        #expect(problems(text).first?.contains("not valid TOML: a \"[\" has no name") == true)
    }

    @Test(arguments: [
        ("deadline = 5", "has no unit"), ("deadline = \"5\"", "is not a duration"),
        ("deadline = \"5 years\"", "is not a duration"), ("deadline = \"0s\"", "is outside"),
        ("deadline = \"99999999999999999999s\"", "is not a duration"), ("deadline = true", "must be a duration"),
        ("priority = 10", "outside 0…9"), ("priority = -1", "outside 0…9"), ("priority = 1.5", "whole number"),
        ("min_confidence = 1.1", "outside"), ("min_confidence = nan", "outside"),
        ("min_confidence = \"x\"", "a number"),
        ("text = \"{{payload\"", "not closed"), ("text = \"{{value_json.a}}\"", "Did you mean {{payload.a}}?"),
        ("text = \"{{payload./a~2}}\"", "not a JSON Pointer"), ("text = \"{{topic.x}}\"", "not a level"),
        ("text = \" \"", "empty"), ("otherwise = \"\"", "otherwise is empty"),
        ("window = \"15m\"", "no meaning for kind \"classify\""), ("every = 5", "no meaning"),
        ("model = \"smollm2-135n\"", "Did you mean smollm2-135m?"), ("name = \"a/b\"", "is not a name"),
        ("lables = []", "Did you mean labels?"), ("topic = \"a\"", "Did you mean subscribe?"),
        ("value = \"/x\"", "no meaning"), ("retain = \"yes\"", "true or false"),
        ("prompt = 1979-05-27", "a date or time"),
    ])
    func refusesAWrongTaskKey(_ line: String, _ expected: String) {
        let found = problems(minimal + line)
        #expect(found.count == 1 && found[0].hasPrefix("m.toml:9: ") && found[0].contains(expected), "\(found)")
    }

    @Test(arguments: [
        ("url = \"mqtt://localhost\"", "url = \"localhost:1883\"", "no scheme"),
        ("url = \"mqtt://localhost\"", "url = \"http://x\"", "not a scheme"),
        ("url = \"mqtt://localhost\"", "url = \"mqtt://x:99999\"", "port"),
        ("url = \"mqtt://localhost\"", "url = \"mqtt://x\"\nca_file = \"/ca\"", "needs TLS"),
        ("url = \"mqtt://localhost\"", "url = \"mqtts://x\"\ncert_file = \"/c\"", "belong together"),
        ("url = \"mqtt://localhost\"", "url = \"mqtts://x\"\nca_file = \"/missing\"", "cannot be read"),
        ("url = \"mqtt://localhost\"", "url = \"mqtt://x\"\npassword = \"p\"", "password_file"),
        ("url = \"mqtt://localhost\"", "url = \"mqtt://x\"\nprotocol = 4.1", "5 or 311"),
        ("[[model]]", "[device]\nboard = \"pi-6\"\n[[model]]", "Did you mean pi-3?"),
        ("[[model]]", "[[models]]", "Did you mean [[model]]?"),
        ("[[model]]", "[[model]]\nchat_template = \"gema\"", "Did you mean \"gemma\"?"),
        ("[[model]]", "[[model]]\nchat_template = \"x\"", "Known are chatml, "),
        ("[[model]]", "[model]", "double brackets"),
        ("labels = [\"yes\", \"no\"]", "labels = [\"yes\"]", "fewer than two"),
        ("labels = [\"yes\", \"no\"]", "labels = [\"yes\", \"yes\"]", "stands twice"),
        ("labels = [\"yes\", \"no\"]", "labels = [\"yes\", \" \"]", "a label is empty"),
        ("labels = [\"yes\", \"no\"]", "labels = [\"yes\", 2]", "strings only"),
        ("labels = [\"yes\", \"no\"]", "", "needs labels"),
        ("[\"a/b\"]", "[\"a/#/b\"]", "not an MQTT topic filter"),
        ("[\"a/b\"]", "[\"$share/g\"]", "not an MQTT topic filter"),
        ("\"classify\"", "\"detect\"", "this build cannot run kind \"detect\" yet"),
    ])
    func refusesAWrongLine(_ old: String, _ new: String, _ expected: String) {
        let found = problems(minimal.replacing(old, with: new))
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test func aListOfAnotherKindIsOneMistake() {
        let found = problems(minimal.replacing("[\"yes\", \"no\"]", with: "[1, 2]"))
        #expect(found.count == 1 && found[0].contains("labels must hold strings only, not an integer"), "\(found)")
    }

    @Test func windowEveryAndOnExcludeOneAnother() {
        let text = minimal.replacing("\"classify\"", with: "\"summarize\"").replacing("labels", with: "#")
        #expect(problems(text + "window = \"15m\"\nevery = 5").contains { $0.contains("window and every exclude") })
        #expect(problems(text + "window = 15").contains { $0.contains("Write window = \"15s\"") })
        #expect(problems(text + "every = 0").contains { $0.contains("outside 1…10000") })
        #expect(problems(text + "on = \"a/+\"").contains { $0.contains("is not a topic") })
    }

    @Test func namesAreUnique() {
        let twice =
            minimal
            + "[[task]]\nkind = \"classify\"\nlabels = [\"a\", \"b\"]\n[[model]]\npath = \"/x/smollm2-135m.gguf\"\n"
        let found = problems(twice)
        #expect(found.contains { $0.contains("two tasks are named classify") })
        #expect(found.contains { $0.contains("two models are named smollm2-135m") })
    }

    @Test func aPasswordInTheURLIsNeverPrinted() {
        #expect(
            !problems(minimal.replacing("mqtt://localhost", with: "mqtt://u:geheim@:1")).joined().contains("geheim"))
    }
}

@Suite struct UnitParsing {
    @Test(arguments: [
        ("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("0s", 0),
    ])
    func readsDurations(_ text: String, _ milliseconds: Int64) {
        #expect(Units.duration(text) == .milliseconds(milliseconds))
        #expect(Units.duration(text).map(Units.text) == text)
    }

    @Test(arguments: ["", "5", "s", "5 s", "-5s", "5x", "1h 30m", "٣s", "9223372036854775807d"])
    func refusesOtherDurations(_ text: String) { #expect(Units.duration(text) == nil) }

    @Test(arguments: [
        ("512B", 512), ("256KiB", 262_144), ("64 MiB", 67_108_864), ("1GB", 1_000_000_000), ("200M", 209_715_200),
    ])
    func readsSizes(_ text: String, _ bytes: Int) { #expect(Units.size(text) == bytes) }

    @Test(arguments: ["", "5", "MiB", "-1MiB", "1TiB", "99999999999GiB"])
    func refusesOtherSizes(_ text: String) { #expect(Units.size(text) == nil) }

    @Test func suggestsOnlyWhatIsNear() {
        #expect(Suggestion.nearest(to: "sbuscribe", in: ["subscribe", "text"]) == "subscribe")
        #expect(Suggestion.nearest(to: "xyz", in: ["url", "username"]) == nil)
        #expect(Suggestion.distance(Array("kitten".utf8), Array("sitting".utf8)) == 3)
        #expect(Suggestion.distance([], Array("ab".utf8)) == 2)
    }
}
