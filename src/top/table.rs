//! A table as data: columns with units, rows with values; sorted, filtered and laid out for a width.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value as Json};

use super::units::{self, Unit};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Column {
    /// Its head for a person.
    pub(super) head: &'static str,
    /// Its name for a program.
    pub(super) key: &'static str,
    pub(super) unit: Unit,
    /// Where there is little room, columns with less weight are left out first.
    pub(super) weight: u8,
}

impl Column {
    pub(super) const fn new(head: &'static str, key: &'static str, unit: Unit, weight: u8) -> Self {
        Self { head, key, unit, weight }
    }
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Number(f64),
    /// Not known, or of no meaning here.
    Nothing,
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        number.filter(|number| number.is_finite()).map_or(Self::Nothing, Self::Number)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How a row looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Calm,
    /// Something is to be looked at.
    Uneasy,
    /// Something is wrong.
    Bad,
}

/// A row, with a cell for each column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    pub(super) mood: Mood,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

/// How a table is ordered: by which column, and whether the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: usize,
    pub(super) reversed: bool,
}

impl Table {
    /// Puts the rows in order: numbers from the largest on, texts by the alphabet, what is not known last.
    pub(super) fn sort(&mut self, order: Order) {
        let at = order.column.min(self.columns.len().saturating_sub(1));
        self.rows.sort_by(|one, other| {
            let ordering = match (one.cells.get(at), other.cells.get(at)) {
                (Some(Cell::Number(one)), Some(Cell::Number(other))) => turned(other.total_cmp(one), order.reversed),
                (Some(Cell::Text(one)), Some(Cell::Text(other))) => turned(one.cmp(other), order.reversed),
                (one, other) => is_nothing(one).cmp(&is_nothing(other)),
            };
            // So that rows which are alike stay where they are.
            ordering.then_with(|| name(one).cmp(name(other)))
        });
    }

    /// Keeps the rows of which some text contains `words`, whatever their case.
    pub(super) fn filter(&mut self, words: &str) {
        let words = words.to_lowercase();
        self.rows.retain(|row| {
            row.cells.iter().any(|cell| matches!(cell, Cell::Text(text) if text.to_lowercase().contains(&words)))
        });
    }

    /// The head and the rows, each as a line of at most `width` columns; none means as many as it takes.
    pub(super) fn lines(&self, width: Option<usize>) -> (String, Vec<String>) {
        let texts: Vec<Vec<String>> = self.rows.iter().map(|row| self.texts(row)).collect();
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                let longest = texts.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
                longest.max(self.columns[at].head.chars().count())
            })
            .collect();
        let shown = match width {
            Some(width) => self.fit(&mut widths, width),
            None => (0..widths.len()).collect(),
        };
        let line = |cells: &mut dyn FnMut(usize) -> String| {
            let cells: Vec<String> =
                shown.iter().map(|at| padded(&cells(*at), widths[*at], self.columns[*at].unit)).collect();
            cells.join("  ").trim_end().to_owned()
        };
        let head = line(&mut |at| self.columns[at].head.to_owned());
        (head, texts.iter().map(|row| line(&mut |at| row[at].clone())).collect())
    }

    /// The rows as objects for a program, with plain numbers in base units.
    pub(super) fn json(&self) -> Json {
        let value = |cell: &Cell| match cell {
            Cell::Text(text) => Json::String(text.clone()),
            Cell::Number(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Cell::Nothing => Json::Null,
        };
        let row = |row: &Row| {
            let fields = self.columns.iter().zip(&row.cells);
            Json::Object(fields.map(|(column, cell)| (column.key.to_owned(), value(cell))).collect::<Map<_, _>>())
        };
        Json::Array(self.rows.iter().map(row).collect())
    }

    fn texts(&self, row: &Row) -> Vec<String> {
        let text = |(column, cell): (&Column, &Cell)| match cell {
            Cell::Text(text) => plain(text),
            Cell::Number(number) => units::text(*number, column.unit),
            Cell::Nothing => "-".to_owned(),
        };
        self.columns.iter().zip(&row.cells).map(text).collect()
    }

    /// Which columns fit: those of little weight go first, and then the first column gets shorter.
    fn fit(&self, widths: &mut [usize], width: usize) -> Vec<usize> {
        /// The first column says what a row is about; with less it doesn't.
        const FIRST_MIN: usize = 12;
        let mut shown: Vec<usize> = (0..widths.len()).collect();
        loop {
            let others: usize = shown.iter().skip(1).map(|at| widths[*at] + 2).sum();
            let first = widths.first().copied().unwrap_or(0);
            if others + first.min(FIRST_MIN) <= width || shown.len() <= 1 {
                if let Some(first) = widths.first_mut() {
                    *first = (*first).min(width.saturating_sub(others));
                }
                return shown;
            }
            let lightest = shown
                .iter()
                .enumerate()
                .skip(1)
                .min_by_key(|(at, column)| (self.columns[**column].weight, std::cmp::Reverse(*at)));
            if let Some(at) = lightest.map(|(at, _)| at) {
                shown.remove(at);
            }
        }
    }
}

