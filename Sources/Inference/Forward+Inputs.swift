import Kernels
import QuantBlocks

// What a step reads: normalised, quantised, and multiplied by what adapters add.
extension Session {
    /// y = the norm of x, a token's state (embedding, or the norm's length).
    func normalize(_ x: UnsafePointer<Float>, _ norm: Norm, _ y: UnsafeMutablePointer<Float>) {
        let weight = norm.weight
        if model.config.plan.norm == .rms {
            model.table.rmsNorm(x, weight.floats, y, weight.count, model.config.normEpsilon)
        } else {
            model.table.layerNorm(x, weight.floats, norm.bias?.floats, y, weight.count, model.config.normEpsilon)
        }
    }

    /// The residual stream, normalised if there is a norm, and quantised where a matrix that reads it wants it so.
    func prepare(
        _ norm: Norm?, _ forms: InputForms, for reader: AdaptedInput = .mixer, _ pass: inout Pass
    ) -> Activations {
        let state = state
        let width = model.config.embeddingLength
        let counter = pass.next()
        let tokens = pass.batch.tokens
        if tokens == 1 {
            var input = pass.scratch.single
            if let norm { normalize(state.x, norm, input.x) } else { input.x = state.x }
            if forms.contains(.bytes) { model.table.quantize(input.x, width, input.q, input.ds) }
            adapt(reader, input.x, 0, 1, pass)
            pass.clock.lap(.prepare)
            return input
        }
        let shared = Activations(x: norm == nil ? state.x : state.normed, xStride: width, state.panels)
        guard norm != nil || !forms.isEmpty || adapters != nil else { return shared }
        while let panel = counter.next(below: panels(tokens)) {
            let first = panel &* panelTokens
            let some = min(panelTokens, tokens &- first)
            let to = shared.x + first &* width
            if let norm {
                for t in 0..<some { normalize(state.x + (first &+ t) &* width, norm, to + t &* width) }
            }
            quantize(to, width, some, panel, to: state.panels, forms)
            adapt(reader, shared.x, first, some, pass)
        }
        meet(after: .prepare, pass)
        return shared
    }

    /// Multiplies tokens `first ..< first + count` of x (tokens, embedding or the reader's columns) by the adapters' A.
    private func adapt(
        _ reader: AdaptedInput, _ x: UnsafeMutablePointer<Float>, _ first: Int, _ count: Int, _ pass: borrowing Pass,
        width: Int? = nil
    ) {
        guard let adapters else { return }
        let width = width ?? model.config.embeddingLength
        let index = pass.layer &* AdaptedInput.perLayer &+ reader.rawValue
        let isAlone = pass.batch.tokens == 1
        for t in first..<first &+ count {
            let to =
                isAlone
                ? adapters.single + pass.scratch.thread &* adapters.width : adapters.products + t &* adapters.width
            adapters.narrow(index, x + t &* width, pass.scratch.vector, to: to)
            if reader == .mixer, model.config.plan.isParallel {
                adapters.narrow(
                    index &+ AdaptedInput.feedForward.rawValue, x + t &* width, pass.scratch.vector, to: to)
            }
        }
    }

    /// A buffer (tokens, width) as input of `matrix`, quantised if it wants it so.
    func prepare(
        _ x: UnsafeMutablePointer<Float>, _ width: Int, for matrix: Matrix, _ reader: AdaptedInput, _ pass: inout Pass
    ) -> Activations {
        let state = state
        let forms = matrix.reads
        let counter = pass.next()
        let tokens = pass.batch.tokens
        var input = Activations(x: x, xStride: width, state.panels)
        guard !forms.isEmpty || adapters != nil else { return input }
        if tokens == 1 {
            input.q = pass.scratch.single.q
            input.ds = pass.scratch.single.ds
            if forms.contains(.bytes) { model.table.quantize(x, width, input.q, input.ds) }
            adapt(reader, x, 0, 1, pass, width: width)
            pass.clock.lap(.prepare)
            return input
        }
        while let panel = counter.next(below: panels(tokens)) {
            let first = panel &* panelTokens
            let some = min(panelTokens, tokens &- first)
            quantize(x + first &* width, width, some, panel, to: state.panels, forms)
            adapt(reader, x, first, some, pass, width: width)
        }
        meet(after: .prepare, pass)
        return input
    }

    func panels(_ tokens: Int) -> Int { (tokens &+ panelTokens &- 1) / panelTokens }

    /// Quantises the tokens of one panel, at least one, to each of `forms`.
    func quantize(
        _ x: UnsafePointer<Float>, _ width: Int, _ tokens: Int, _ panel: Int, to panels: Panels, _ forms: InputForms
    ) {
        if forms.contains(.bytes) {
            model.table.quantizePanel(
                x, width, tokens, width, panels.q + panel &* panelTokens &* width,
                panels.ds + panel &* panelScales &* (width / 32))
        }
        if forms.contains(.words) {
            model.table.quantizeWords?(
                x, width, tokens, width, panels.words + panel &* wideBytes(width),
                panels.wordScales + panel &* wideScales(width))
        }
    }
}
