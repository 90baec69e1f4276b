extension Session {
    /// Tokens that one pass computes at most, and nodes that a tree may have.
    public var batch: Int { state.batch }
}
