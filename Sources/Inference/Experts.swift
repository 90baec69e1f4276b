import Glibc
import Kernels
import QuantBlocks

/// Scratch of models with experts: who goes where, and what those who go to one expert have side by side.
///
/// A slot is one token in one expert. Slots are ordered by expert, and an expert's slots begin with a whole panel, so
/// that its products are those of a batch of its own.
struct ExpertState {
    /// Scores of each token (batch, experts), then shares.
    let scores: UnsafeMutablePointer<Float>
    /// The experts of each token and their shares (batch, usedCount).
    let chosen: UnsafeMutablePointer<Int32>
    let shares: UnsafeMutablePointer<Float>
    /// Where each expert's slots begin (experts + 1), and how many are in use (experts).
    let starts: UnsafeMutablePointer<Int32>
    let counts: UnsafeMutablePointer<Int32>
    /// The token of each slot, −1 for one that fills up a panel, and its share.
    let tokens: UnsafeMutablePointer<Int32>
    let slotShares: UnsafeMutablePointer<Float>
    /// Input of each slot (slots, embedding) and its quantised forms.
    let x: UnsafeMutablePointer<Float>
    let panels: Panels
    /// What is inside each expert (slots, feedForward) and its quantised forms.
    let hidden: UnsafeMutablePointer<Float>
    let hiddenPanels: Panels

    /// Slots that a batch needs at most: every expert in use may leave most of a panel empty.
    static func slots(_ experts: ExpertConfig, batch: Int) -> Int {
        let used = batch * experts.usedCount
        let padding = (panelTokens - 1) * min(experts.count, used)
        return (used + padding + panelTokens - 1) / panelTokens * panelTokens
    }

    static func byteCount(_ experts: ExpertConfig, _ config: ModelConfig, batch: Int, isWide: Bool) -> Int {
        let perSlot = (isWide ? 7 : 5) * (config.embeddingLength + experts.feedForwardLength)
        return slots(experts, batch: batch) * perSlot + batch * experts.count * 4
    }

    init(_ experts: ExpertConfig, _ config: ModelConfig, batch: Int, isWide: Bool) {
        let slots = Self.slots(experts, batch: batch)
        func rounded(_ width: Int) -> Int { (width + 31) / 32 * 32 }
        let (width, length) = (rounded(config.embeddingLength), rounded(experts.feedForwardLength))
        scores = .allocate(capacity: batch * experts.count)
        chosen = .allocate(capacity: batch * experts.usedCount)
        shares = .allocate(capacity: batch * experts.usedCount)
        starts = .allocate(capacity: experts.count + 1)
        counts = .allocate(capacity: experts.count)
        tokens = .allocate(capacity: slots)
        slotShares = .allocate(capacity: slots)
        x = .allocate(capacity: slots * width)
        panels = Panels(tokens: slots, width: width, isWide: isWide)
        hidden = .allocate(capacity: slots * length)
        hiddenPanels = Panels(tokens: slots, width: length, isWide: isWide)
        // Panels are multiplied whole: what fills them up must be numbers, whatever they are.
        x.initialize(repeating: 0, count: slots * width)
        hidden.initialize(repeating: 0, count: slots * length)
    }

    func deallocate() {
        for buffer in [scores, shares, slotShares, x, hidden] { buffer.deallocate() }
        for buffer in [chosen, starts, counts, tokens] { buffer.deallocate() }
        for panels in [panels, hiddenPanels] { panels.deallocate() }
    }
}

// A feed-forward block of experts. A single token's experts are computed row by row; of a batch the tokens of an
// expert are gathered first, so that each tile of its weights is unpacked once.
extension Session {
    func mixExperts(_ weights: ExpertWeights, _ layer: LayerWeights, _ pass: inout Pass, _ thread: Int) {
        guard let experts = model.config.experts, let slots = state.experts else { return }
        let input = prepare(layer.ffnNorm, weights.inputForms, for: .feedForward, &pass)
        route(weights, experts, input, slots, &pass)
        meet(after: .gate, pass)
        if thread == 0 { assign(experts, slots, pass.batch.tokens) }
        meet(after: .rest, pass)
        gather(weights, experts, input, slots, &pass)
        meet(after: .prepare, pass)

        let single = pass.batch.tokens == 1
        let counter = pass.next()
        enterExperts(weights, experts, single ? input : nil, slots, counter, pass)
        if let shared = weights.shared { gate(shared, input, &pass) }
        meet(after: .gate, pass)

        prepareHidden(weights, experts, slots, &pass)
        meet(after: .prepare, pass)
        leaveExperts(weights, experts, slots, &pass)
        meet(after: .ffnDown, pass)
        guard let shared = weights.shared else { return }
        let hidden = prepare(state.hidden, shared.ffnDown.columns, for: shared.ffnDown, .feedForwardDown, &pass)
        addProduct(shared.ffnDown, hidden, norm: nil, .ffnDown, &pass)
    }

