import Glibc
import Linux

/// A file over HTTP, fetched by curl into a part that a later run goes on with.
struct HTTPSource {
    let url: String
    let part: String
    let expected: Int

    func fetch(_ progress: Puller.Progress) throws(CatalogueError) {
        // All of it may be there: then only its end was never checked.
        if ModelStore.size(part) == expected { return }
        var result = try curl(progress)
        // The server does not give ranges, or the part is longer than the file: from the beginning then.
        if result.status == 33 || result.status == 36 || result.status == 22 && result.lastError.contains("416") {
            unlink(part)
            result = try curl(progress)
        }
        let got = ModelStore.size(part) ?? 0
        guard got <= most else {
            unlink(part)
            throw CatalogueError(
                .data, "\(url) sends more than the \(megabytes(expected)) of the model, so it is another file",
                "Check the address, or give a mirror with --from")
        }
        guard result.status != 0 else { return }
        switch result.status {
        case 22:
            // What is there stays: a server that is too busy now has the rest later.
            throw CatalogueError(
                .unavailable, "cannot fetch \(url): \(result.lastError)",
                "Check the address, or give a mirror with --from")
        case 23:
            throw CatalogueError(
                .unwritable, "cannot write \(part): \(result.lastError)",
                "Make room and pull again: it goes on from there")
        case 18, 28, 56:
            throw CatalogueError(
                .unavailable,
                "the connection ended after \(megabytes(got)) of \(megabytes(expected)): \(result.lastError)",
                "Pull again: it goes on from there")
        default:
            throw CatalogueError(
                .unavailable, "cannot fetch \(url): \(result.lastError)", "Check the network and pull again")
        }
    }

    /// Bytes that are taken at most: some sizes of the catalogue are rounded, and none by so much. A server could
    /// otherwise fill the disk, whatever length it claims.
    private var most: Int { expected + expected / 8 + (1 << 20) }

    private func curl(_ progress: Puller.Progress) throws(CatalogueError) -> ChildProgram.Result {
        // Slower than a kilobyte a second for a minute is a connection that died.
        let patience = ["--connect-timeout", "20", "--speed-limit", "1000", "--speed-time", "60"]
        // An address is one address, and no server can redirect to a file of this machine, or from TLS to none.
        let redirected = url.lowercased().hasPrefix("https:") ? "=https" : "=http,https"
        let protocols = ["--globoff", "--proto", "=http,https", "--proto-redir", redirected, "--max-redirs", "10"]
        return try ChildProgram.run(
            ["curl", "--fail", "--location", "--silent", "--show-error", "--retry", "2"] + patience + protocols
                + ["--continue-at", "-", "--output", part, "--url", url],
            errorsIn: part + ".log"
        ) {
            let got = ModelStore.size(part) ?? 0
            progress(min(got, expected), expected)
            return got <= most
        }
    }
}
