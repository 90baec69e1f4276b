import Glibc

/// Free space of the disk that holds the spool.
public enum Disk {
    /// Bytes a user without privileges may still write at `path`; nil when the path cannot be asked.
    public static func freeBytes(_ path: String) -> UInt64? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? nil : bytes
    }
}