fn turned(ordering: Ordering, reversed: bool) -> Ordering {
    if reversed { ordering.reverse() } else { ordering }
}

fn is_nothing(cell: Option<&Cell>) -> bool {
    cell.is_none_or(|cell| *cell == Cell::Nothing)
}

/// What a row is about.
fn name(row: &Row) -> &str {
    row.cells.iter().find_map(|cell| if let Cell::Text(text) = cell { Some(text.as_str()) } else { None }).unwrap_or("")
}

/// A text without what a terminal would take for orders.
fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Texts stand to the left and numbers to the right. Of a text that is too long its end is kept, which tells paths apart.
fn padded(text: &str, width: usize, unit: Unit) -> String {
    let count = text.chars().count();
    match unit {
        Unit::Text if count > width => {
            let kept: String = text.chars().skip(count + 1 - width.max(1)).collect();
            format!("…{kept}")
        }
        Unit::Text => format!("{text:<width$}"),
        _ => format!("{text:>width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, Mood, Order, Row, Table, Unit};

    fn table() -> Table {
        let row = |name: &str, rate: Option<f64>, behind: f64| Row {
            cells: vec![name.into(), rate.into(), Cell::Number(behind)],
            mood: Mood::Calm,
        };
        Table {
            columns: vec![
                Column::new("FILE", "file", Unit::Text, 9),
                Column::new("BYTES/S", "bytes_per_second", Unit::Bytes, 1),
                Column::new("BEHIND", "behind_bytes", Unit::Bytes, 5),
            ],
            rows: vec![
                row("/var/log/a.log", Some(2048.0), 0.0),
                row("/var/log/nginx/access.log", None, 1e9),
                row("/b\u{1b}[2J", Some(4096.0), 5.0),
            ],
        }
    }

    #[test]
    fn columns_are_aligned_and_leave_when_there_is_no_room_until_the_name_gets_short() {
        let (head, rows) = table().lines(None);
        assert_eq!(head, "FILE                       BYTES/S   BEHIND");
        assert_eq!(rows[0], "/var/log/a.log             2.0 KiB      0 B");
        assert_eq!(rows[1], "/var/log/nginx/access.log        -  954 MiB");
        assert!(rows[2].starts_with("/b\\u{1b}[2J "), "a path gives a terminal no orders: {}", rows[2]);
        let (head, rows) = table().lines(Some(24));
        assert_eq!((head.as_str(), rows[1].as_str()), ("FILE              BEHIND", "…inx/access.log  954 MiB"));
        assert!(table().lines(Some(5)).1.iter().all(|row| row.chars().count() <= 5));
        assert!(table().lines(Some(0)).1.iter().all(|row| row.chars().count() <= 1));
    }

    #[test]
    fn the_largest_number_comes_first_and_what_is_not_known_last_either_way() {
        let order = |column, reversed| {
            let mut table = table();
            table.sort(Order { column, reversed });
            table.rows.iter().map(|row| super::name(row).chars().take(10).collect::<String>()).collect::<Vec<_>>()
        };
        assert_eq!(order(1, false), ["/b\u{1b}[2J", "/var/log/a", "/var/log/n"]);
        assert_eq!(order(1, true), ["/var/log/a", "/b\u{1b}[2J", "/var/log/n"]);
        assert_eq!(order(0, false), ["/b\u{1b}[2J", "/var/log/a", "/var/log/n"]);
        assert_eq!(order(9, false)[0], "/var/log/n", "beyond the last column stands the last");
        let mut filtered = table();
        filtered.filter("NGINX");
        assert_eq!(filtered.rows.len(), 1);
        let json = filtered.json().to_string();
        assert!(
            json.contains(r#""bytes_per_second":null"#) && json.contains(r#""behind_bytes":1000000000.0"#),
            "{json}"
        );
    }
}
