public import Catalog
public import Platform
public struct CacheError: Error { public enum Kind: Sendable { case notFound, changed, offline, denied, corrupt, diskFull, interrupted, io }
  public var kind: Kind; public var message: String }
public enum BodyBytes: Sendable { case file(FileDescriptor, offset: UInt64, count: Int) }
public final class OpenBody: Sendable { public var complete: FileDescriptor? { nil }
 public func read(at: UInt64, count: Int, reply: @escaping @Sendable (Result<BodyBytes, CacheError>) -> Void) {}
 public func close() {} }
public struct BodyState: CustomStringConvertible { public var description: String { "remote" } }
public final class SessionCache: Sendable { public init() {}
 public func open(_ id: Int64) throws(CacheError) -> OpenBody { throw CacheError(kind: .io, message: "") }
 public func state(_ id: Int64) -> BodyState { BodyState() } }
