import Kernels

/// What one pass computes: tokens, each with a cell of its own, behind the cells in use.
///
/// Either a chain that the cells in use go on with, or trees that lie side by side behind them.
struct Batch {
    /// Tokens in this pass. `RunState.cells` says where each is kept.
    var tokens = 0
    /// Cells in use before the pass; every token sees all of them.
    var prefix = 0
    /// Pieces that attention is computed in, in `RunState.blocks`.
    var blocks = 0
    /// Tokens whose logits are asked for, in `RunState.outputs`: behind attention the last layer computes only these.
    var outputs = 0
    /// For trees, which tokens of its own tree a token sees: a (tokens, tokens) of each tree. Nil for a chain.
    var visible: UnsafePointer<Bool>?
}

/// Where one thread is in a pass.
struct Pass {
    var batch: Batch
    let scratch: ThreadScratch
    let clock: StepClock
    /// The layer it is in.
    var layer = 0
    /// The work counters of the layer's steps, in order; no step is counted twice.
    private var word: UnsafeMutablePointer<UInt32>

    init(_ state: RunState, _ batch: Batch, thread: Int) {
        self.batch = batch
        scratch = state.threads[thread]
        clock = state.times.clock(thread)
        word = state.counters
    }

    mutating func enter(_ layer: Int, _ state: RunState) {
        self.layer = layer
        word = state.counters + layer &* RunState.stepsPerLayer &* RunState.counterStride
    }

    /// The counter of the next step that shares out work.
    mutating func next() -> WorkCounter {
        defer { word += RunState.counterStride }
        return WorkCounter(word)
    }
}

// The layers. All threads run this together: a step's work is shared out piece by piece, and one barrier stands
// between a step and the step that reads what it wrote. Five barriers a layer for a single token, seven for a batch;
// what only some architectures have adds its own.
//
// A decode step normalises its input on every thread instead of sharing the work: 576 numbers cost less than the
// barrier they would need.
extension Session {
    func runLayers(_ thread: Int) {
        var pass = Pass(state, pending, thread: thread)
        pass.clock.lap(.rest)
        for index in 0..<model.config.blockCount {
            let layer = model.weights.layers[index]
            pass.enter(index, state)
            switch layer.mixer {
            case .attention(let weights): attention(weights, layer, &pass, thread)
            case .latent(let weights): latentAttention(weights, layer, &pass, thread)
            case .convolution(let weights): convolution(weights, layer, &pass, thread)
            }
            if let experts = layer.experts {
                mixExperts(experts, layer, &pass, thread)
            } else if let weights = layer.feedForward {
                feedForward(weights, layer, &pass)
            }
        }
    }

    /// A step of `kind` ends: the barrier behind it.
    func meet(after kind: StepProfile.Kind, _ pass: borrowing Pass) {
        pass.clock.lap(kind)
        pool.barrier()
        pass.clock.lap(.wait)
    }

    /// In the last layer goes on with the asked tokens only, whose rows are moved to the front.
    func keepOutputs(_ pass: inout Pass, _ thread: Int) {
        guard pass.layer == model.config.blockCount &- 1, pass.batch.outputs < pass.batch.tokens else { return }
        if thread == 0 {
            moveUp(state.x, model.config.embeddingLength, pass.batch)
            moveUp(state.attention, attentionWidth(pass.layer), pass.batch)
            if model.config.plan.isParallel { moveUp(state.hidden, model.config.feedForwardLength, pass.batch) }
        }
        meet(after: .rest, pass)
        pass.batch.tokens = pass.batch.outputs
    }

    /// Elements a token has of what mixes tokens.
    private func attentionWidth(_ layer: Int) -> Int {
        model.config.layers[layer].isConvolution ? model.config.embeddingLength : model.config.valueWidth
    }

    private func moveUp(_ rows: UnsafeMutablePointer<Float>, _ width: Int, _ batch: Batch) {
        for row in 0..<batch.outputs {
            let token = Int(state.outputs[row])  // never before `row`: they are in order
            (rows + row &* width).update(from: rows + token &* width, count: width)
        }
    }
}
