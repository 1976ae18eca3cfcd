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
        awaitPredecessor(mountpoint, registry)
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

    /// `umount` returns before the daemon has cleaned up; its cache and its socket are not to be shared with the next.
    private static func awaitPredecessor(_ mountpoint: String, _ registry: MountRegistry) {
        guard let ending = try? registry.find(mountpoint: mountpoint) else { return }
        let began = Timestamp.monotonic
        while ending.isAlive, Timestamp.monotonic.seconds(since: began) < patience { usleep(5000) }
    }

    /// Seconds that a daemon may take to end after its mount is gone.
    static let patience = 30.0

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
