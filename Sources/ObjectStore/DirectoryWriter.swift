internal import Glibc
internal import Platform

/// Writes one object: a temporary file beside its place, made durable, then given the name in one step.
struct DirectoryWriter {
    private let layout: DirectoryLayout
    private let key: String
    private let temporary: String
    private let file: FileDescriptor

    /// Makes the directories on the way and the temporary file, each as private as the directory it lies in.
    init(_ layout: DirectoryLayout, key: String) throws(StoreError) {
        self.layout = layout
        self.key = key
        try DirectoryWriter.makeParents(layout, key)
        let path = layout.temporaryPath(for: key)
        temporary = path
        file = try onDirectory(key) { () throws(SystemError) in
            let parent = try Files.status(Files.parentDirectory(path))
            let permissions = (parent?.permissions ?? 0o700) & 0o666
            return try FileDescriptor.open(path, [.readWrite, .exclusive], permissions: permissions | 0o600)
        }
    }

    /// Fills the file and makes its contents durable, giving way to other tasks after every piece.
    func fill(_ body: ObjectBody, _ limits: BandwidthLimits? = nil) async throws(StoreError) {
        let length = body.length
        try onDirectory(key) { () throws(SystemError) in try file.reserve(length) }
        var done: UInt64 = 0
        while done < length {
            guard !Task.isCancelled else { throw StoreError(.cancelled, key: key, message: "write was cancelled") }
            let count = Int(min(UInt64(LocalDirectoryStore.pieceSize), length - done))
            try await limits?.pass(count, .upload)
            let piece = try body.read(at: done, count: count)
            try onDirectory(key) { () throws(SystemError) in
                try file.write(piece, at: done)
            }
            done += UInt64(count)
            await Task.yield()
        }
        try onDirectory(key) { () throws(SystemError) in
            // The kernel's file times may step in milliseconds; these do not, so that two versions differ in theirs.
            try file.setModified(.now)
            try file.synchronize()
        }
    }

    /// Gives the file its name.
    /// - Parameter check: looked at right before, under the lock under which names change; nil when nothing is.
    /// - Throws: `.precondition` when the condition does not hold.
    func commit(
        _ condition: WriteCondition, check: (() throws(StoreError) -> Void)? = nil
    ) async throws(StoreError) -> ObjectInfo {
        let target = layout.path(key)
        // A new name alone needs no lock: link(2) decides.
        let lock = condition == .ifAbsent && check == nil ? nil : try await layout.lock()
        defer { withExtendedLifetime(lock) {} }
        try check?()
        if condition == .ifAbsent {
            do throws(SystemError) { try Files.link(temporary, to: target) } catch {
                if error.code == EEXIST, !Files.isDirectory(target) {
                    throw StoreError(.precondition, key: key, message: "the object exists already")
                }
                if error.code == EEXIST { throw taken(by: .directory) }
                throw StoreError(directory: error, key: key)
            }
        } else {
            try replace(target, condition)
        }
        discard()
        return try onDirectory(key) { () throws(SystemError) in
            try Files.synchronizeDirectory(Files.parentDirectory(target))
            return ObjectInfo(key: key, try file.status())
        }
    }

    /// Removes the temporary file, if it still has its name.
    func discard() { unlink(temporary) }

    /// The lock is held.
    private func replace(_ target: String, _ condition: WriteCondition) throws(StoreError) {
        let current = try onDirectory(key) { () throws(SystemError) in try Files.statusOfLink(target) }
        if let current, current.kind != .regular { throw taken(by: current.kind) }
        if case .ifMatch(let tag) = condition {
            try LocalDirectoryStore.require(tag, of: current.map { ObjectInfo(key: key, $0) }, key)
        }
        try onDirectory(key) { () throws(SystemError) in
            // A version is never older than the one it replaces, whatever the clock does.
            if let current, try file.status().modified <= current.modified {
                let (next, isLast) = current.modified.nanoseconds.addingReportingOverflow(1)
                try file.setModified(isLast ? current.modified : Timestamp(nanoseconds: next))
                // The time is part of the tag: after a power cut it has to be the same.
                try file.synchronize()
            }
        }
        if rename(temporary, target) == -1 {
            throw StoreError(directory: .current("rename", target), key: key)
        }
    }

    private func taken(by kind: FileStatus.Kind) -> StoreError {
        StoreError(
            .permanent, key: key, message: kind == .directory ? "a directory has this name" : "not a regular file")
    }

    private static func makeParents(_ layout: DirectoryLayout, _ key: String) throws(StoreError) {
        _ = try layout.resolvedRoot()
        let parts = key.utf8.split(separator: UInt8(ascii: "/")).dropLast()
        var made = ""
        for part in parts {
            made += (made.isEmpty ? "" : "/") + String(decoding: part, as: UTF8.self)
            if let found = try layout.existing(made) {
                if Files.isDirectory(found) { continue }
                throw StoreError(.permanent, key: key, message: "\(made) is an object, not a directory")
            }
            let path = layout.path(made)
            try onDirectory(key) { () throws(SystemError) in
                let parent = Files.parentDirectory(path)
                let permissions = try Files.status(parent)?.permissions ?? 0o700
                try Files.makeDirectories(path, permissions: permissions & 0o777 | 0o700)
                try Files.synchronizeDirectory(parent)
            }
        }
    }
}

extension DirectoryLayout {
    /// Takes the lock under which names change.
    func lock() async throws(StoreError) -> FileDescriptor {
        let permissions = try onDirectory("") { () throws(SystemError) in try Files.status(root)?.permissions }
        return try await DirectoryLock.acquire(lockPath, permissions: (permissions ?? 0o700) & 0o666 | 0o600)
    }
}
