/// How a tree is mounted.
public struct FuseMountOptions: Sendable, Equatable {
    /// Where; an absolute path of a directory.
    public var mountpoint: String
    /// Shown as the device in the mount table: the store's URL.
    public var source: String
    /// Let other users in (`allow_other`); unprivileged users need `user_allow_other` in `/etc/fuse.conf`. Default off.
    public var allowOther: Bool
    /// Further options for the kernel or fusermount3, such as `nosuid` or `noatime`.
    public var kernelOptions: [String]
    /// Use kernel passthrough for cached bodies where kernel and rights allow. Default on.
    public var passthrough: Bool
    /// Nothing can be changed: the kernel refuses it without asking. Default on.
    public var readOnly: Bool
    /// Threads that serve requests. No call waits, so few are enough. Default 4.
    public var threads: Int
    /// Owner shown for all files.
    public var uid: UInt32
    /// Group shown for all files.
    public var gid: UInt32

    /// Options by their parts.
    public init(
        mountpoint: String, source: String, allowOther: Bool = false, kernelOptions: [String] = [],
        passthrough: Bool = true, readOnly: Bool = true, threads: Int = 4, uid: UInt32, gid: UInt32
    ) {
        self.mountpoint = mountpoint
        self.source = source
        self.allowOther = allowOther
        self.kernelOptions = kernelOptions
        self.passthrough = passthrough
        self.readOnly = readOnly
        self.threads = threads
        self.uid = uid
        self.gid = gid
    }

    /// The `-o` value: a comma in the source is escaped, for the mount table is comma-separated.
    var optionString: String {
        let escaped = source.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
            .split(separator: ",", omittingEmptySubsequences: false).joined(separator: "\\,")
        var options = ["fsname=\(escaped)", "subtype=sessionfs", readOnly ? "ro" : "rw", "default_permissions"]
        if allowOther { options.append("allow_other") }
        return (options + kernelOptions).joined(separator: ",")
    }
}

/// Why a mount could not be made.
public struct MountError: Error, Sendable, CustomStringConvertible {
    /// What failed and what to do.
    public let description: String
    /// The errno behind it, 0 when unknown.
    public let code: Int32

    /// A failure by its words.
    public init(_ description: String, code: Int32 = 0) {
        self.description = description
        self.code = code
    }
}
