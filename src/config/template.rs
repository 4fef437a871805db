//! Text with `{name}` in it, which stands for a value that is known later: `app-{service}`.

use thiserror::Error;

/// A text, cut at its placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A brace without its partner. It holds the text.
    #[error("{0:?} has a brace without its partner")]
    Brace(String),
    /// A placeholder of which nothing is known. It holds the text and the placeholder's name.
    #[error("{0:?} has the placeholder {{{1}}}, of which the task knows nothing")]
    Unknown(String, String),
}

impl Template {
    /// Understands a template. There is no way to write a brace that is none.
    pub(super) fn parse(template: &str) -> Result<Self, TemplateError> {
        let brace = || TemplateError::Brace(template.to_owned());
        let (mut pieces, mut rest) = (Vec::new(), template);
        while let Some(at) = rest.find(['{', '}']) {
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            let (name, behind) =
                rest[at..].strip_prefix('{').and_then(|inside| inside.split_once('}')).ok_or_else(brace)?;
            if name.contains('{') {
                return Err(brace());
            }
            pieces.push(Piece::Placeholder(name.to_owned()));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Whether it stands for the same whatever is known.
    pub(super) fn is_fixed(&self) -> bool {
        !self.0.iter().any(|piece| matches!(piece, Piece::Placeholder(_)))
    }

    /// Whether it begins with a placeholder.
    pub(super) fn begins_open(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Placeholder(_)))
    }

    /// The text, with the values of its placeholders.
    pub(super) fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Result<String, TemplateError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Placeholder(name) => match value(name) {
                    Some(value) => text.push_str(value),
                    None => return Err(TemplateError::Unknown(self.to_string(), name.clone())),
                },
            }
        }
        Ok(text)
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Placeholder(name) => write!(f, "{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Template, TemplateError};

    #[test]
    fn placeholders_are_filled_and_one_that_nothing_is_known_of_is_named() {
        let template = Template::parse("app-{service}-{env}x").expect("a template");
        assert_eq!((template.is_fixed(), template.begins_open()), (false, false));
        let value = |name: &str| match name {
            "service" => Some("api"),
            "env" => Some("prod"),
            _ => None,
        };
        assert_eq!(template.fill(value).as_deref(), Ok("app-api-prodx"));
        assert_eq!(
            template.fill(|name| value(name).filter(|_| name != "env")).expect_err("env").to_string(),
            "\"app-{service}-{env}x\" has the placeholder {env}, of which the task knows nothing"
        );
        assert!(Template::parse("{a}").expect("a template").begins_open());
        assert!(Template::parse("").expect("a template").is_fixed());
    }

    #[test]
    fn a_brace_without_its_partner_is_refused() {
        for text in ["a{", "a}", "{a", "a{b{c}}", "}{"] {
            assert_eq!(Template::parse(text), Err(TemplateError::Brace(text.to_owned())), "{text}");
        }
    }
}
