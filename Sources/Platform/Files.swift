internal import CSystem
internal import Glibc

/// Paths and whole files: the few operations that everything else is made of.
public enum Files {
    /// stat(2), following links; nil when nothing is there.
    /// - Throws: `SystemError` other than `ENOENT` and `ENOTDIR`.
    public static func status(_ path: String) throws(SystemError) -> FileStatus? {
        var result = stat()
        do throws(SystemError) {
            try retryingInterrupts("stat", path) { stat(path, &result) }
        } catch  where error.code == ENOENT || error.code == ENOTDIR {
            return nil
        }
        return FileStatus(result)
    }

    /// Whether anything is at the path.
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether the path is a directory, following links.
    public static func isDirectory(_ path: String) -> Bool {
        guard let found = try? status(path) else { return false }
        return found.kind == .directory
    }

    /// Makes a directory and its missing parents. Only what it makes gets `permissions`.
    public static func makeDirectories(_ path: String, permissions: UInt32 = 0o700) throws(SystemError) {
        if isDirectory(path) { return }
        let parent = parentDirectory(path)
        if parent != path, !parent.isEmpty { try makeDirectories(parent, permissions: permissions) }
        if mkdir(path, permissions) == -1 {
            let code = sfs_errno()
            if code != EEXIST || !isDirectory(path) {
                throw SystemError(code: code, operation: "mkdir", subject: path)
            }
        }
    }

    /// Makes a directory that only its user may enter, and tightens one that is there.
    /// - Throws: `SystemError` with `EPERM` when it belongs to somebody else.
    public static func makePrivateDirectory(_ path: String) throws(SystemError) {
        try makeDirectories(path, permissions: 0o700)
        guard let found = try status(path) else { throw SystemError(code: ENOENT, operation: "stat", subject: path) }
        guard found.owner == geteuid() else {
            throw SystemError(code: EPERM, operation: "use directory of another user", subject: path)
        }
        if found.permissions & 0o077 != 0 { try retryingInterrupts("chmod", path) { chmod(path, 0o700) } }
    }

    /// Whole contents of a file.
    /// - Parameter limit: refuses larger files with `EFBIG`, so that a foreign file cannot fill the memory.
    public static func read(_ path: String, limit: Int = 64 << 20) throws(SystemError) -> [UInt8] {
        let file = try FileDescriptor.open(path)
        let size = try file.size()
        guard size <= UInt64(limit) else { throw SystemError(code: EFBIG, operation: "read", subject: path) }
        // Files below /proc say 0 and hold bytes all the same.
        return try file.read(at: 0, count: size == 0 ? min(limit, 1 << 16) : Int(size))
    }

    /// Replaces a file so that after a crash either the old or the new contents are there, whole: temporary file in
    /// the same directory, write, check length, fsync, rename, fsync the directory.
    /// - Parameter durably: false leaves out both fsyncs, for files that mean nothing after a restart of the machine.
    public static func replace(
        _ path: String, with bytes: [UInt8], permissions: UInt32 = 0o600, durably: Bool = true
    ) throws(SystemError) {
        let temporary = temporaryPath(beside: path)
        do throws(SystemError) {
            let file = try FileDescriptor.open(temporary, [.write, .exclusive], permissions: permissions)
            try file.write(bytes, at: 0)
            guard try file.size() == UInt64(bytes.count) else {
                throw SystemError(code: EIO, operation: "write", subject: temporary)
            }
            if durably {
                try file.synchronize()
                try rename(temporary, to: path)
            } else {
                try retryingInterrupts("rename", path) { Glibc.rename(temporary, path) }
            }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Renames within one filesystem and makes the new name durable.
    public static func rename(_ source: String, to target: String) throws(SystemError) {
        try retryingInterrupts("rename", target) { Glibc.rename(source, target) }
        try synchronizeDirectory(parentDirectory(target))
    }

    /// Removes a file; absent is fine.
    public static func remove(_ path: String) throws(SystemError) {
        if unlink(path) == -1 {
            let code = sfs_errno()
            if code != ENOENT { throw SystemError(code: code, operation: "unlink", subject: path) }
        }
    }

    /// fsync(2) of a directory, so that names in it survive a power cut.
    public static func synchronizeDirectory(_ path: String) throws(SystemError) {
        try FileDescriptor.open(path.isEmpty ? "." : path, .directory).synchronize()
    }

    /// Names in a directory, without `.` and `..`, in no order. Names that are not UTF-8 are skipped.
    public static func names(in path: String) throws(SystemError) -> [String] {
        guard let directory = opendir(path) else { throw SystemError.current("opendir", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            if let name, name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a directory and everything in it; absent is fine. Does not follow links.
    public static func removeTree(_ path: String) throws(SystemError) {
        var found = stat()
        guard lstat(path, &found) == 0 else { return }
        if found.st_mode & S_IFMT == S_IFDIR {
            for name in try names(in: path) { try removeTree(path + "/" + name) }
            try retryingInterrupts("rmdir", path) { rmdir(path) }
        } else {
            try remove(path)
        }
    }

    /// The path without its last component; `.` for a bare name, `/` for the root.
    public static func parentDirectory(_ path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
    }

    /// The last component of a path.
    public static func lastComponent(_ path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(path[path.utf8.index(after: slash)...])
    }

    /// An absolute path with links resolved, or nil when it does not exist.
    public static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// An absolute path without touching the disk beyond the current directory.
    public static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        return String(cString: current) + "/" + path
    }

    /// A fresh name beside `path`, hidden, that no reader takes for the file itself.
    public static func temporaryPath(beside path: String) -> String {
        let token = String(UInt64.random(in: .min ... .max), radix: 36)
        // Cut by bytes, for the sum must stay a file name, and between characters, for it must stay UTF-8.
        var name = lastComponent(path)[...]
        while name.utf8.count > 80 { name.removeLast() }
        return parentDirectory(path) + "/." + name + "." + token + ".tmp"
    }

    /// Bytes that an unprivileged user may still write on the path's filesystem; 0 when it cannot be told.
    public static func availableBytes(_ path: String) -> UInt64 {
        var answer = statvfs()
        guard statvfs(path, &answer) == 0 else { return 0 }
        return UInt64(answer.f_bavail) * UInt64(answer.f_frsize)
    }
}
