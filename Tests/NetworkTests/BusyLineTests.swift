import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// A server that answers nothing while it takes a large upload.
@Suite(.timeLimit(.minutes(5))) struct BusyLineTests {
    @Test func anUploadThatGoesOnIsNoLossOfTheStore() throws {
        try withLine { world, proxy in
            let name = TestSession.fileName(5)
            // What the server honours is known before.
            try world.save(TestSession.fileName(6), TestSession.bytes(6))
            try world.drain()
            // The question whether the store is there is never answered.
            try proxy.inject(.stall(after: 0), times: 1_000_000, method: "GET", path: "list-type=2")
            try proxy.setLine(bytesPerSecond: 1 << 20)
            try proxy.resetStatistics()
            let body = TestSession.bytes(5, size: 20 << 20)
            try world.save(name, body)
            try world.eventually("it has arrived", seconds: 150) { try world.bucket.names().contains(name) }
            let parts = try proxy.statistics().requests.filter { $0.hasPrefix("PUT ") && $0.contains("partNumber") }
            #expect(parts.count == 3, "\(parts)")
            #expect(try world.connection() == "online")
            try proxy.clearFaults()
            try proxy.setLine()
            try world.drain()
            #expect(try Noise.same(world.bucket.object("sessions/" + name) ?? [], body))
            try world.bucket.expectClean()
        }
    }
}
