/// How far one text has come under its constraint.
public struct ConstraintState: Sendable {
    public let constraint: Constraint
    /// The text so far; read again when the constraint had to empty its tables.
    private var text: [UInt8] = []
    private var state: Int32 = 0
    private var epoch = 0
    private var names: NameTracker?

    /// What a token would do.
    public enum Verdict: Sendable {
        case taken
        /// It would write a name that its object has already, or it does not follow at all.
        case refused
        /// What it begins could not be completed in the tokens left.
        case tooLong
    }

    /// Forced text that is handed out at once.
    private static let mostForced = 512

    public init(_ constraint: Constraint) {
        self.constraint = constraint
        if constraint.grammar.hasFreeNames { names = NameTracker() }
        text.reserveCapacity(1024)
    }

    /// Makes `state` valid in the machine's present tables.
    private mutating func settle(_ machine: inout Machine) {
        machine.trim()
        guard epoch != machine.epoch else { return }
        epoch = machine.epoch
        state = machine.start
        for byte in text { state = machine.step(state, byte) }
    }

    private mutating func with<T>(_ body: (inout Machine, inout ConstraintState) -> T) -> T {
        constraint.withTables { tables in
            settle(&tables.machine)
            return body(&tables.machine, &self)
        }
    }

    /// Whether the text is complete as it is.
    var isComplete: Bool {
        mutating get { with { machine, own in machine.isComplete(own.state) } }
    }

    /// Whether the text is complete and nothing can follow.
    public var isFinished: Bool {
        mutating get { with { machine, own in machine.isComplete(own.state) && machine.choices(own.state).isEmpty } }
    }

    /// The tokens that may follow. Names that an object has already are found only by `take`.
    public mutating func allowed() -> TokenMask {
        let trie = constraint.trie
        return constraint.withTables { tables in
            settle(&tables.machine)
            return tables.mask(state, trie)
        }
    }

    /// Takes a token if it may follow and its text can still be completed in `room` tokens behind it.
    public mutating func take(_ token: Int32, room: Int) -> Verdict { take(constraint.trie.text(token), room: room) }

    /// The same of several bytes.
    public mutating func take(_ bytes: some Collection<UInt8>, room: Int) -> Verdict {
        guard !bytes.isEmpty else { return .refused }
        return with { machine, own in
            let (state, names) = (own.state, own.names)
            var verdict = Verdict.taken
            for byte in bytes where verdict == .taken {
                own.state = machine.step(own.state, byte)
                if own.state == Machine.nothing || !(own.names?.read(byte) ?? true) { verdict = .refused }
            }
            if verdict == .taken, !own.fits(room, &machine) { verdict = .tooLong }
            if verdict == .taken {
                own.text += bytes
            } else {
                (own.state, own.names) = (state, names)
            }
            return verdict
        }
    }

    /// The text that must follow, as far as there is no choice; empty when there is one.
    public mutating func forced() -> [UInt8] {
        with { machine, own in
            var bytes: [UInt8] = []
            var state = own.state
            while bytes.count < Self.mostForced, let byte = machine.forcedByte(state) {
                bytes.append(byte)
                state = machine.step(state, byte)
            }
            return bytes
        }
    }

    /// Whether a longer token than the last of `tokens` could stand in its place: the model should choose then.
    ///
    /// - Parameter text: the forced text that `tokens` write.
    public mutating func hasLongerChoice(than token: Int32, behind text: ArraySlice<UInt8>) -> Bool {
        let trie = constraint.trie
        let bytes = trie.text(token)
        guard !bytes.isEmpty else { return true }
        return with { machine, own in
            var node = -1
            for byte in bytes {
                guard let child = trie.child(of: node, byte) else { return false }
                node = child
            }
            var path = [Int32](repeating: 0, count: TokenTrie.longest + 1)
            var state = own.state
            for byte in text { state = machine.step(state, byte) }
            for byte in bytes { state = machine.step(state, byte) }
            path[bytes.count] = state
            var next = node + 1
            while next < Int(trie.skips[node]) {
                let depth = Int(trie.depths[next])
                path[depth] = machine.step(path[depth - 1], trie.bytes[next])
                if path[depth] != Machine.nothing, trie.tokens[next] >= 0 { return true }
                next = path[depth] == Machine.nothing ? Int(trie.skips[next]) : next + 1
            }
            return false
        }
    }

    // MARK: The nearest end

    /// The shortest text that completes this one, and how many tokens it takes at most; nil when a byte has no token.
    public mutating func completion() -> (text: [UInt8], tokens: Int)? {
        with { machine, own in
            let text = own.completion(&machine)
            return own.constraint.trie.tokens(text).map { (text, $0.count) }
        }
    }

    private func completion(_ machine: inout Machine) -> [UInt8] {
        var bytes: [UInt8] = []
        var state = state
        var names = names
        // Each byte comes nearer to the end, but for names that must be different: then a few more.
        while !machine.isComplete(state), bytes.count < Grammar.mostBytes {
            let choice = machine.choices(state).first { byte in
                var copy = names
                guard copy?.read(byte) ?? true else { return false }
                names = copy
                return true
            }
            guard let choice else { break }
            bytes.append(choice)
            state = machine.step(state, choice)
        }
        return bytes
    }

    /// Whether the text can be completed in `room` tokens.
    private func fits(_ room: Int, _ machine: inout Machine) -> Bool {
        let length = Int(machine.length(state))
        // A token writes a byte at least, and a name that must differ takes a byte or two more.
        if names == nil ? length <= room : 2 * length + 64 <= room { return true }
        guard let tokens = constraint.trie.tokens(completion(&machine)) else { return false }
        return tokens.count <= room
    }
}
