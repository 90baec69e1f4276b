import Glibc

/// A disk that is soon full: a tmpfs over a folder. Mounting needs CAP_SYS_ADMIN.
public struct SmallDisk: Sendable {
    private let folder: String

    /// Whether this process may mount; found out by doing it.
    public static let isPermitted: Bool = {
        guard let folder = try? TemporaryFolder(), let disk = SmallDisk(on: folder.root, "size=1m") else {
            print("tests of full disks cannot run: mounting a tmpfs is not permitted here (needs root)")
            return false
        }
        disk.unmount()
        return true
    }()

    /// `options`: of tmpfs, as `size=1m`. Nil when it cannot be mounted.
    public init?(on folder: String, _ options: String) {
        guard mount("tmpfs", folder, "tmpfs", 0, options) == 0 else { return nil }
        self.folder = folder
    }

    /// Changes its options; whether that was possible.
    public func remount(_ options: String) -> Bool { mount("tmpfs", folder, "tmpfs", UInt(MS_REMOUNT), options) == 0 }

    public func unmount() { umount2(folder, Int32(MNT_DETACH)) }
}
