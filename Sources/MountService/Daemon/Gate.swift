internal import Glibc
internal import Platform

/// A value that is set once and awaited by any number of tasks.
final class Gate<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiting: [CheckedContinuation<Value, Never>] = []
    }
    private let state = Guarded(State())

    /// Opens the gate. Later values are ignored.
    func open(_ value: Value) {
        let waiting = state.withLock { state in
            guard state.value == nil else { return [CheckedContinuation<Value, Never>]() }
            state.value = value
            defer { state.waiting = [] }
            return state.waiting
        }
        waiting.forEach { $0.resume(returning: value) }
    }

    /// The value, when it is there.
    func wait() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state -> Value? in
                if state.value == nil { state.waiting.append(continuation) }
                return state.value
            }
            if let value { continuation.resume(returning: value) }
        }
    }

    /// The value, if it is there.
    var current: Value? { state.withLock { $0.value } }
}

/// Waits for asynchronous work on a thread that is not one of Swift's own pool, such as the main thread.
public func waitFor<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Value {
    let result = Guarded<Value?>(nil)
    let semaphore = Semaphore()
    Task {
        let value = await body()
        result.withLock { $0 = value }
        semaphore.signal()
    }
    while true {
        semaphore.wait()
        if let value = result.withLock({ $0 }) { return value }
    }
}

/// As ``waitFor(_:)``, for work that can fail.
public func waitFor<Value: Sendable, Failure: Error>(
    throwing body: @escaping @Sendable () async throws(Failure) -> Value
) throws(Failure) -> Value {
    let result: Result<Value, Failure> = waitFor {
        do throws(Failure) { return .success(try await body()) } catch { return .failure(error) }
    }
    return try result.get()
}
