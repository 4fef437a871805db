//! How the bytes of a text stand for characters, and how its lines end.

use std::fmt;

use encoding_rs::{CoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

/// A character encoding, one of the [WHATWG's](https://encoding.spec.whatwg.org/#names-and-labels).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Charset(&'static Encoding);

/// What ends a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Newline {
    /// The byte 0x0A. It is `\n` and nothing else in every charset but the two below, also where a character has
    /// several bytes: none of them has 0x0A within a character.
    #[default]
    Byte,
    /// The bytes 0x0A 0x00 at an even place.
    Utf16Le,
    /// The bytes 0x00 0x0A at an even place.
    Utf16Be,
}

impl Charset {
    /// UTF-8, what a text is unless something else is said.
    pub const UTF_8: Charset = Charset(UTF_8);

    /// The names of all charsets, as [`Charset::name`] gives them.
    pub const NAMES: [&'static str; 39] = [
        "UTF-8",
        "UTF-16LE",
        "UTF-16BE",
        "windows-1252",
        "gb18030",
        "GBK",
        "Big5",
        "Shift_JIS",
        "EUC-JP",
        "ISO-2022-JP",
        "EUC-KR",
        "windows-1250",
        "windows-1251",
        "windows-1253",
        "windows-1254",
        "windows-1255",
        "windows-1256",
        "windows-1257",
        "windows-1258",
        "windows-874",
        "ISO-8859-2",
        "ISO-8859-3",
        "ISO-8859-4",
        "ISO-8859-5",
        "ISO-8859-6",
        "ISO-8859-7",
        "ISO-8859-8",
        "ISO-8859-8-I",
        "ISO-8859-10",
        "ISO-8859-13",
        "ISO-8859-14",
        "ISO-8859-15",
        "ISO-8859-16",
        "KOI8-R",
        "KOI8-U",
        "IBM866",
        "macintosh",
        "x-mac-cyrillic",
        "x-user-defined",
    ];

    /// The charset that a label means, in any case: `utf-8`, `UTF-16LE`, `latin1`, `gb2312`, `sjis`. None if there
    /// is none.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != REPLACEMENT).map(Self)
    }

    /// Its name; [`Charset::of_label`] reads it back.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether it is UTF-8, whose text needs no decoding.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }

    /// What ends a line in it.
    #[must_use]
    pub fn newline(self) -> Newline {
        match self.0 {
            encoding if encoding == UTF_16LE => Newline::Utf16Le,
            encoding if encoding == UTF_16BE => Newline::Utf16Be,
            _ => Newline::Byte,
        }
    }

    /// Its byte order mark, which may stand at the beginning of a file and is no text; empty if it has none.
    #[must_use]
    pub fn mark(self) -> &'static [u8] {
        match self.0 {
            encoding if encoding == UTF_8 => b"\xef\xbb\xbf",
            encoding if encoding == UTF_16LE => b"\xff\xfe",
            encoding if encoding == UTF_16BE => b"\xfe\xff",
            _ => b"",
        }
    }

    /// Appends `text` to `out` as UTF-8. What is no text in the charset becomes U+FFFD; whether all of it was text.
    pub fn decode(self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let mut decoder = self.0.new_decoder_without_bom_handling();
        let (mut rest, mut all_text) = (text, true);
        loop {
            let from = out.len();
            let room = decoder.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len()).max(16);
            out.resize(from + room, 0);
            let (result, taken, written, replaced) = decoder.decode_to_utf8(rest, &mut out[from..], true);
            out.truncate(from + written);
            all_text &= !replaced;
            rest = &rest[taken..];
            if result == CoderResult::InputEmpty {
                return all_text;
            }
        }
    }
}

impl Default for Charset {
    fn default() -> Self {
        Self::UTF_8
    }
}

impl fmt::Debug for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charset({})", self.name())
    }
}

