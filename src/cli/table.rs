//! Tables for a terminal, with columns as wide as their widest cells.

use std::io::{self, Write};

/// Writes the rows, the columns in `right` to the right. The last column is written as it is.
pub(super) fn write<const N: usize>(table: &[[String; N]], right: &[usize], out: &mut impl Write) -> io::Result<()> {
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in table {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            match column {
                _ if column + 1 == N => writeln!(out, "{cell}")?,
                _ if right.contains(&column) => write!(out, "{cell:>width$}  ")?,
                _ => write!(out, "{cell:<width$}  ")?,
            }
        }
    }
    Ok(())
}

/// A text without what a terminal would take for orders.
pub(super) fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::{plain, write};

    #[test]
    fn columns_are_aligned_and_a_path_gives_a_terminal_no_orders() {
        let table =
            [["a", "1", "22", "end"], ["long", "333", "4", &plain("/x\u{1b}[2J")]].map(|row| row.map(str::to_owned));
        let mut out = Vec::new();
        write(&table, &[1, 2], &mut out).expect("memory takes it");
        let expected = "a       1  22  end\nlong  333   4  /x\\u{1b}[2J\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
