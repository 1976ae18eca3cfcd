public import Platform

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

/// A part that a server has.
public struct MultipartPart: Sendable, Equatable {
    /// From 1; parts become the object in this order.
    public var number: Int
    /// The part's length in bytes.
    public var size: UInt64
    /// The part's tag without quotes; the MD5 of its bytes where the store's tags are made so.
    public var etag: String

    /// A part by its facts.
    public init(number: Int, size: UInt64, etag: String) {
        self.number = number
        self.size = size
        self.etag = etag
    }
}

/// An upload that was begun and neither completed nor aborted.
public struct MultipartUpload: Sendable, Equatable {
    /// The object's key.
    public var key: String
    /// The provider's id of the upload.
    public var uploadID: String
    /// When it was begun.
    public var begun: Timestamp?

    /// An upload by its facts.
    public init(key: String, uploadID: String, begun: Timestamp? = nil) {
        self.key = key
        self.uploadID = uploadID
        self.begun = begun
    }
}

/// The uploads in parts of an ``ObjectStore``. Nobody sees anything of an object before its completion.
public protocol MultipartStore: Sendable {
    /// Begins an upload.
    /// - Returns: its id.
    /// - Throws: `.unsupported` where the server knows no uploads in parts.
    func begin(_ key: String) async throws(StoreError) -> String

    /// Sends one part; sending it again replaces it.
    /// - Parameter number: from 1 to 10,000. Every part but the last has at least 5 MiB, all of them the same length.
    /// - Throws: `.notFound` when there is no such upload.
    func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart

    /// The parts that the server has, in order.
    /// - Throws: `.notFound` when there is no such upload.
    func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart]

    /// Makes the object of its parts. An upload that was completed already with these parts is success.
    /// - Parameters:
    ///   - parts: all of them, in order.
    ///   - condition: looked up before where the server does not honour it, so that there is a gap then.
    /// - Throws: `.precondition` when the condition fails, or when another writer was there right behind this one.
    func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo

    /// Forgets an upload and its parts; absent is fine.
    func abort(_ uploadID: String, _ key: String) async throws(StoreError)

    /// The uploads under way below a prefix, everybody's.
    func uploads(prefix: String) async throws(StoreError) -> [MultipartUpload]
}
