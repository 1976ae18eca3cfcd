internal import CSystem
internal import Glibc

/// The mounts of this process's namespace, from `/proc/self/mountinfo` (proc(5)). Reading it never touches the
/// mounted filesystems, so a hung one cannot hang the reader.
public enum MountTable {
    /// One mount.
    public struct Entry: Sendable, Equatable {
        /// Where it is mounted.
        public let mountpoint: String
        /// The filesystem's type, for example `fuse.sessionfs`.
        public let type: String
        /// The device field: for sessionfs the store's URL.
        public let source: String
        /// `major:minor`, as in `/sys/class/bdi`.
        public let device: String
    }

    /// All mounts, oldest first: where two cover one directory, the later one is what is seen.
    public static func entries() throws(SystemError) -> [Entry] {
        let text = String(decoding: try Files.read("/proc/self/mountinfo", limit: 16 << 20), as: UTF8.self)
        return text.split(separator: "\n").compactMap(parse)
    }

    /// What is mounted exactly at a directory, if anything.
    public static func entry(at mountpoint: String) -> Entry? {
        (try? entries())?.last { $0.mountpoint == mountpoint }
    }

    /// `36 35 98:0 /root /mountpoint options optional… - type source options`.
    static func parse(_ line: Substring) -> Entry? {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 2, fields.count > 5 else { return nil }
        return Entry(
            mountpoint: unescape(fields[4]), type: unescape(fields[dash + 1]), source: unescape(fields[dash + 2]),
            device: String(fields[2]))
    }

    /// Space, tab, newline and backslash come as three octal digits.
    private static func unescape(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Unmounts by umount2(2), and where that is not allowed by `fusermount3 -u`.
    /// - Parameter lazily: detach now and let open files finish (MNT_DETACH).
    /// - Throws: `SystemError`, with `EBUSY` while files are open.
    public static func unmount(_ mountpoint: String, lazily: Bool = false) throws(SystemError) {
        if umount2(mountpoint, lazily ? MNT_DETACH_FLAG : 0) == 0 { return }
        let code = sfs_errno()
        guard code == EPERM else { throw SystemError(code: code, operation: "umount", subject: mountpoint) }
        let arguments = ["fusermount3", "-u", "-q"] + (lazily ? ["-z"] : []) + ["--", mountpoint]
        let result = try Subprocess.run("fusermount3", arguments)
        guard result == 0 else { throw SystemError(code: EBUSY, operation: "fusermount3 -u", subject: mountpoint) }
    }

    private static let MNT_DETACH_FLAG: Int32 = 2
}