    /// Each token's experts and their shares; a token a piece.
    private func route(
        _ weights: ExpertWeights, _ experts: ExpertConfig, _ input: Activations, _ slots: ExpertState,
        _ pass: inout Pass
    ) {
        let counter = pass.next()
        while let t = counter.next(below: pass.batch.tokens) {
            let scores = slots.scores + t &* experts.count
            let x = input.x + t &* input.xStride
            var single = Activations(x: x, xStride: 0, q: pass.scratch.single.q, ds: pass.scratch.single.ds)
            // A decode step's input is quantised already; a panel's cannot be read as one vector.
            if pass.batch.tokens > 1, weights.ffnGateInp.format.usesQuantizedActivations {
                model.table.quantize(x, weights.ffnGateInp.columns, single.q, single.ds)
            }
            single.xStride = input.xStride
            weights.ffnGateInp.multiply(0, experts.count, single, to: scores)
            if experts.usesSigmoid {
                for e in 0..<experts.count { scores[e] = 1 / (1 + expf(-scores[e])) }
            } else {
                model.table.softmax(scores, experts.count)
            }
            choose(experts, scores, weights.expProbsB, slots, t)
        }
    }

    /// The `usedCount` experts with the largest scores, the lower index first where they are equal.
    private func choose(
        _ experts: ExpertConfig, _ scores: UnsafePointer<Float>, _ bias: Vector?, _ slots: ExpertState, _ t: Int
    ) {
        let chosen = slots.chosen + t &* experts.usedCount
        let shares = slots.shares + t &* experts.usedCount
        var sum: Float = 0
        for k in 0..<experts.usedCount {
            var (best, score) = (-1, -Float.infinity)
            for e in 0..<experts.count {
                var isTaken = false
                for j in 0..<k where chosen[j] == Int32(truncatingIfNeeded: e) { isTaken = true }
                let own = scores[e] + (bias?.floats[e] ?? 0)
                if !isTaken, best < 0 || own > score { (best, score) = (e, own) }
            }
            chosen[k] = Int32(truncatingIfNeeded: best)
            shares[k] = scores[best]
            sum += scores[best]
        }
        let scale = experts.scale * (experts.normalizes && sum > 0 ? 1 / sum : 1)
        for k in 0..<experts.usedCount { shares[k] *= scale }
    }

    /// Orders what the tokens chose by expert.
    private func assign(_ experts: ExpertConfig, _ slots: ExpertState, _ tokens: Int) {
        let all = tokens &* experts.usedCount
        slots.counts.update(repeating: 0, count: experts.count)
        for i in 0..<all { slots.counts[Int(slots.chosen[i])] += 1 }
        var end: Int32 = 0
        let panel = Int32(panelTokens)
        for e in 0..<experts.count {
            slots.starts[e] = end
            end += (slots.counts[e] + panel - 1) / panel * panel
            slots.counts[e] = 0
        }
        slots.starts[experts.count] = end
        slots.tokens.update(repeating: -1, count: Int(end))
        for i in 0..<all {
            let expert = Int(slots.chosen[i])
            let slot = Int(slots.starts[expert] + slots.counts[expert])
            slots.counts[expert] += 1
            slots.tokens[slot] = Int32(truncatingIfNeeded: i / experts.usedCount)
            slots.slotShares[slot] = slots.shares[i]
        }
    }

    /// Copies each slot's input next to its neighbours', and quantises it; a panel a piece. Nothing for one token, whose
    /// input serves all its experts.
    private func gather(
        _ weights: ExpertWeights, _ experts: ExpertConfig, _ input: Activations, _ slots: ExpertState,
        _ pass: inout Pass
    ) {
        let counter = pass.next()
        guard pass.batch.tokens > 1 else { return }
        let width = model.config.embeddingLength
        while let panel = counter.next(below: Int(slots.starts[experts.count]) / panelTokens) {
            let first = panel &* panelTokens
            let to = slots.x + first &* width
            var some = 0
            while some < panelTokens, slots.tokens[first &+ some] >= 0 {
                let token = Int(slots.tokens[first &+ some])
                (to + some &* width).update(from: input.x + token &* input.xStride, count: width)
                some &+= 1
            }
            quantize(to, width, some, panel, to: slots.panels, weights.slotForms)
        }
    }

