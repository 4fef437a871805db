//! Which lines make one message together.
//!
//! Lines are counted as they stand in the file; a message has one or more of them. Lines that follow each other and
//! in which every message is complete are a *unit*; a text is only ever divided between units. Nearly always a unit
//! is a line, or the lines of one message; only where two streams were written into one file, as container runtimes
//! do, the lines of two messages may lie among each other.

/// The messages of a stretch of lines. Empty, which takes no memory, it says that every line is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// A number `k` above 1: one message of `k` lines. A number `-k` below 0: `k` messages of a line each. 0: a
    /// unit of several messages; then follow its number of lines and, for each line, the number of its message.
    codes: Vec<i32>,
}

/// Lines that are told of together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// So many lines, each a message and a unit.
    Single(u32),
    /// So many lines that are one message, and a unit.
    Joined(u32),
    /// A unit: for each of its lines the number of its message. They are numbered from 0, in the order in which they
    /// begin.
    Mixed(&'a [i32]),
}

/// The most lines that a run tells of.
const LINES_MAX: u32 = i32::MAX as u32;

impl Messages {
    /// Whether every line is a message.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.codes.is_empty()
    }

    /// How many lines are told of; 0 if it is plain.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.runs().map(|run| u64::from(run.lines())).sum()
    }

    /// The runs, in the order of their lines.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let mut rest = &self.codes[..];
        std::iter::from_fn(move || {
            let (code, behind) = rest.split_first()?;
            rest = behind;
            Some(match code {
                ..0 => Run::Single(code.unsigned_abs()),
                0 => {
                    let (lines, behind) = rest.split_first()?;
                    let (numbers, behind) = behind.split_at_checked(lines.unsigned_abs() as usize)?;
                    rest = behind;
                    Run::Mixed(numbers)
                }
                _ => Run::Joined(code.unsigned_abs()),
            })
        })
    }

    /// Adds a run behind the others. False, and nothing added, if it can't be one: no lines or too many, a message
    /// of one line as [`Run::Joined`], or messages that are not numbered as they should be.
    pub fn push(&mut self, run: Run<'_>) -> bool {
        if run.lines() > LINES_MAX {
            return false;
        }
        match run {
            Run::Single(0) | Run::Joined(0 | 1) => return false,
            Run::Single(lines) => self.push_single(lines),
            Run::Joined(lines) => self.codes.push(lines as i32),
            Run::Mixed(numbers) => {
                let mut next = 0;
                for number in numbers {
                    if !(0..=next).contains(number) {
                        return false;
                    }
                    next += i32::from(*number == next);
                }
                if next < 2 {
                    return false;
                }
                self.codes.extend([0, numbers.len() as i32]);
                self.codes.extend(numbers);
            }
        }
        true
    }

    fn push_single(&mut self, lines: u32) {
        match self.last_single() {
            Some(last) if last.unsigned_abs() + lines <= LINES_MAX => *last -= lines as i32,
            _ => self.codes.push(-(lines as i32)),
        }
    }

    /// The last code, if it is that of a [`Run::Single`]: no number within a mixed unit is below 0.
    fn last_single(&mut self) -> Option<&mut i32> {
        self.codes.last_mut().filter(|code| **code < 0)
    }

    /// Adds what `other` says of the `lines` lines behind the `known` lines that are told of here; a plain one says
    /// that each is a message.
    pub fn append(&mut self, known: u32, other: &Messages, lines: u32) {
        match (self.is_plain(), other.is_plain()) {
            (true, true) => return,
            (true, false) if known > 0 => self.push_single(known),
            _ => (),
        }
        if other.is_plain() && lines > 0 {
            self.push_single(lines);
        }
        for run in other.runs() {
            let is_run = self.push(run);
            debug_assert!(is_run, "it was one there");
        }
    }

    /// Divides it behind its first `lines` lines, which must be the end of a unit.
    #[must_use]
    pub fn divide(&self, lines: u32) -> (Messages, Messages) {
        let (mut first, mut second, mut left) = (Messages::default(), Messages::default(), lines);
        for run in self.runs() {
            let (before, behind) = match run {
                Run::Single(count) => (count.min(left), count - count.min(left)),
                run if left > 0 => (run.lines(), 0),
                run => (0, run.lines()),
            };
            for (half, count) in [(&mut first, before), (&mut second, behind)] {
                if count > 0 {
                    half.push(if let Run::Single(_) = run { Run::Single(count) } else { run });
                }
            }
            left = left.saturating_sub(before);
        }
        (first.settled(), second.settled())
    }

    /// Without what goes without saying: plain if every line is a message.
    #[must_use]
    pub fn settled(self) -> Self {
        if self.runs().all(|run| matches!(run, Run::Single(_))) { Self::default() } else { self }
    }
}

