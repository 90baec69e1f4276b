import TestModels
import Testing

@testable import Daemon

/// Extraction's schema, and contexts beyond the training: what needs a look into other files.
@Suite struct ConfigurationFiles {
    private let extract = minimal.replacing("\"classify\"", with: "\"extract\"").replacing("labels", with: "#")

    private func world(_ files: [String: String]) -> ConfigurationContext {
        var context = testContext
        context.readFile = { files[$0] }
        return context
    }

    private func parse(_ line: String, file: String = "m.toml", _ files: [String: String]) throws -> TaskSection {
        let text = Array((extract + line).utf8)
        let configuration = try Configuration.parse(text, file: file, context: world(files))
        return try #require(configuration.tasks.first)
    }

    @Test func aSchemaStandsBesideTheConfigurationOrInIt() throws {
        let schema = #"{"type": "object"}"#
        let task = try parse("schema = \"door.json\"", ["door.json": schema])
        #expect(task.kind == .extract && task.schema == schema && task.maxTokens == 256)
        let beside = ["/etc/martlet/s/door.json": schema]
        #expect(try parse("schema = \"s/door.json\"", file: "/etc/martlet/m.toml", beside).schema == schema)
        #expect(try parse("schema = \"/etc/martlet/s/door.json\"", file: "conf/m.toml", beside).schema == schema)
        #expect(try parse("schema = ' {\"type\": \"object\"}'\nmax_tokens = 9", [:]).maxTokens == 9)
        // Saying what to extract says the kind.
        let kindless = (extract + "schema = '{}'").replacing("kind = \"extract\"\n", with: "")
        #expect(try Configuration.parse(Array(kindless.utf8), file: "m", context: world([:])).tasks[0].kind == .extract)
    }

    @Test(arguments: [
        ("", "m.toml:5: an extract task needs a schema. Add schema = \"FILE.json\", a JSON Schema"),
        ("schema = 5", "m.toml:9: schema must be a string, not an integer. Write schema = \"door.json\""),
        (
            "schema = \"none.json\"",
            "m.toml:9: the schema none.json cannot be read. Check the path, which is relative "
                + "to the configuration's folder, and its rights"
        ),
        ("schema = \"bad.json\"", "m.toml:9: bad.json: the schema is not JSON"),
        ("schema = \"not.json\"", "m.toml:9: not.json: the schema's /not cannot be followed: "),
        ("schema = '{\"type\": \"objekt\"}'", "m.toml:9: the schema's /type cannot be followed: "),
        ("schema = '{}'\nmin_confidence = 0.5", "m.toml:10: min_confidence has no meaning for kind \"extract\""),
        ("schema = '{}'\nwindow = \"5m\"", "m.toml:10: window has no meaning for kind \"extract\""),
    ])
    func refusesASchemaWithItsLine(_ line: String, _ expected: String) {
        let found = problems(extract + line, context: world(["bad.json": "{", "not.json": #"{"not": {}}"#]))
        #expect(found.count == 1 && found[0].hasPrefix(expected), "\(found)")
        #expect(found.allSatisfy { !$0.contains("\n") && !$0.hasSuffix(".") })
    }

    @Test func aSchemaHasNoMeaningForOtherKinds() {
        let found = problems(minimal + "schema = \"missing.json\"")
        #expect(found.count == 1 && found[0].contains("schema has no meaning for kind \"classify\""), "\(found)")
    }

    @Test func aContextBeyondTheTrainingIsRefusedOrStretched() throws {
        let tiny = try TinyModel()
        var context = testContext
        context.shape = ConfigurationContext.machine().shape
        func written(_ lines: String) -> String {
            minimal.replacing("/models/smollm2-135m.gguf\"", with: "\(tiny.model.file.path)\"\n\(lines)")
        }
        let plain = try parseWhole(written("context = 512"), context)
        #expect(plain.models[0].isContextGiven && plain.models[0].ropeScaling == .none && plain.warnings.isEmpty)
        // The default is lowered by the engine.
        #expect(try !parseWhole(written(""), context).models[0].isContextGiven)
        #expect(
            problems(written("context = 1024"), context: context) == [
                "m.toml:5: context = 1024 is more than the 512 tokens the model was trained for. "
                    + "Write context = 512, or rope_scaling = \"yarn\" to stretch its positions"
            ])
        let stretched = try parseWhole(written("context = 1024\nrope_scaling = \"linear\""), context)
        #expect(stretched.models[0].ropeScaling == .linear && stretched.warnings.isEmpty)
        let idle = try parseWhole(written("rope_scaling = \"yarn\""), context).warnings
        #expect(
            idle.count == 1 && idle[0].description.contains("rope_scaling has no effect: the model was trained for 512")
        )
        #expect(
            problems(written("rope_scaling = \"ntk\""), context: context) == [
                "m.toml:5: rope_scaling \"ntk\" is unknown. Write \"none\", \"linear\" or \"yarn\""
            ])
    }

    private func parseWhole(_ text: String, _ context: ConfigurationContext) throws -> Configuration {
        try Configuration.parse(Array(text.utf8), file: "m.toml", context: context)
    }
}
