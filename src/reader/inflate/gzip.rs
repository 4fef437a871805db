//! gzip (RFC 1952), member after member, as bytes come.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Damage, Step};

/// Where the decoder stands in a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a member, or behind the last one, where zeros may follow up to the file's end.
    Between,
    /// In the first ten bytes of a member; so many were met.
    Fixed(usize),
    /// In the length of the extra field; so many of its bytes were met.
    ExtraLength(usize),
    /// So many bytes of the extra field are left.
    Extra(usize),
    Name,
    Comment,
    /// So many bytes of the header's checksum are left.
    HeaderCrc(usize),
    Body,
    /// In checksum and length of the text; so many of their bytes were met.
    Trailer(usize),
}

const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// Whether a file that begins like this is a gzip file: magic, deflate, and no flag that isn't defined.
pub(super) fn is_gzip(head: &[u8]) -> bool {
    head.len() >= 4 && head.starts_with(&[0x1f, 0x8b, 8]) && head[3] & 0xe0 == 0
}

/// A decoder; it holds 32 KiB of window and no more, whatever the input is.
pub(super) struct Gzip {
    at: At,
    /// The bytes of the fixed header, or of the trailer, met so far.
    fixed: [u8; 10],
    body: Decompress,
    crc: Crc,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { at: At::Between, fixed: [0; 10], body: Decompress::new(false), crc: Crc::new() }
    }

    /// Whether the file may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.at == At::Between
    }

    /// Makes progress with `input` and `text`; none means that more of one of them is needed.
    pub(super) fn step(&mut self, input: &[u8], text: &mut [u8]) -> Result<Step, Damage> {
        if self.at == At::Body {
            return self.inflate(input, text);
        }
        let mut taken = 0;
        while taken < input.len() && self.at != At::Body {
            taken += self.frame(&input[taken..])?;
        }
        Ok(Step { taken, given: 0 })
    }

    /// Takes what of `input` belongs to one piece of what is around the body.
    fn frame(&mut self, input: &[u8]) -> Result<usize, Damage> {
        let first = input[0];
        let taken = match self.at {
            At::Between if first == 0 => 1,
            At::Between => {
                self.at = At::Fixed(0);
                0
            }
            At::Fixed(met) => {
                self.fixed[met] = first;
                if met < 3 && first != [0x1f, 0x8b, 8][met] || met == 3 && first & 0xe0 != 0 {
                    return Err(Damage("what follows is no gzip member"));
                }
                self.at = if met < 9 { At::Fixed(met + 1) } else { self.behind_fixed() };
                1
            }
            At::ExtraLength(met) => {
                self.fixed[met] = first;
                let length = usize::from(u16::from_le_bytes([self.fixed[0], self.fixed[1]]));
                self.at = match (met, length) {
                    (0, _) => At::ExtraLength(1),
                    (_, 0) => self.behind_extra(),
                    _ => At::Extra(length),
                };
                1
            }
            At::Extra(left) => {
                let taken = left.min(input.len());
                self.at = if taken < left { At::Extra(left - taken) } else { self.behind_extra() };
                taken
            }
            At::Name | At::Comment => {
                if first == 0 {
                    self.at = if self.at == At::Name { self.behind_name() } else { self.behind_comment() };
                }
                1
            }
            At::HeaderCrc(left) => {
                self.at = if left > 1 { At::HeaderCrc(left - 1) } else { At::Body };
                1
            }
            At::Trailer(met) => {
                self.fixed[met] = first;
                self.at = if met < 7 { At::Trailer(met + 1) } else { self.behind_member()? };
                1
            }
            At::Body => 0,
        };
        Ok(taken)
    }

    fn flag(&self, flag: u8) -> bool {
        // The extra field's length is put over the first two bytes of the header; the flags are the fourth.
        self.fixed[3] & flag != 0
    }

    fn behind_fixed(&self) -> At {
        if self.flag(HAS_EXTRA) { At::ExtraLength(0) } else { self.behind_extra() }
    }

    fn behind_extra(&self) -> At {
        if self.flag(HAS_NAME) { At::Name } else { self.behind_name() }
    }

    fn behind_name(&self) -> At {
        if self.flag(HAS_COMMENT) { At::Comment } else { self.behind_comment() }
    }

    fn behind_comment(&self) -> At {
        if self.flag(HAS_HEADER_CRC) { At::HeaderCrc(2) } else { At::Body }
    }

    /// Compares checksum and length with those of the text, and begins anew.
    fn behind_member(&mut self) -> Result<At, Damage> {
        let number = |from: usize| {
            let bytes = &self.fixed[from..from + 4];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        if number(0) != self.crc.sum() || number(4) != self.crc.amount() {
            return Err(Damage("the text does not match the checksum behind it"));
        }
        self.crc.reset();
        self.body.reset(false);
        Ok(At::Between)
    }

    fn inflate(&mut self, input: &[u8], text: &mut [u8]) -> Result<Step, Damage> {
        let (before_in, before_out) = (self.body.total_in(), self.body.total_out());
        let status = self
            .body
            .decompress(input, text, FlushDecompress::None)
            .map_err(|_| Damage("the compressed bytes are not valid"))?;
        // Neither is more than the length of a slice.
        let taken = (self.body.total_in() - before_in) as usize;
        let given = (self.body.total_out() - before_out) as usize;
        self.crc.update(&text[..given]);
        if status == Status::StreamEnd {
            self.at = At::Trailer(0);
        }
        Ok(Step { taken, given })
    }
}
