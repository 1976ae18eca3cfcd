import Digests
import Foundation
import Testing

@Suite struct DigestTests {
    // RFC 1321 A.5 and FIPS 180-4 example messages.
    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b",
            "71c480df93d6ae2f1efad1447c66c9525e316218cf51fc8d9ed832f2daf18b73"
        ),
    ])
    func publishedVectors(message: String, md5: String, sha256: String) {
        #expect(MD5.hex(Array(message.utf8)) == md5)
        #expect(SHA256.hex(Array(message.utf8)) == sha256)
        #expect(hex(MD5.hash(Array(message.utf8).span.bytes)) == md5)
        #expect(hex(SHA256.hash(Array(message.utf8).span.bytes)) == sha256)
    }

    @Test func piecesMakeTheSameDigestAsTheWhole() {
        let message = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for pieceLength in [1, 63, 64, 65, 4096] {
            let sha = SHA256()
            let md5 = MD5()
            let shared = SharedDigest(.sha256)
            for start in stride(from: 0, to: message.count, by: pieceLength) {
                let piece = Array(message[start..<min(start + pieceLength, message.count)])
                sha.update(piece)
                md5.update(piece.span.bytes)
                shared.update(piece.span.bytes)
            }
            #expect(sha.finalize() == SHA256.hash(message))
            #expect(md5.finalize() == MD5.hash(message))
            #expect(shared.finalize() == SHA256.hash(message))
        }
    }

    @Test func aDigestBeginsAnewAfterItsEnd() {
        let digest = SHA256()
        digest.update(Array("first".utf8))
        _ = digest.finalize()
        digest.update(Array("abc".utf8))
        #expect(digest.finalize() == SHA256.hash(Array("abc".utf8)))
    }

    @Test func aCopyGoesItsOwnWay() {
        let digest = MD5()
        digest.update(Array("ab".utf8))
        let copy = digest.copy()
        digest.update(Array("c".utf8))
        copy.update(Array("x".utf8))
        #expect(digest.finalize() == MD5.hash(Array("abc".utf8)))
        #expect(copy.finalize() == MD5.hash(Array("abx".utf8)))
    }

    @Test func aSharedDigestTakesBytesFromManyThreads() async {
        let digest = SharedDigest(.md5)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<1000 { digest.update([UInt8](repeating: 7, count: 10).span.bytes) } }
            }
        }
        #expect(digest.finalize() == MD5.hash([UInt8](repeating: 7, count: 80_000)))
    }
}

@Suite struct HMACTests {
    // RFC 4231, test cases 1 to 4, 6 and 7.
    @Test(arguments: [
        (
            String(repeating: "0b", count: 20), "4869205468657265",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            String(repeating: "aa", count: 20), String(repeating: "dd", count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            "0102030405060708090a0b0c0d0e0f10111213141516171819", String(repeating: "cd", count: 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            String(repeating: "aa", count: 131),
            Hex.encode(Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func publishedVectors(key: String, message: String, code: String) throws {
        let key = try #require(Hex.decode(key))
        let message = try #require(Hex.decode(message))
        #expect(hex(HMACSHA256.authenticate(key: key, message: message)) == code)
    }

    @Test func emptyKeyAndMessage() {
        // The code of two empty texts, as RFC 2104 defines it, does not depend on a call before.
        _ = HMACSHA256.authenticate(key: [1, 2, 3], message: [4])
        #expect(
            hex(HMACSHA256.authenticate(key: [], message: []))
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test func comparing() {
        #expect(constantTimeEquals([], []))
        #expect(constantTimeEquals([1, 2], [1, 2]))
        #expect(!constantTimeEquals([1, 2], [1, 3]))
        #expect(!constantTimeEquals([1, 2], [1, 2, 3]))
    }

    @Test func randomBytesDiffer() {
        #expect(randomBytes(0).isEmpty)
        #expect(randomBytes(32).count == 32)
        #expect(randomBytes(32) != randomBytes(32))
    }
}

@Suite struct EncodingTests {
    @Test func hexadecimal() {
        #expect(Hex.encode([]) == "")
        #expect(Hex.encode([0x00, 0x9A, 0xFF]) == "009aff")
        #expect(Hex.decode("009AfF") == [0x00, 0x9A, 0xFF])
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
    }

    @Test func base64AgreesWithFoundation() {
        var seed: UInt64 = 1
        for length in 0..<200 {
            let bytes = (0..<length).map { _ -> UInt8 in
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: seed >> 40)
            }
            let text = Data(bytes).base64EncodedString()
            #expect(Base64.encode(bytes) == text)
            #expect(Base64.decode(text) == bytes)
            let url = Base64.encode(bytes, .url)
            #expect(!url.utf8.contains { "+/=".utf8.contains($0) })
            #expect(Base64.decode(url) == bytes)
        }
    }

    @Test func base64OfOtherForms() {
        #expect(Base64.decode("YWJj\r\n ZGVm\n") == Array("abcdef".utf8))
        #expect(Base64.encode([0xFB, 0xEF, 0xFF], .url) == "--__")
        #expect(Base64.decode("--__") == [0xFB, 0xEF, 0xFF])
    }

    @Test(arguments: ["A", "AAAAA", "A===", "AA=", "AA=A", "AAA==", "AAAA=", "AA.A", "====", "é"])
    func whatIsNoBase64(text: String) {
        #expect(Base64.decode(text) == nil)
    }
}
