/// How far a first start has come with learning which sessions there are.
public struct FirstLook: Sendable, Equatable {
    /// The step, in words.
    public var step: String
    /// Sessions or requests done, and of how many where that is known.
    public var completed: UInt64
    /// Of how many, where known.
    public var total: UInt64?
    /// Seconds since it began.
    public var seconds: Double
}
