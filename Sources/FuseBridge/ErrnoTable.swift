internal import FileTree
internal import Glibc

/// The one place where a failure becomes an errno. `docs/semantics.md` repeats it for users.
func errnoValue(_ error: FileSystemError) -> Int32 {
    switch error.kind {
    case .notFound: ENOENT
    case .notDirectory: ENOTDIR
    case .isDirectory: EISDIR
    // The kernel looks the name up again on ESTALE, so a path that was replaced meanwhile still works.
    case .stale: ESTALE
    case .exists: EEXIST
    case .readOnly: EROFS
    case .notPermitted: EPERM
    case .busy: EBUSY
    // mv and file managers copy and remove instead.
    case .crossDevice: EXDEV
    case .tooLarge: EFBIG
    case .unsupported: EOPNOTSUPP
    case .invalidArgument: EINVAL
    case .nameTooLong: ENAMETOOLONG
    case .noAttribute: ENODATA
    case .attributesUnsupported: EOPNOTSUPP
    case .bufferTooSmall: ERANGE
    // ENETUNREACH is what a program would get that talked to the store itself, and file managers explain it well.
    case .offline: ENETUNREACH
    case .denied: EACCES
    // An open descriptor refers to a version that is no more; ESTALE says just this, as on NFS. Reads are not
    // retried by the kernel.
    case .changed: ESTALE
    // Not EIO: "bad message" tells damaged contents from a failing device.
    case .corrupt: EBADMSG
    case .diskFull: ENOSPC
    // Not EINTR, on which programs read again, for ever: that is for signals, and the read is answered there.
    case .interrupted: ECANCELED
    case .inputOutput: EIO
    }
}
