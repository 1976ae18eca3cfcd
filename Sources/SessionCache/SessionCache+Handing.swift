public import Platform

/// Bodies that go between the cache and the staging directory.
extension SessionCache {
    /// Makes an uploaded file the cached body of a session: its file is moved here, or copied from another filesystem.
    /// - Parameters:
    ///   - path: the file; it is gone afterwards, or left where it could not be taken.
    ///   - digest: `md5:<hex>` or `sha256:<hex>` of the contents.
    /// - Returns: whether it was taken.
    public func adopt(
        id: Int64, fileName: String, path: String, size: UInt64, etag: String?, digest: String
    ) -> Bool { fatalError("skeleton") }

    /// The whole verified body of a session when it is cached; nil when it would have to be fetched.
    public func cachedBody(id: Int64) throws(CacheError) -> FileDescriptor? { fatalError("skeleton") }

    /// The whole verified body of a session, fetched when it is not cached.
    /// - Throws: as a read would; `.offline` at once while the store is known to be away.
    public func wholeBody(id: Int64) async throws(CacheError) -> FileDescriptor { fatalError("skeleton") }

    /// A session was renamed: its cached file follows.
    public func renamed(id: Int64, from fileName: String, to newName: String) { fatalError("skeleton") }
}
