/// An upload in parts that was begun; enough to go on with it after a crash.
public struct MultipartProgress: Sendable, Equatable {
    /// The provider's id of the upload.
    public var uploadID: String
    /// The object's key.
    public var key: String
    /// The length of every part but the last, in bytes.
    public var partSize: UInt64

    /// A begun upload by its parts.
    public init(uploadID: String, key: String, partSize: UInt64) {
        self.uploadID = uploadID
        self.key = key
        self.partSize = partSize
    }
}

/// What a write can rely on at a server, found out by trying and not by believing.
public struct ConditionSupport: Sendable, Equatable {
    /// `If-None-Match: *` on a write.
    public var ifAbsent: Bool
    /// `If-Match` on a write.
    public var ifMatch: Bool
    /// `If-Match` on a removal.
    public var deleteIfMatch: Bool

    /// A support by its parts.
    public init(ifAbsent: Bool, ifMatch: Bool, deleteIfMatch: Bool) {
        self.ifAbsent = ifAbsent
        self.ifMatch = ifMatch
        self.deleteIfMatch = deleteIfMatch
    }

    /// Everything is honoured.
    public static let all = ConditionSupport(ifAbsent: true, ifMatch: true, deleteIfMatch: true)
    /// Nothing is honoured: writes are verified afterwards.
    public static let none = ConditionSupport(ifAbsent: false, ifMatch: false, deleteIfMatch: false)
}
