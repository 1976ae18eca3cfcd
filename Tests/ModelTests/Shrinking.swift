import Testing

/// What makes a failure of a model run short, without any mount.
@Suite struct Shrinking {
    private let steps = (0..<100).map { Step(0, .save, $0, $0) }

    /// Two steps far from each other, whose order matters.
    @Test func onlyWhatIsNeededStays() {
        let (first, second) = (steps[17], steps[83])
        var runs = 0
        let rest = Run.shrink(steps, tries: 1000) { steps in
            runs += 1
            guard let one = steps.firstIndex(of: first), let other = steps.firstIndex(of: second) else { return false }
            return one < other
        }
        #expect(rest == [first, second])
        #expect(runs < 100)
    }

    @Test func itEndsAfterSoManyRuns() {
        var runs = 0
        let rest = Run.shrink(steps, tries: 7) { steps in
            runs += 1
            return steps.contains(self.steps[3])
        }
        #expect(runs == 7)
        #expect(rest.contains(steps[3]) && rest.count < steps.count)
    }

    @Test func stepsAreLinesAndBack() {
        for action in Step.Action.allCases {
            for machine in [nil, 0, 12] {
                var step = Step(machine, action)
                step.numbers = Array([1003, 7].prefix(action.numbers))
                #expect(Step(line: step.description) == step)
            }
        }
        for line in ["", "0", "0 save 1", "x kill", "0 kill 1", "0 dance", "0 save a b"] {
            #expect(Step(line: line) == nil, "\(line)")
        }
    }
}
