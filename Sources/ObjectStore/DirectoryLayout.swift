internal import Glibc
internal import Platform

/// Where a key's file lies below a root, and which names no key may have. Symbolic links below the root are never
/// followed: what they name is outside the store.
struct DirectoryLayout: Sendable {
    /// The directory as given, absolute, without a slash at its end.
    let root: String

    /// Names that begin with this belong to the store itself: files being written, and the lock.
    static let reserved = ".sessionfs-"
    static let lockName = reserved + "lock"
    static let temporaryPrefix = reserved + "tmp-"
    /// NAME_MAX of the Linux filesystems.
    private static let longestName = 255

    init(directory: String) {
        var path = Files.absolute(directory)
        while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        root = path
    }

    var lockPath: String { path(DirectoryLayout.lockName) }

    /// The file of a key that has passed ``check(_:)``.
    func path(_ key: String) -> String { root == "/" ? root + key : root + "/" + key }

    /// A fresh name beside the key's file, which no listing shows.
    func temporaryPath(for key: String) -> String {
        let token = String(UInt64.random(in: .min ... .max), radix: 36)
        return Files.parentDirectory(path(key)) + "/" + DirectoryLayout.temporaryPrefix + token
    }

    /// Refuses what is not a plain relative path.
    /// - Throws: `.permanent`.
    func check(_ key: String) throws(StoreError) {
        if let problem = DirectoryLayout.problem(with: key) {
            throw StoreError(.permanent, key: key, message: problem)
        }
    }

    private static func problem(with key: String) -> String? {
        if key.utf8.isEmpty { return "an object needs a name" }
        if key.utf8.contains(0) { return "a NUL byte cannot be part of a file name" }
        for part in key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            if part.isEmpty { return "a directory store cannot hold a key with an empty path component" }
            if part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8) { return "the key leaves the store" }
            if part.count > longestName { return "a path component is longer than \(longestName) bytes" }
            if part.starts(with: reserved.utf8) { return "names beginning with \(reserved) are reserved" }
        }
        return nil
    }

    /// The real path of the root.
    /// - Throws: `.noContainer` when it is missing or not a directory.
    func resolvedRoot() throws(StoreError) -> String {
        guard let real = Files.resolve(root) else {
            let cause = SystemError.current("open", root)
            if cause.code == EACCES { throw StoreError(directory: cause) }
            throw StoreError(.noContainer, message: "directory \(root) does not exist")
        }
        guard Files.isDirectory(real) else {
            throw StoreError(.noContainer, message: "\(root) is not a directory")
        }
        return real
    }

    /// The real path of something below the root, or nil when nothing is there.
    /// - Throws: `.permanent` when a symbolic link is on the way; `.noContainer`.
    func existing(_ key: String) throws(StoreError) -> String? {
        let real = try resolvedRoot()
        let wanted = real == "/" ? real + key : real + "/" + key
        guard let found = Files.resolve(wanted) else {
            let cause = SystemError.current("open", wanted)
            switch cause.code {
            case ENOENT, ENOTDIR: return nil
            case ELOOP: throw StoreError(.permanent, key: key, message: "a symbolic link is in the way")
            default: throw StoreError(directory: cause, key: key)
            }
        }
        // Byte by byte: Swift's == on strings takes different normal forms of one name for equal.
        guard found.utf8.elementsEqual(wanted.utf8) else {
            throw StoreError(.permanent, key: key, message: "a symbolic link is in the way")
        }
        return found
    }
}

extension StoreError {
    /// What a system call on the store's own directory came to.
    init(directory cause: SystemError, key: String = "") {
        switch cause.code {
        case EACCES, EPERM, EROFS:
            self.init(.forbidden, key: key, message: cause.description, system: cause)
        case ENAMETOOLONG, EISDIR, ENOTDIR, ELOOP, EINVAL:
            self.init(.permanent, key: key, message: cause.description, system: cause)
        default:
            self.init(cause, key: key)
        }
    }
}

/// Runs system calls, naming their failure as the store's.
func onDirectory<Result>(
    _ key: String, _ body: () throws(SystemError) -> Result
) throws(StoreError) -> Result {
    do throws(SystemError) { return try body() } catch { throw StoreError(directory: error, key: key) }
}
