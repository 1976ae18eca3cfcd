internal import Platform

extension Download {
    /// Hashes what has arrived from the beginning on, until nothing is left for now. Runs on the lane.
    func hashAhead() {
        while true {
            enum Work { case update(PrefixHasher, Range<UInt64>), finish(PrefixHasher), nothing }
            let work = state.withLock { state -> Work in
                guard state.plan.phase == .running, var attempt = state.attempt, attempt.isHashing else {
                    // It may go on when the object was found elsewhere.
                    state.attempt?.isHashing = false
                    return .nothing
                }
                let hasher =
                    attempt.hasher ?? PrefixHasher(attempt.file.descriptor, expected: state.plan.expectedDigest)
                attempt.hasher = hasher
                defer { state.attempt = attempt }
                let prefix = state.plan.arrived.prefix
                if prefix > attempt.hashed {
                    let end = min(prefix, attempt.hashed + (2 << 20))
                    defer { attempt.hashed = end }
                    return .update(hasher, attempt.hashed..<end)
                }
                if state.plan.isComplete { return .finish(hasher) }
                attempt.isHashing = false
                return .nothing
            }
            switch work {
            case .nothing: return
            case .update(let hasher, let range):
                do throws(SystemError) { try hasher.update(range) } catch { return end(CacheError(error)) }
            case .finish(let hasher): return finishDigest(hasher.finish())
            }
        }
    }

    private func finishDigest(_ digest: Digest) {
        let comparison = state.withLock { state -> (PartialFile, PartialFile, [Range<UInt64>])? in
            guard let rejected = state.rejected, let file = state.attempt?.file else { return nil }
            return (rejected, file, state.plan.handedOut.ranges)
        }
        var unchanged = true
        if let (rejected, file, ranges) = comparison {
            unchanged = ranges.allSatisfy { range in
                (try? file.descriptor.agrees(with: rejected.descriptor, in: range)) ?? false
            }
        }
        step { state in
            state.digest = digest
            return state.plan.digested(digest, unchanged: unchanged, now: .monotonic)
        }
        if !unchanged { cache.announceChange(id) }
    }
}
