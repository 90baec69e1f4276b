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
        guard result.status != 0 else { return }
        let got = ModelStore.size(part) ?? 0
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

    private func curl(_ progress: Puller.Progress) throws(CatalogueError) -> ChildProgram.Result {
        // Slower than a kilobyte a second for a minute is a connection that died.
        let patience = ["--connect-timeout", "20", "--speed-limit", "1000", "--speed-time", "60"]
        // An address is one address, and no server can redirect to a file of this machine.
        let protocols = ["--globoff", "--proto", "=http,https", "--proto-redir", "=http,https"]
        return try ChildProgram.run(
            ["curl", "--fail", "--location", "--silent", "--show-error", "--retry", "2"] + patience + protocols
                + ["--continue-at", "-", "--output", part, "--url", url],
            errorsIn: part + ".log"
        ) { progress(ModelStore.size(part) ?? 0, expected) }
    }
}
