import ObjectStore
import TestSupport
import Testing

@Suite struct GatedConformanceTests {
    @Test(.timeLimit(.minutes(3)), arguments: StoreConformance.points)
    func keeps(_ point: StoreConformance.Point) async throws {
        try await point.run(RetryingStore(GatedStore(MemoryStore(), Connectivity())))
    }
}