impl Run<'_> {
    /// How many lines it tells of.
    #[must_use]
    pub fn lines(self) -> u32 {
        match self {
            Run::Single(lines) | Run::Joined(lines) => lines,
            Run::Mixed(numbers) => u32::try_from(numbers.len()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Messages, Run};
    use proptest::prelude::*;

    fn messages(units: &[Vec<i32>]) -> Messages {
        let mut messages = Messages::default();
        for unit in units {
            let run = match &unit[..] {
                [_] => Run::Single(1),
                same if same.iter().all(|number| *number == 0) => Run::Joined(same.len() as u32),
                mixed => Run::Mixed(mixed),
            };
            assert!(messages.push(run));
        }
        messages
    }

    /// Units as lists of the numbers of their lines' messages.
    fn units() -> impl Strategy<Value = Vec<Vec<i32>>> {
        let mixed = proptest::collection::vec(0_i32..4, 1..6).prop_map(|numbers| {
            let mut seen = Vec::new();
            numbers
                .iter()
                .map(|number| {
                    let known = seen.iter().position(|before| before == number);
                    known.unwrap_or_else(|| {
                        seen.push(*number);
                        seen.len() - 1
                    }) as i32
                })
                .collect()
        });
        proptest::collection::vec(prop_oneof![3 => Just(vec![0]), 1 => mixed], 0..20)
    }

    proptest! {
        #[test]
        fn what_is_divided_between_units_and_put_together_again_is_the_same(
            units in units(),
            at in any::<prop::sample::Index>(),
        ) {
            let whole = messages(&units);
            let lines = |units: &[Vec<i32>]| units.iter().map(Vec::len).sum::<usize>() as u32;
            prop_assert_eq!(whole.lines(), u64::from(lines(&units)));
            let at = at.index(units.len() + 1);
            let (first, second) = whole.divide(lines(&units[..at]));
            for (half, units) in [(&first, &units[..at]), (&second, &units[at..])] {
                prop_assert_eq!(half, &messages(units).settled());
            }
            let mut again = first;
            again.append(lines(&units[..at]), &second, lines(&units[at..]));
            prop_assert_eq!(again, whole.settled());
        }
    }

    #[test]
    fn what_can_not_be_is_refused() {
        let mut messages = Messages::default();
        for run in [Run::Single(0), Run::Joined(1), Run::Single(u32::MAX), Run::Mixed(&[]), Run::Mixed(&[0, 0])] {
            assert!(!messages.push(run), "{run:?}");
        }
        for numbers in [&[1, 0][..], &[0, 2], &[0, -1]] {
            assert!(!messages.push(Run::Mixed(numbers)), "{numbers:?}");
        }
        assert!(messages.is_plain());
        assert!(messages.push(Run::Mixed(&[0, 1])) && messages.push(Run::Single(2)) && messages.push(Run::Single(3)));
        assert_eq!(messages.runs().collect::<Vec<_>>(), [Run::Mixed(&[0, 1]), Run::Single(5)]);
    }
}
