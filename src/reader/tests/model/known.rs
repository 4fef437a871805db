//! Sequences that are worth to be walked each time: those that failed once, and those that everybody meets.

use super::{
    Case, Form,
    Op::{self, *},
};

/// Each with what is special about it; a number seeds the chances that are not in the sequence.
#[rustfmt::skip]
const KNOWN: &[(&str, u64, bool, &[Op])] = &[
    ("renamed three times while stopped", 1, true, &[
        Write(40, 20), Wait(300), Stop, Write(9, 9), Rename, Write(3, 9), Rename, Write(2, 9), Rename, Write(1, 9), Start,
    ]),
    ("renamed three times while nothing flows", 2, true, &[
        Write(40, 20), Wait(50), Hold, Write(200, 60), Rename, Write(200, 60), Rename, Write(90, 60), Rename, Write(9, 9),
        Wait(300), Release,
    ]),
    ("deleted and made again while nothing flows", 3, false, &[
        Hold, Write(300, 90), Wait(100), Delete(0), Write(300, 90), Wait(100), Delete(0), Write(3, 9), Wait(100), Release,
    ]),
    ("deleted and made again while stopped", 4, true, &[
        Write(40, 20), Wait(400), Stop, Delete(0), Write(90, 20), Start,
    ]),
    ("killed inside a line that goes on afterwards", 5, false, &[
        Write(2, 20), Begin(20), Wait(30), Save, Kill, Write(2, 9), Start, Wait(100), Begin(9), Wait(50), Kill, Start,
    ]),
    ("a line that was sent unended goes on in a file that was renamed meanwhile", 6, false, &[
        Write(2, 20), Begin(20), Wait(600), Save, Write(1, 9), Rename, WriteLate(3), Write(2, 9),
    ]),
    ("truncated and at once longer than before", 7, true, &[
        Write(3, 20), Wait(100), Truncate(90), Wait(100), Truncate(0), Write(200, 9),
    ]),
    ("killed again and again while it is written and rotated", 8, false, &[
        Write(40, 40), Wait(20), Kill, Start, Write(40, 40), Rename, Wait(20), Kill, Write(9, 9), Start, Wait(20), Rename,
        Write(40, 40), Kill, Start, Save, Wait(9), Kill, Rename, Start,
    ]),
    ("copied and truncated again and again with the same beginning", 9, true, &[
        Write(40, 40), Wait(100), CopyTruncate, Write(90, 40), CopyTruncate, Write(20, 40), Wait(300), CopyTruncate, Write(9, 9),
    ]),
    ("copied and truncated while stopped, after half of it was read", 10, true, &[
        Write(40, 40), Wait(300), Stop, Write(30, 30), CopyTruncate, Write(300, 9), Start,
    ]),
    ("copied and truncated while nothing flows, and killed", 11, false, &[
        Write(40, 40), Wait(300), Hold, Write(200, 60), Wait(300), CopyTruncate, Write(9, 9), Wait(300), Kill, Release, Start,
    ]),
    ("compressed while nothing flows", 12, false, &[
        Write(40, 40), Wait(300), Hold, Write(200, 60), Wait(300), Rename, Write(9, 9), Compress(1, Form::Gzip), Wait(300),
        Release,
    ]),
    ("compressed while stopped, after half of it was read", 13, true, &[
        Write(40, 40), Wait(300), Stop, Write(200, 60), Rename, Compress(1, Form::Zstd), Write(9, 9), Start,
    ]),
    ("rotated and compressed at once, again and again", 15, false, &[
        Write(40, 40), Wait(300), Rename, Compress(1, Form::Gzip), Write(40, 40), Wait(300), Rename, Compress(1, Form::Gzip),
        Write(40, 40), Wait(300), Rename, Compress(1, Form::Gzip), Write(40, 40), Wait(300), Rename, Compress(1, Form::Gzip),
    ]),
    ("rotated and compressed a rotation later, again and again", 16, false, &[
        Write(40, 40), Wait(300), Rename, Write(40, 40), Wait(300), Rename, Compress(2, Form::Zstd),
        Write(40, 40), Wait(300), Rename, Compress(2, Form::Zstd), Write(40, 40), Wait(300), Rename, Compress(2, Form::Zstd),
    ]),
    ("rotated and compressed a rotation later, and killed", 14, false, &[
        Write(40, 40), Rename, Write(40, 40), Wait(50), Compress(1, Form::Gzip), Rename, Write(40, 40), Kill,
        Compress(1, Form::Gzip), Rename, Write(9, 9), Start, Wait(300), Kill, Start,
    ]),
];

/// The sequences, with their names.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Case)> {
    KNOWN.iter().map(|(name, seed, banner, ops)| {
        (*name, Case { seed: *seed, banner: *banner, is_strict: true, ops: ops.to_vec() })
    })
}
