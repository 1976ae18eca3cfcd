internal import Catalog
internal import CloudStores
public import ObjectStore
internal import Platform

/// What `sessionfs check` looks at: this machine, the connection, and what is in the bucket.
public enum StoreCheck {
    /// Looks at everything, from the nearest to the farthest. Ends where nothing further could work.
    /// - Parameter write: also writes and removes a probe object, to see which conditions the server honours.
    public static func run(_ view: StoreView, write: Bool) async -> [StoreFinding] {
        var findings = machine(view.settings)
        if let s3 = view.store.provider as? S3Store {
            findings += await s3.diagnose(write: write)
        } else {
            findings.append(await container(view.store.store))
            if write, findings.last?.level == .ok { findings.append(await conditions(view.store.provider)) }
        }
        guard !findings.contains(where: { $0.level == .error }) else { return findings }
        return findings + (await contents(view))
    }

    private static func machine(_ settings: StoreSettings) -> [StoreFinding] {
        var findings: [StoreFinding] = []
        if !Files.exists("/dev/fuse") {
            findings.append(
                StoreFinding("fuse", .warning, "/dev/fuse is missing: nothing can be mounted", advice: "modprobe fuse"))
        }
        let free = Files.availableBytes(settings.cacheDirectory)
        findings.append(
            free < 100 << 20
                ? StoreFinding(
                    "cache", .warning, "only \(free >> 20) MiB are free below \(settings.cacheDirectory)",
                    advice: "free some space, or choose another place with --cache-dir")
                : StoreFinding("cache", .ok, settings.cacheDirectory))
        return findings
    }

    private static func container(_ store: any ObjectStore) async -> StoreFinding {
        do throws(StoreError) {
            _ = try await store.list(ListRequest(prefix: "sessions/", limit: 1))
            return StoreFinding("store", .ok, "\(store.location) can be listed")
        } catch {
            let advice = error.kind == .noContainer ? "make the directory, or correct the path" : nil
            return StoreFinding("store", .error, error.description, advice: advice, kind: error.kind)
        }
    }

    private static func conditions(_ store: any ObjectStore) async -> StoreFinding {
        do throws(StoreError) {
            let support = try await store.probeConditions()
            var missing: [String] = []
            if !support.ifAbsent { missing.append("for new objects") }
            if !support.ifMatch { missing.append("for replacing") }
            if !support.deleteIfMatch { missing.append("for removing") }
            guard !missing.isEmpty else { return StoreFinding("conditions", .ok, "all are honoured") }
            return StoreFinding(
                "conditions", .warning, "not honoured \(missing.joined(separator: ", "))",
                advice: "Objects are looked at before and after they are written; avoid writing the same one twice.")
        } catch {
            return StoreFinding("conditions", .error, error.description, kind: error.kind)
        }
    }

    /// What is odd in the bucket, after a whole look at it.
    private static func contents(_ view: StoreView) async -> [StoreFinding] {
        do throws(MountFailure) {
            let report = try await view.refresh(.full) { _, _, _ in }
            var findings: [StoreFinding] = []
            switch report.overall {
            case .missing:
                findings.append(
                    StoreFinding(
                        "overall file", .warning, "overall_meta.json is missing; sessions are found by listing"))
            case .damaged(let reason):
                findings.append(
                    StoreFinding(
                        "overall file", .warning, "overall_meta.json is damaged (\(reason)); listings make up for it"))
            case .changed, .unchanged: break
            }
            return findings + (try catalog(view))
        } catch {
            return [StoreFinding("contents", .error, error.description)]
        }
    }

    private static func catalog(_ view: StoreView) throws(MountFailure) -> [StoreFinding] {
        do throws(CatalogError) {
            let counts = try view.catalog.counts
            var findings = [
                StoreFinding("sessions", .ok, "\(counts.sessions) sessions, metadata of \(counts.indexed) known")
            ]
            if counts.missingIndexes > 0 {
                findings.append(
                    StoreFinding("indexes", .warning, "\(counts.missingIndexes) sessions have no metadata index"))
            }
            if counts.corruptIndexes > 0 {
                findings.append(
                    StoreFinding("indexes", .warning, "\(counts.corruptIndexes) metadata indexes cannot be read"))
            }
            for rejected in try view.catalog.rejectedNames() {
                findings.append(
                    StoreFinding(
                        "name", .warning, "\(rejected.key) is not shown: \(rejected.problem)",
                        advice: "rename the object with the provider's own tools"))
            }
            return findings
        } catch {
            throw MountFailure("catalog: \(error)")
        }
    }
}
