import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// The store can be reached, more or less: everything arrives, once.
@Suite(.timeLimit(.minutes(5))) struct DisturbedTests {
    /// What happens to a request.
    struct Trouble: CustomTestStringConvertible {
        var testDescription: String
        var fault: FaultProxy.Fault
        var times = 2
        var method: String? = "PUT"
        var path: String?
        /// With a session that is sent in parts.
        var inParts = false
    }

    static let troubles = [
        Trouble(testDescription: "503", fault: .status(503), times: 3),
        Trouble(testDescription: "500 of everything", fault: .status(500), times: 4, method: nil),
        Trouble(testDescription: "429 with Retry-After", fault: .status(429, retryAfter: 1), times: 2),
        // The store did it, and nobody knows: found there, it is ours.
        Trouble(testDescription: "answer to a body lost", fault: .lose, path: "/sessions/"),
        Trouble(testDescription: "answers to all bodies lost", fault: .lose, times: 9, path: "/sessions/"),
        Trouble(testDescription: "answer to an index lost", fault: .lose, path: "/meta_indexes/"),
        Trouble(testDescription: "answer to a row lost", fault: .lose, times: 3, path: "overall_meta.json"),
        Trouble(testDescription: "answer to a removal lost", fault: .lose, method: "DELETE"),
        Trouble(testDescription: "answer to parts lost", fault: .lose, times: 3, path: "partNumber", inParts: true),
        Trouble(
            testDescription: "answer to the whole of parts lost", fault: .lose, times: 3, method: "POST", inParts: true),
        Trouble(testDescription: "reset", fault: .reset(after: 0), times: 4, method: nil),
        Trouble(testDescription: "heads fail", fault: .status(500), times: 3, method: "HEAD"),
    ]

    @Test(arguments: troubles) func everythingArrivesOnce(_ trouble: Trouble) throws {
        try withLine { world, proxy in
            try proxy.inject(trouble.fault, times: trouble.times, method: trouble.method, path: trouble.path)
            var expected = try world.workWithoutNetwork()
            let body = TestSession.bytes(5, size: trouble.inParts ? 18 << 20 : 200_000)
            expected[TestSession.fileName(5)] = body
            try world.save(TestSession.fileName(5), body)
            try world.delete(TestSession.fileName(1))
            expected[TestSession.fileName(1)] = nil
            try world.replay(expected)
        }
    }

    /// Connections are cut again and again while bodies are on their way.
    @Test func connectionsAreCut() throws {
        try withLine { world, proxy in
            try proxy.setLine(bytesPerSecond: 4 << 20)
            var expected = try world.workWithoutNetwork()
            for number in 10..<16 {
                expected[TestSession.fileName(number)] = TestSession.bytes(number, size: 1 << 20)
                try world.save(TestSession.fileName(number), TestSession.bytes(number, size: 1 << 20))
            }
            for _ in 0..<5 {
                let before = try proxy.statistics().bytesUp
                try world.eventually("bytes move, or all are gone") {
                    try proxy.statistics().bytesUp > before + 100_000 || world.queue().isEmpty
                }
                try proxy.cutConnections()
            }
            try proxy.setLine()
            try world.replay(expected)
        }
    }

    /// The network comes and goes.
    @Test func theLineFlaps() throws {
        try withLine { world, proxy in
            var expected = try world.workWithoutNetwork()
            for round in 0..<6 {
                try proxy.setState(.refusing)
                for number in 0..<5 {
                    let name = TestSession.fileName(100 + round * 5 + number)
                    try world.save(name, TestSession.bytes(round * 5 + number, size: 40_000))
                    expected[name] = TestSession.bytes(round * 5 + number, size: 40_000)
                }
                world.browse(expected.count)
                try proxy.setState(.open)
                // One of them has arrived: it is in the middle of it.
                let before = try world.queue().count
                try world.eventually("something is sent") {
                    try world.queue().count < before || world.flush().status == 0
                }
            }
            try world.replay(expected)
        }
    }

    /// A slow and far line is only slow.
    @Test func aSlowLine() throws {
        try withLine { world, proxy in
            try proxy.setLine(roundTrip: 80, bytesPerSecond: 300_000)
            var expected = try world.workWithoutNetwork()
            for number in 10..<20 {
                expected[TestSession.fileName(number)] = TestSession.bytes(number, size: 50_000)
                try world.save(TestSession.fileName(number), TestSession.bytes(number, size: 50_000))
            }
            world.browse(14)
            try world.replay(expected)
        }
    }

    /// A store that refuses for good: the file stays here with the reason, and nothing of it is in the bucket.
    @Test(arguments: ["/sessions/", "/meta_indexes/"]) func forbidden(_ path: String) throws {
        try withLine { world, proxy in
            try proxy.inject(.status(403, code: "AccessDenied"), times: 1_000_000, method: "PUT", path: path)
            try world.save(TestSession.fileName(5), TestSession.bytes(5))
            #expect(world.flush().status == 3)
            let failed = try #require(try world.queue().first)
            #expect(failed.state == "failed" && !failed.reason.isEmpty, "\(failed)")
            #expect(world.state(TestSession.fileName(5)) == "failed")
            #expect(try world.status().number("queue.failed") == 1)
            #expect(world.holds(TestSession.fileName(5), TestSession.bytes(5)))
            // What one file meets does not hold up the others, nor their parts that went before.
            #expect(try world.bucket.names() == [TestSession.fileName(0), TestSession.fileName(1)])
            try world.bucket.expectClean()
            try proxy.clearFaults()
            try world.tell("queue", "retry")
            try world.replay([
                TestSession.fileName(0): TestSession.bytes(0), TestSession.fileName(1): TestSession.bytes(1),
                TestSession.fileName(5): TestSession.bytes(5),
            ])
        }
    }

    /// A removal that the store forbids is undone: the file is back.
    @Test func aForbiddenRemovalIsUndone() throws {
        try withLine { world, proxy in
            try proxy.inject(
                .status(403, code: "AccessDenied"), times: 1_000_000, method: "DELETE", path: "/sessions/")
            try world.delete(TestSession.fileName(1))
            #expect(try world.sessions() == [TestSession.fileName(0)])
            world.flush()
            try world.eventually("it is back") {
                try world.sessions() == [TestSession.fileName(0), TestSession.fileName(1)]
            }
            #expect(world.holds(TestSession.fileName(1), TestSession.bytes(1)))
            #expect(try world.queue().isEmpty)
            try world.bucket.expectClean()
        }
    }
}