    /// hidden = act(gate × input) · (up × input) of every slot; a band of an expert's rows a piece.
    ///
    /// - Parameter single: the input of all slots if there is one token.
    private func enterExperts(
        _ weights: ExpertWeights, _ experts: ExpertConfig, _ single: Activations?, _ slots: ExpertState,
        _ counter: WorkCounter, _ pass: borrowing Pass
    ) {
        let (length, width) = (experts.feedForwardLength, model.config.embeddingLength)
        let band = bandRows(length)
        let bands = (length &+ band &- 1) / band
        while let piece = counter.next(below: experts.count &* bands) {
            let (expert, first) = (piece / bands, piece % bands &* band)
            let count = Int(slots.counts[expert])
            guard count > 0 else { continue }
            let start = Int(slots.starts[expert])
            let part = FeedForwardWeights(
                ffnGate: weights.ffnGateExps.part(expert &* length, length),
                ffnUp: weights.ffnUpExps.part(expert &* length, length), ffnDown: weights.ffnDownExps)
            let input = single ?? panelInput(start, width, slots.x, slots.panels)
            gate(
                part, first, min(first &+ band, length), input, single == nil ? max(2, count) : 1,
                to: slots.hidden + start &* length, pass.scratch)
        }
    }

    /// Slots from `start` on as input of a product.
    private func panelInput(
        _ start: Int, _ width: Int, _ x: UnsafeMutablePointer<Float>, _ panels: Panels
    ) -> Activations {
        Activations(
            x: x + start &* width, xStride: width, panels.from(start / panelTokens, width: width))
    }

    /// Quantises what is inside the experts where the way out wants it so: panels of a batch, vectors of one token.
    private func prepareHidden(
        _ weights: ExpertWeights, _ experts: ExpertConfig, _ slots: ExpertState, _ pass: inout Pass
    ) {
        let counter = pass.next()
        guard !weights.ffnDownExps.reads.isEmpty else { return }
        let length = experts.feedForwardLength
        while let panel = counter.next(below: Int(slots.starts[experts.count]) / panelTokens) {
            let from = slots.hidden + panel &* panelTokens &* length
            if pass.batch.tokens > 1 {
                quantize(from, length, panelTokens, panel, to: slots.hiddenPanels, weights.ffnDownExps.reads)
            } else if weights.ffnDownExps.reads.contains(.bytes) {
                let to = slots.hiddenPanels.from(panel, width: length)
                model.table.quantize(from, length, to.q, to.ds)
            }
        }
    }

    /// x += share · down × hidden of every slot; a band of rows of all experts a piece, so that no two threads add to one
    /// element, and the order is that of the experts.
    private func leaveExperts(
        _ weights: ExpertWeights, _ experts: ExpertConfig, _ slots: ExpertState, _ pass: inout Pass
    ) {
        let counter = pass.next()
        let (length, width) = (experts.feedForwardLength, model.config.embeddingLength)
        let isSingle = pass.batch.tokens == 1
        let products = pass.scratch.products
        let scale = model.config.residualScale
        while let tile = counter.next(below: (width &+ tileRows &- 1) / tileRows) {
            let row = tile &* tileRows
            let rows = min(tileRows, width &- row)
            for expert in 0..<experts.count {
                let (count, start) = (Int(slots.counts[expert]), Int(slots.starts[expert]))
                guard count > 0 else { continue }
                let input = panelInput(start, length, slots.hidden, slots.hiddenPanels)
                multiplyTile(
                    weights.ffnDownExps.part(expert &* width, width), row, rows, input, isSingle ? 1 : max(2, count),
                    pass.scratch, products)
                for slot in 0..<count {
                    let x = state.x + (Int(slots.tokens[start &+ slot]) &* width &+ row)
                    let share = slots.slotShares[start &+ slot] * scale
                    for r in 0..<rows { x[r] += products[slot &* tileRows &+ r] * share }
                }
            }
        }
    }
}
