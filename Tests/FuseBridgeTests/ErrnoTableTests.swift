import FileTree
import Glibc
import Testing

@testable import FuseBridge

@Suite struct ErrnoTableTests {
    @Test func everyFailureHasAnErrnoOfItsOwnMeaning() {
        let expected: [FileSystemError.Kind: Int32] = [
            .notFound: ENOENT, .notDirectory: ENOTDIR, .isDirectory: EISDIR, .stale: ESTALE, .readOnly: EROFS,
            .exists: EEXIST, .notPermitted: EPERM, .busy: EBUSY, .crossDevice: EXDEV, .tooLarge: EFBIG,
            .unsupported: EOPNOTSUPP,
            .invalidArgument: EINVAL, .nameTooLong: ENAMETOOLONG, .noAttribute: ENODATA,
            .attributesUnsupported: EOPNOTSUPP, .bufferTooSmall: ERANGE, .offline: ENETUNREACH, .denied: EACCES,
            .changed: ESTALE, .corrupt: EBADMSG, .diskFull: ENOSPC, .interrupted: ECANCELED, .inputOutput: EIO,
        ]
        for kind in FileSystemError.Kind.allCases {
            #expect(errnoValue(FileSystemError(kind)) == expected[kind], "\(kind)")
        }
    }

    @Test func aCommaInTheSourceDoesNotSplitTheOptions() {
        let options = FuseMountOptions(mountpoint: "/mnt", source: "file:///a,b\\c", uid: 0, gid: 0)
        #expect(options.optionString.hasPrefix("fsname=file:///a\\,b\\\\c,subtype=sessionfs,ro"))
    }
}
