//! The question as data: one tree, lowered by each store, evaluated in memory, and printed back as text.

use jiff::Timestamp;

use crate::record::Level;

/// A question: what must hold of a document, and in which window of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// What must hold.
    pub expr: Expr,
    /// `@timestamp` is not before this.
    pub since: Option<Timestamp>,
    /// `@timestamp` is before this.
    pub until: Option<Timestamp>,
}

/// What must hold of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Expr {
    /// Always holds.
    #[default]
    All,
    /// Each holds; never empty.
    And(Vec<Expr>),
    /// One holds; never empty.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// The message has this text.
    Text(Text),
    /// A field passes a test. The name is the document's own (`log.level`), aliases resolved.
    Field {
        /// The field's dotted name.
        name: String,
        /// What its value must pass.
        test: Test,
    },
}

/// A text to look for, compared without case, in words as [`words`](super::words) parts them.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// These words, in this order, next to each other; one or more, in lower case.
    Phrase(Vec<String>),
    /// These words in this order, the last of which may go on: `foo*`; one or more, in lower case.
    Prefix(Vec<String>),
    /// This text anywhere, within a word too: `*foo*`; in lower case. Slow in every store.
    Contains(String),
}

/// What a field's value must pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The field is there: `user:*`.
    Exists,
    /// The value is this, compared without case; for `message` and other analysed text, it has this text.
    Is(String),
    /// The value fits this pattern, in which `*` stands for any text and nothing else is special.
    Glob(String),
    /// The value compares so with a number or a word.
    Compare(Compare, Scalar),
    /// The value is in this range, both ends included; `5xx` is 500 to 599.
    Range(Scalar, Scalar),
    /// The level compares so: `level>=warn`; levels are in the order of [`Level`].
    Level(Compare, Level),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Equal to.
    Eq,
    /// Less than.
    Lt,
    /// At most.
    Le,
    /// More than.
    Gt,
    /// At least.
    Ge,
}

/// A value that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A number; units are resolved (durations to nanoseconds, sizes to bytes).
    Number(f64),
    /// Anything else, as written.
    Word(String),
}
