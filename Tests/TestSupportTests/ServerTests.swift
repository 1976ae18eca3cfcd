import Foundation
import TestSupport
import Testing

/// What a client sees that is independent of this project. Prints one line per request.
private let client = """
    import sys, boto3, botocore.config
    s3 = boto3.client("s3", config=botocore.config.Config(
        retries={"total_max_attempts": 1}, response_checksum_validation="when_required", connect_timeout=3, read_timeout=3, s3={"addressing_style": "path"}))
    bucket, steps = sys.argv[1], sys.argv[2].split()
    for step in steps:
        try:
            if step == "create": s3.create_bucket(Bucket=bucket); print("ok")
            elif step == "put": s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 1000); print("ok")
            elif step == "get": print(s3.get_object(Bucket=bucket, Key="k")["Body"].read().decode())
            elif step == "head": print(s3.head_object(Bucket=bucket, Key="k")["ContentLength"])
        except Exception as error: print(type(error).__name__, str(error)[:200].replace("\\n", " "))
    """

private func lines(_ server: some S3Server, _ endpoint: String, _ bucket: String, _ steps: String) throws -> [String] {
    let environment = server.environment.merging(["AWS_ENDPOINT_URL": endpoint]) { _, new in new }
    return try TestPython.run(client, [bucket, steps], environment: environment)
        .split(separator: "\n").map(String.init)
}

private let whole = String(repeating: "x", count: 1000)

@Suite(.serialized, .timeLimit(.minutes(3))) struct ServerTests {
    @Test func ministackServesAndChecksSignatures() throws {
        let server = try Ministack.shared()
        let bucket = server.freshBucketName()
        #expect(try lines(server, server.endpoint, bucket, "create put get") == ["ok", "ok", whole])
        let impostor = Impostor(endpoint: server.endpoint, accessKey: server.accessKey)
        #expect(try lines(impostor, server.endpoint, bucket, "get").first?.contains("SignatureDoesNotMatch") == true)
    }

    @Test func cephServesAndChecksSignatures() throws {
        let server = try CephRGW.shared()
        let bucket = server.freshBucketName()
        #expect(try lines(server, server.endpoint, bucket, "create put get") == ["ok", "ok", whole])
        let impostor = Impostor(endpoint: server.endpoint, accessKey: server.accessKey)
        #expect(try lines(impostor, server.endpoint, bucket, "get").first?.contains("SignatureDoesNotMatch") == true)
    }

    @Test func serversEndWithTheirPipe() throws {
        var server: Ministack? = try Ministack()
        let endpoint = try #require(server?.endpoint)
        let port = try #require(server?.port)
        #expect(try TestPython.run(probe, ["\(port)"]) == "open")
        server = nil
        #expect(try TestPython.run(probe, ["\(port)"]) == "refused", "\(endpoint) still answers")
    }
}

private let probe = """
    import socket, sys
    try: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5); print("open", end="")
    except ConnectionRefusedError: print("refused", end="")
    """

private struct Impostor: S3Server {
    let endpoint: String
    let accessKey: String
    let secretKey = "wrong"
}

@Suite(.serialized, .timeLimit(.minutes(3))) struct FaultProxyTests {
    let server: Ministack
    let proxy: FaultProxy
    let bucket: String

    init() throws {
        server = try Ministack.shared()
        proxy = try FaultProxy(target: server.port)
        bucket = server.freshBucketName()
        #expect(try lines(server, server.endpoint, bucket, "create put") == ["ok", "ok"])
    }

    private func get(_ steps: String = "get") throws -> [String] { try lines(server, proxy.endpoint, bucket, steps) }

    @Test func passesOnAndCounts() throws {
        #expect(try get("head get put get") == ["1000", whole, "ok", whole])
        let statistics = try proxy.statistics()
        #expect(statistics.requests.map { $0.prefix(4) } == ["HEAD", "GET ", "PUT ", "GET "])
        #expect(statistics.bytesDown > 2000)
        #expect(statistics.bytesUp > 1000)
        #expect(statistics.accepted == 1)
        #expect(statistics.mostActive == 1)
        try proxy.resetStatistics()
        #expect(try proxy.statistics().requests.isEmpty)
    }

    @Test(arguments: [FaultProxy.Fault.drop(after: 100), .reset(after: 100), .reset(after: 0), .lose])
    func breaksConnections(_ fault: FaultProxy.Fault) throws {
        try proxy.inject(fault, times: 1)
        let answers = try get("get get")
        #expect(answers.first?.contains("Error") == true)
        #expect(answers.last == whole)
    }

    @Test func spoilsBodies() throws {
        try proxy.inject(.shorten(to: 5), method: "GET")
        try proxy.inject(.corrupt(at: 999), skip: 0, path: bucket + "/k")
        let answers = try get("get get get")
        #expect(answers == ["xxxxx", whole.dropLast() + "h", whole])
    }

    @Test func answersForTheServer() throws {
        try proxy.inject(.status(503, retryAfter: 2), times: 2, skip: 1)
        let answers = try get("get get put get")
        #expect(answers[0] == whole && answers[3] == whole)
        #expect(answers[1].contains("503") || answers[1].contains("SlowDown"))
        #expect(answers[2].contains("503") || answers[2].contains("SlowDown"))
    }

    @Test func refusesAndComesBack() throws {
        try proxy.setState(.refusing)
        #expect(try get().first?.contains("EndpointConnectionError") == true)
        try proxy.setState(.open)
        #expect(try get() == [whole])
    }

    @Test func saysNothing() throws {
        try proxy.setState(.blackHole)
        #expect(try get().first?.contains("ReadTimeout") == true)
        try proxy.setState(.open)
        try proxy.inject(.stall(after: 10))
        #expect(try get().first?.contains("ReadTimeout") == true)
        #expect(try get() == [whole])
    }

    @Test func lengthensTheWay() throws {
        try proxy.setLine(roundTrip: 300, bytesPerSecond: 2000)
        let start = ContinuousClock.now
        #expect(try get() == [whole])
        // Connection and request cost 300 ms each, the body 500 ms: lower bounds, which no busy machine can miss.
        #expect(ContinuousClock.now - start > .milliseconds(1050))
    }
}
