/// Waits until something is so. The test's time limit ends a wait for what never comes.
public func eventually(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(2)) }
}
