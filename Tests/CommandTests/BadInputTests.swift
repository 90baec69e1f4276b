import Glibc
import TestModels
import TestSupport
import Testing

/// What users get wrong, through the binary: one line that says what, why and what to do, and the right exit status.
@Suite struct BadInputTests {
    let folder: TemporaryFolder
    let tiny: TinyModel
    var model: String { tiny.model.file.path }

    init() throws {
        folder = try TemporaryFolder()
        tiny = try TinyModel()
        try folder.write("just text", to: "text")
        try folder.write("", to: "empty")
        try folder.write(#"{"not":{"type":"null"}}"#, to: "schema")
        // Through a link, so that no mistake of ours replaces the device when root runs the tests.
        try #require(symlink("/dev/full", folder.path("full")) == 0)
        try #require(mkfifo(folder.path("pipe"), 0o600) == 0)
    }

    /// Words of a command line; FOLDER and MODEL stand for this test's own, REAL for the default model.
    private func child(_ line: String) throws -> Child {
        let real = line.contains("REAL") ? try realModel().file.path : ""
        let words = line.split(separator: " ").map {
            String($0).replacing("FOLDER", with: folder.root).replacing("MODEL", with: model)
                .replacing("REAL", with: real)
        }
        return try Child([try builtProgram("martlet")] + words)
    }

    private func isOneLine(_ text: String) -> Bool {
        text.hasPrefix("martlet: error: ") && text.hasSuffix("\n") && text.count(where: \.isNewline) == 1
    }

    @Test(arguments: [
        ("model verify FOLDER/none", 66, "No such file or directory"),
        ("model verify FOLDER", 65, "Is a directory"),
        ("model verify FOLDER/pipe", 65, "Operation not supported"),
        ("model verify /dev/zero", 65, "Operation not supported"),
        ("model verify FOLDER/empty", 65, "it is empty"),
        ("model verify FOLDER/text", 65, "does not begin with 'GGUF'"),
        ("classify --model MODEL --labels a hi", 64, "two labels or more"),
        ("classify --model MODEL --labels a,a hi", 64, "all different"),
        ("classify --model MODEL --threads 999 --labels a,b hi", 64, "--threads takes 0 to 64"),
        ("classify --model MODEL --labels a,b --json=5 hi", 64, "--json"),
        ("frobnicate", 64, "frobnicate"),
        ("model logits MODEL --tokens 1,x --out FOLDER/out", 64, "'x'"),
        ("model logits MODEL --tokens 1,9999 --out FOLDER/out", 65, "token 9999 is not in the vocabulary"),
        ("model logits MODEL --tokens 1 --out FOLDER/none/out", 73, "No such file or directory"),
        ("model logits MODEL --tokens 1 --out FOLDER", 73, "Is a directory"),
        ("model logits MODEL --tokens 1 --out FOLDER/full", 73, "No space left on device"),
        ("model perplexity MODEL --file FOLDER/none", 66, "No such file or directory"),
        ("model perplexity MODEL --file FOLDER", 65, "cannot read"),
        ("model perplexity MODEL --file FOLDER/text", 65, "less than a window"),
        ("model perplexity MODEL --chunks 0 --file FOLDER/text", 64, "--chunks takes a positive number"),
        ("model pack FOLDER/none", 66, "No such file or directory"),
        ("model pack FOLDER/text", 65, "does not begin with 'GGUF'"),
        ("model pack MODEL --out FOLDER/out", 65, "none of its weights is of a type that is packed"),
        ("model pack REAL --out FOLDER/none/out", 73, "No such file or directory"),
        ("model pack REAL --out FOLDER/full", 73, "No space left on device"),
        ("model import FOLDER/none --type Q4_0 --out FOLDER/out", 66, "No such file or directory"),
        ("model import FOLDER --type Q4_0 --out FOLDER/out", 66, "it has no config.json"),
        ("model import MODEL --type Q4_0 --out FOLDER/out", 65, "it is not a folder"),
        ("model import FOLDER --type Q9 --out FOLDER/out", 64, "is not a type that can be written"),
        ("model pull smollm2-135", 64, "Did you mean smollm2-135m?"),
        ("model verify MODEL --sha256 00", 65, "has another SHA-256"),
        ("summarize --model MODEL FOLDER", 65, "cannot read"),
        ("summarize --model MODEL FOLDER/empty", 65, "nothing to summarize"),
        ("extract --model MODEL --schema FOLDER/none hi", 66, "No such file or directory"),
        ("extract --model MODEL --schema FOLDER/text hi", 65, "not JSON"),
        ("extract --model MODEL --schema FOLDER/schema hi", 65, "the schema's /not cannot be followed"),
        ("extract --model MODEL hi", 64, "--schema"),
        ("generate --model MODEL --prompt a --regex (a", 65, "at 1: a group does not end"),
        ("generate --model MODEL --prompt a --regex a --choice b", 64, "exclude one another"),
        ("generate --model MODEL --prompt a --max-tokens 2 --choice abcdef", 65, "and 2 fit"),
        (
            "generate --model MODEL --prompt a --context 1024", 65,
            "a context of 1024 tokens is more than the 512 that the model was trained for. Choose at most 512, or stretch"
        ),
        ("generate --model MODEL --prompt a --context 0", 64, "--context takes a positive number"),
        ("generate --model MODEL --prompt a --rope-scaling ntk", 64, "--rope-scaling"),
        ("config check FOLDER/none", 66, "No such file or directory"),
        ("config check MODEL", 78, "not valid TOML"),
        ("run --config FOLDER", 78, "Is a directory"),
        ("run", 64, "--config"),
    ])
    func isOneClearLine(line: String, status: Int32, reason: String) throws {
        let child = try child(line)
        #expect(child.wait(seconds: 30) == status)
        #expect(isOneLine(child.errors) && child.errors.contains(reason), "\(child.errors)")
        #expect(child.output.isEmpty)
        #expect(folder.names == ["empty", "full", "pipe", "schema", "text"])
    }

    @Test func aFullDiskBehindStandardOutputIsSaid() throws {
        let child = try Child(["sh", "-c", "exec \(try builtProgram("martlet")) model inspect \(model) >/dev/full"])
        #expect(child.wait(seconds: 30) == 73)
        #expect(isOneLine(child.errors) && child.errors.contains("No space left on device"), "\(child.errors)")
    }

    @Test func aReaderThatLeavesEndsUsQuietly() throws {
        let line = "\(try builtProgram("martlet")) classify --model \(model) --labels a,b | head -n 1"
        let child = try Child(
            ["bash", "-o", "pipefail", "-c", line], input: Array(String(repeating: "event\n", count: 200).utf8))
        #expect(child.wait(seconds: 30) == 0)
        #expect(child.errors.isEmpty && child.output.count(where: \.isNewline) == 1)
    }

    /// The mapping is there, the bytes behind it are gone: SIGBUS without the handler.
    @Test func aModelThatIsTruncatedWhileInUseIsSaid() throws {
        let child = try child("model perplexity MODEL --context 8 --file FOLDER/pipe")
        // Opens once the other end has: the model is mapped by then.
        var pipe: Int32 = -1
        try #require(
            eventually {
                pipe = open(folder.path("pipe"), O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                return pipe >= 0
            })
        #expect(truncate(model, 0) == 0)
        #expect(write(pipe, "one text of more than eight tokens", 34) == 34)
        close(pipe)
        #expect(child.wait(seconds: 30) == 65)
        #expect(isOneLine(child.errors) && child.errors.contains("lost bytes while in use"), "\(child.errors)")
    }
}
