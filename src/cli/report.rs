//! One line for each thing that was looked at or done: ✓ or ✗, and below it what to do where that is known.

use std::fmt::Display;

/// Prints the line. Gives whether all is well.
pub(super) fn report(part: &str, answer: Result<impl Display, impl Display>) -> bool {
    match &answer {
        Ok(text) => println!("✓ {part}: {text}"),
        Err(error) => println!("✗ {part}: {}", hinted(&error.to_string())),
    }
    answer.is_ok()
}

/// Prints something that is neither well nor wrong, and has to be known.
pub(super) fn remark(part: &str, what: &str) {
    println!("! {part}: {}", hinted(what));
}

/// Messages say what to do behind their last semicolon; here that has a line of its own.
fn hinted(message: &str) -> String {
    match message.rsplit_once("; ") {
        Some((what, hint)) => format!("{what}\n  hint: {hint}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::hinted;

    #[test]
    fn what_to_do_has_a_line_of_its_own() {
        assert_eq!(hinted("it is away; start it"), "it is away\n  hint: start it");
        assert_eq!(hinted("it is away"), "it is away");
    }
}
