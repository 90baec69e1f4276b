import ArgumentParser
import Inference

/// How tokens are chosen; shared by every command that writes.
struct SamplingOptions: ParsableArguments {
    @Option(help: "0 is greedy; higher is more varied.")
    var temperature: Float = 0

    @Option(help: "Sample from the K most likely tokens; 0 takes all.")
    var topK = 40

    @Option(help: "Sample from the most likely tokens that reach this probability together.")
    var topP: Float = 0.95

    @Option(help: "Drop tokens less likely than this share of the most likely one.")
    var minP: Float = 0.05

    @Option(help: "Divide the scores of recent tokens; 1 is off.")
    var repeatPenalty: Float = 1

    @Option(help: "The same seed gives the same text.")
    var seed: UInt64 = 0

    func validate() throws {
        guard temperature >= 0, temperature.isFinite else { throw ValidationError("--temperature takes 0 or more") }
        guard topK >= 0 else { throw ValidationError("--top-k takes 0 or more") }
        guard (0...1).contains(topP), (0...1).contains(minP) else {
            throw ValidationError("--top-p and --min-p take 0 to 1")
        }
        guard repeatPenalty > 0, repeatPenalty.isFinite else {
            throw ValidationError("--repeat-penalty takes a positive number")
        }
    }

    var values: SamplerOptions {
        SamplerOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP, repeatPenalty: repeatPenalty, seed: seed)
    }
}
