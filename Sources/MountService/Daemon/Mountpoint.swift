internal import Control
internal import FuseBridge
internal import Glibc
internal import Platform

/// The checks on a directory before something is mounted there.
enum Mountpoint {
    /// Makes sure that the directory can be mounted on. What a killed daemon left there is cleared first.
    /// - Parameter storeDirectory: of a directory store: a mount over it would be its own source.
    static func prepare(
        _ mountpoint: String, registry: MountRegistry, storeDirectory: String?
    ) throws(MountFailure) {
        try clearStale(mountpoint, registry)
        let status: FileStatus?
        do throws(SystemError) { status = try Files.status(mountpoint) } catch {
            throw MountFailure(error.description, error.code == EACCES ? .denied : .failed)
        }
        guard let status else {
            throw MountFailure("\(mountpoint) does not exist: make the directory first (mkdir -p)")
        }
        guard status.kind == .directory else { throw MountFailure("\(mountpoint) is not a directory") }
        if let storeDirectory, let root = Files.resolve(storeDirectory), let target = Files.resolve(mountpoint),
            root == target || root.hasPrefix(target + "/")
        {
            throw MountFailure(
                "\(mountpoint) would cover the store itself (\(storeDirectory)): choose another directory")
        }
    }

    /// After `kill -9` the mount stays and answers ENOTCONN until somebody unmounts it.
    private static func clearStale(_ mountpoint: String, _ registry: MountRegistry) throws(MountFailure) {
        while let entry = MountTable.entry(at: mountpoint), entry.type == "fuse.sessionfs" {
            if let owner = try? registry.find(mountpoint: mountpoint) {
                throw MountFailure(
                    "\(mountpoint) is mounted already: \(owner.store), process \(owner.pid). "
                        + "`sessionfs unmount \(mountpoint)` ends it.")
            }
            guard isDead(mountpoint) else {
                throw MountFailure("\(mountpoint) is mounted already (\(entry.source)), by another user or namespace")
            }
            do throws(SystemError) {
                try MountTable.unmount(mountpoint, lazily: true)
            } catch {
                throw MountFailure("cannot clear the stale mount at \(mountpoint): \(error)", .denied)
            }
            Log("mount").warning("cleared the stale mount of a daemon that was killed", ["mountpoint": mountpoint])
        }
    }

    /// Whether no daemon answers any more. Opening asks it; the attributes of the directory alone would come from the
    /// kernel's cache, long after its death.
    private static func isDead(_ mountpoint: String) -> Bool {
        do throws(SystemError) {
            _ = try FileDescriptor.open(mountpoint)
            return false
        } catch {
            return error.code == ENOTCONN || error.code == ECONNABORTED
        }
    }
}