impl Newline {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Newline::Byte => b"\n",
            Newline::Utf16Le => b"\n\0",
            Newline::Utf16Be => b"\0\n",
        }
    }

    /// How many bytes it has: in UTF-16 every cut of a text has to be at a multiple of it.
    #[must_use]
    pub fn width(self) -> usize {
        self.bytes().len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Charset, Newline};
    use proptest::prelude::*;

    fn decoded(charset: Charset, text: &[u8]) -> (String, bool) {
        let mut out = b"before ".to_vec();
        let all_text = charset.decode(text, &mut out);
        (String::from_utf8(out).expect("UTF-8").split_off(7), all_text)
    }

    #[test]
    fn every_name_is_a_label_and_so_are_the_ones_that_people_write() {
        for name in Charset::NAMES {
            assert_eq!(Charset::of_label(name).map(Charset::name), Some(name));
        }
        for (label, name) in [
            ("utf8", "UTF-8"),
            ("latin1", "windows-1252"),
            ("gb2312", "GBK"),
            ("sjis", "Shift_JIS"),
            ("UTF-16", "UTF-16LE"),
        ] {
            assert_eq!(Charset::of_label(label).map(Charset::name), Some(name));
        }
        for label in ["", "utf-32", "replacement", "hz-gb-2312"] {
            assert_eq!(Charset::of_label(label), None, "{label}");
        }
    }

    /// So a line's end is found without looking at its characters.
    #[test]
    fn in_every_charset_but_utf_16_the_byte_0x0a_ends_a_line_whatever_stands_before_it() {
        for name in Charset::NAMES {
            let charset = Charset::of_label(name).expect("a name is a label");
            if charset.newline() != Newline::Byte {
                continue;
            }
            // Every pair of bytes, and behind some of them a third one as a character of four bytes has it. What
            // ISO-2022-JP switches with escapes is switched back before a line ends (RFC 1468).
            let third = [&b""[..], b"\x30", b"\x81", b"\xa1", b"\xfe"];
            for pair in 0..=u16::MAX {
                for third in if pair.to_be_bytes()[0] < 0x80 { &third[..1] } else { &third[..] } {
                    let line = [&pair.to_be_bytes()[..], third, b"\nx"].concat();
                    let (text, _) = decoded(charset, &line);
                    assert!(text.ends_with("\nx"), "{name}: {line:x?} is {text:?}");
                }
            }
        }
    }

    #[test]
    fn what_people_wrote_is_read() {
        for (label, bytes, text) in [
            ("utf-16le", &b"h\0\xe9\0\n\0"[..], "hé\n"),
            ("utf-16be", b"\0h\xd8\x3d\xde\x00", "h😀"),
            ("gb18030", b"\xc8\xd5\xd6\xbe \x81\x30\x86\x30", "日志 \u{b8}"),
            ("shift_jis", b"\x83\x8d\x83\x4f", "ログ"),
            ("euc-jp", b"\xa5\xed\xa5\xb0", "ログ"),
            ("big5", b"\xa4\xe9\xbb\x78", "日誌"),
            ("latin1", b"caf\xe9", "café"),
        ] {
            let charset = Charset::of_label(label).expect("a label");
            assert_eq!(decoded(charset, bytes), (text.to_owned(), true), "{label}");
        }
        let (text, all_text) = decoded(Charset::of_label("utf-16le").expect("a label"), b"a\0\x00\xd8b\0");
        assert_eq!((text.as_str(), all_text), ("a\u{fffd}b", false));
    }

    proptest! {
        #[test]
        fn any_bytes_become_text_in_any_charset(
            index in any::<prop::sample::Index>(),
            text in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let charset = Charset::of_label(Charset::NAMES[index.index(Charset::NAMES.len())]).expect("a label");
            let (decoded, all_text) = decoded(charset, &text);
            if charset.is_utf8() {
                prop_assert_eq!(&decoded, &String::from_utf8_lossy(&text));
                prop_assert_eq!(all_text, std::str::from_utf8(&text).is_ok());
            }
            prop_assert!(all_text || decoded.contains(char::REPLACEMENT_CHARACTER));
        }
    }
}
