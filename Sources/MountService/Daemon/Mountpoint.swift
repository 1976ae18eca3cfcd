internal import Control
internal import FuseBridge
internal import Glibc
internal import Platform

/// The checks on a directory before something is mounted there.
enum Mountpoint {
    /// Makes sure that the directory can be mounted on. What a killed daemon left there is cleared first.
    static func prepare(_ plan: MountPlan, registry: MountRegistry) throws(MountFailure) {
        let mountpoint = plan.mountpoint
        try clearStale(mountpoint, registry)
        awaitPredecessors(plan, registry)
        let status: FileStatus?
        do throws(SystemError) { status = try Files.status(mountpoint) } catch {
            throw MountFailure(error.description, error.code == EACCES ? .denied : .failed)
        }
        guard let status else {
            throw MountFailure("\(mountpoint) does not exist: make the directory first (mkdir -p)")
        }
        guard status.kind == .directory else { throw MountFailure("\(mountpoint) is not a directory") }
        // A mount over a directory store would be its own source.
        if let storeDirectory = plan.storeDirectory, let root = Files.resolve(storeDirectory),
            let target = Files.resolve(mountpoint),
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
            guard StaleMount.isDead(mountpoint) else {
                throw MountFailure("\(mountpoint) is mounted already (\(entry.source)), by another user or namespace")
            }
            do throws(SystemError) {
                try StaleMount.clear(mountpoint)
            } catch {
                throw MountFailure("cannot clear the stale mount at \(mountpoint): \(error)", .denied)
            }
            Log("mount").warning("cleared the stale mount of a daemon that was killed", ["mountpoint": mountpoint])
        }
    }

    /// `umount` returns before the daemon has sent and cleaned; its journal, its cache and its socket are not to be
    /// shared with the next, which goes on with what is pending.
    private static func awaitPredecessors(_ plan: MountPlan, _ registry: MountRegistry) {
        let ending = ((try? registry.list()) ?? []).filter { entry in
            guard entry.mountpoint == plan.mountpoint || entry.stateDirectory == plan.stateDirectory else {
                return false
            }
            return MountTable.entry(at: entry.mountpoint)?.type != "fuse.sessionfs"
        }
        let began = Timestamp.monotonic
        for entry in ending {
            // One that is only starting has nothing mounted yet either and answers otherwise.
            let client = ControlClient(socketPath: entry.socket, timeout: patience)
            if let status = try? client.status(), status.phase == .draining || status.phase == .stopped {
                _ = try? client.stop(StopRequest(timeout: 0))
            } else if entry.mountpoint != plan.mountpoint {
                continue
            }
            while entry.isAlive, Timestamp.monotonic.seconds(since: began) < patience { usleep(5000) }
        }
    }

    /// Seconds that a daemon may take to end after its mount is gone.
    static let patience = 30.0
}
