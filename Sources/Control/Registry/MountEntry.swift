public import JSON
public import Platform

/// A running mount, as its daemon wrote it down for commands to find.
public struct MountEntry: Payload {
    /// The daemon's process.
    public var pid: Int32
    /// Its start in clock ticks since boot, by which a reused pid is told apart (proc(5)).
    public var startTicks: UInt64
    /// Absolute, links resolved.
    public var mountpoint: String
    /// The store without credentials.
    public var store: String
    /// The control socket.
    public var socket: String
    /// When the mount began.
    public var started: Timestamp
    /// The mount's cache.
    public var cacheDirectory: String
    /// What is not uploaded yet is kept here.
    public var stateDirectory: String

    /// An entry by its parts.
    public init(
        pid: Int32, startTicks: UInt64, mountpoint: String, store: String, socket: String, started: Timestamp,
        cacheDirectory: String, stateDirectory: String
    ) {
        self.pid = pid
        self.startTicks = startTicks
        self.mountpoint = mountpoint
        self.store = store
        self.socket = socket
        self.started = started
        self.cacheDirectory = cacheDirectory
        self.stateDirectory = stateDirectory
    }

    /// Whether the very process that wrote it still lives.
    public var isAlive: Bool { ProcessIdentity(pid: pid, startTicks: startTicks).isAlive }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("pid", .integer(Int64(pid))), ("start_ticks", JSONValue(startTicks)), ("mountpoint", .string(mountpoint)),
            ("store", .string(store)), ("socket", .string(socket)), ("started", .time(started)),
            ("cache_dir", .string(cacheDirectory)), ("state_dir", .string(stateDirectory)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        guard let pid = Int32(exactly: try json.signed("pid")) else { throw .badRequest("pid: out of range") }
        self.init(
            pid: pid, startTicks: try json.count("start_ticks"), mountpoint: try json.text("mountpoint"),
            store: try json.text("store"), socket: try json.text("socket"), started: try json.time("started"),
            cacheDirectory: try json.text("cache_dir"), stateDirectory: try json.text("state_dir"))
    }
}
