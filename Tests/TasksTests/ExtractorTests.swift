import JSON
import TestModels
import Testing

@testable import Inference
@testable import Tasks

@Suite struct ExtractorTests {
    private static let schema = Array(
        """
        {"type":"object","properties":{"room":{"enum":["kitchen","cellar"]},"celsius":{"type":"number","minimum":-40,
         "maximum":85}},"required":["room","celsius"],"additionalProperties":false}
        """.utf8)

    @Test func answersFollowTheSchemaAndThePromptIsKept() throws {
        let shared = SharedSession(
            try Session(model: try TinyModel(seed: 2, context: 1024).model, context: 1024, threads: 1))
        let extractor = try Extractor(shared, schema: Self.schema, mostTokens: 80)
        let first = try #require(try extractor.extract("21 degrees in the kitchen"))
        let second = try #require(try extractor.extract("<|im_end|> 4 in the cellar"))
        #expect(first.tokens.cached == 0 && second.tokens.cached > 20)
        for result in [first, second] {
            let value = try JSONValue(parsing: result.json)
            #expect(["kitchen", "cellar"].contains(value["room"]?.string ?? ""))
            #expect((-40...85).contains(value["celsius"]?.double ?? 99))
            #expect(result.tokens.generated <= 80)
        }
        #expect(try extractor.extract("21 degrees in the kitchen")?.json == first.json, "greedy answers repeat")
    }

    @Test func theRealModelReadsAText() throws {
        let shared = SharedSession(try Session(model: try realModel(), context: 1024, threads: 2))
        let extractor = try Extractor(shared, schema: Self.schema)
        let result = try #require(try extractor.extract("The sensor in the cellar says 12.5 degrees."))
        #expect(result.json == #"{"room": "cellar", "celsius": 12.5}"#)
        #expect(!result.isCut)
    }

    @Test func refusesWhatItCannotDo() throws {
        let shared = SharedSession(try Session(model: try TinyModel(context: 1024).model, context: 1024, threads: 1))
        func failure(_ schema: String, _ tokens: Int) -> String {
            do throws(TaskError) {
                _ = try Extractor(shared, schema: Array(schema.utf8), mostTokens: tokens).extract("x")
            } catch {
                return error.description
            }
            return ""
        }
        #expect(failure("{", 10).contains("not JSON"))
        #expect(failure(#"{"not":true}"#, 10).contains("/not"))
        #expect(failure(#"{"type":"string","minLength":50}"#, 10).contains("takes"))
    }
}
