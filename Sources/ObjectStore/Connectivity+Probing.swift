internal import Platform

/// The questions that find out whether the store is there.
extension Connectivity {
    /// Who asks, and how; the latest wins.
    func probe(by question: @escaping @Sendable () async throws(StoreError) -> Void) {
        let timeout = timing.probeTimeout
        held.withLock { held in
            held.probe = { await Connectivity.answer(to: question, within: timeout) }
        }
    }

    /// - Returns: nil when it was answered.
    private static func answer(
        to question: @escaping @Sendable () async throws(StoreError) -> Void, within seconds: Double
    ) async -> StoreError? {
        let asking = Task { () -> StoreError? in
            do throws(StoreError) {
                try await question()
                return nil
            } catch { return error }
        }
        let isLate = Guarded(false)
        let clock = Task {
            try await Task.sleep(for: .seconds(seconds))
            isLate.withLock { $0 = true }
            asking.cancel()
        }
        let answer = await asking.value
        clock.cancel()
        if answer?.kind == .cancelled, isLate.withLock({ $0 }) {
            return StoreError(.unreachable, message: "no answer within \(seconds) seconds")
        }
        return answer
    }

    /// While the store is away, asks whether it is back.
    func probeUntilOnline() {
        let (turn, probe) = held.withLock { held -> (UInt64, (@Sendable () async -> StoreError?)?) in
            guard case .offline = held.state, held.probing != held.turn, let probe = held.probe else { return (0, nil) }
            held.probing = held.turn
            return (held.turn, probe)
        }
        guard let probe else { return }
        let timing = timing
        Task { [weak self] in
            var pause = timing.firstProbe
            while true {
                // Spread over time, as many clients lose a store in the same moment.
                try await Task.sleep(for: .seconds(pause * Double.random(in: 0.75..<1.25)))
                guard let self, self.isTurn(turn) else { return }
                let asked = Timestamp.monotonic
                var error = await probe()
                guard self.isTurn(turn) else { return }
                // Requests from before go on: there is no need of an answer to this one.
                if let found = error, found.saysNobodyIsThere, self.heardAt >= asked { error = nil }
                if error != nil { self.cutSilent() }
                self.probed(error)
                pause = min(2 * pause, timing.longestPause)
            }
        }
    }

    /// Asks now, for a user who wants something done and does not wait for the next look by itself. Nothing is asked
    /// while the store is there, or by the user's wish away.
    public func lookNow() async {
        let probe = held.withLock { held -> (@Sendable () async -> StoreError?)? in
            guard case .offline = held.state else { return nil }
            return held.probe
        }
        guard let probe else { return }
        probed(await probe())
    }

    /// Whether nothing has changed since a question was decided on.
    private func isTurn(_ turn: UInt64) -> Bool { held.withLock { $0.turn == turn } }

    /// Ends the requests on a line that has proved dead.
    private func cutSilent() {
        let cuts = held.withLock { held in Connectivity.cutAll(&held) }
        for cut in cuts { cut() }
    }

    // MARK: Requests under way

    /// A request is about to be made.
    /// - Returns: its number.
    /// - Throws: ``refusal``.
    func enter() throws(StoreError) -> UInt64 {
        let (ticket, refused, begins) = held.withLock { held -> (UInt64, StoreError?, Bool) in
            if let refused = Connectivity.refusal(held.state) { return (0, refused, false) }
            let ticket = held.nextTicket
            held.nextTicket += 1
            held.requests[ticket] = Request(begun: .monotonic)
            let begins = !held.isWatching && held.probe != nil
            if begins { held.isWatching = true }
            return (ticket, nil, begins)
        }
        if let refused { throw refused }
        if begins { watch() }
        return ticket
    }

    /// How a request can be ended from here.
    func canBeCut(_ ticket: UInt64, by cut: @escaping @Sendable () -> Void) {
        let isLate = held.withLock { held in
            held.requests[ticket]?.cut = cut
            return held.cut.contains(ticket)
        }
        if isLate { cut() }
    }

    /// A request has ended.
    /// - Returns: what to say instead when it was ended from here.
    func leave(_ ticket: UInt64, _ error: StoreError?) -> StoreError? {
        let wasCut = held.withLock { held in
            held.requests[ticket] = nil
            return held.cut.remove(ticket) != nil
        }
        take(error)
        guard wasCut, let error, error.kind == .cancelled else { return nil }
        return refusal ?? StoreError(.offline, key: error.key, message: "the store could not be reached")
    }

    /// As long as requests are under way, looks whether anything is heard, and asks when not: a line that is cut
    /// somewhere in between gives no error for minutes.
    private func watch() {
        let timing = timing
        Task { [weak self] in
            while true {
                try await Task.sleep(for: .seconds(timing.silence / 2))
                guard let self else { return }
                guard let question = self.suspicion() else { return }
                guard let probe = question.probe else { continue }
                let error = await probe()
                guard self.isTurn(question.turn) else { continue }
                if let error, self.isDead(error, since: question.asked) {
                    self.goOffline(error)
                    self.cutSilent()
                } else if error == nil {
                    self.heard()
                }
            }
        }
    }

    private struct Question {
        var turn: UInt64
        var asked: Timestamp
        /// Nil: there is no need to ask.
        var probe: (@Sendable () async -> StoreError?)?
    }

    /// - Returns: nil when no request is under way, and the watch ends.
    private func suspicion() -> Question? {
        let now = Timestamp.monotonic
        let heard = heardAt
        return held.withLock { held in
            guard let first = held.requests.values.map(\.begun).min() else {
                held.isWatching = false
                return nil
            }
            let isSilent = held.state.isOnline && now.seconds(since: max(first, heard)) >= timing.silence
            return Question(turn: held.turn, asked: now, probe: isSilent ? held.probe : nil)
        }
    }

    /// Whether an error says that nobody is there, and nothing else has said otherwise meanwhile.
    private func isDead(_ error: StoreError, since asked: Timestamp) -> Bool {
        heardAt < asked && error.saysNobodyIsThere
    }
}

extension StoreError {
    /// Whether it is the error of a line on which nothing comes back.
    fileprivate var saysNobodyIsThere: Bool { kind == .unreachable || kind == .temporary && status == nil }
}
