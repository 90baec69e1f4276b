extension Session {
    /// Tokens that one pass computes at most, and nodes that a tree may have.
    public var batch: Int { state.batch }
}

extension PrefixState {
    /// Bytes of memory it holds.
    public var byteCount: Int { cells.count }
}
