//! Where things stand in what was written: the place of a setting, and places that are moved.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

/// Where a value stands that a dotted path names; the nearest thing around it, if it isn't written itself.
pub(super) fn locate(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    // The names of librdkafka's settings have dots themselves.
    if let Some(value) = table.get(path) {
        return Some(value.span());
    }
    let (name, rest) = path.split_once('.')?;
    let value = table.get(name)?;
    let inside = match value.get_ref() {
        DeValue::Table(table) => locate(table, rest),
        DeValue::Array(array) => locate_in(array, rest),
        _ => None,
    };
    Some(inside.unwrap_or_else(|| value.span()))
}

/// The same in a list, where a path begins with an index.
fn locate_in(array: &DeArray<'_>, path: &str) -> Option<Range<usize>> {
    let (index, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = array.get(index.parse::<usize>().ok()?)?;
    let inside = value.get_ref().as_table().and_then(|table| locate(table, rest));
    Some(inside.unwrap_or_else(|| value.span()))
}

/// The table with all its places as `to` says.
pub(super) fn moved<'v>(table: DeTable<'v>, to: &impl Fn(Range<usize>) -> Range<usize>) -> DeTable<'v> {
    let entries = table.into_iter();
    entries
        .map(|(key, value)| {
            let place = to(key.span());
            (Spanned::new(place, key.into_inner()), moved_value(value, to))
        })
        .collect()
}

/// The value with its place, and all places in it, as `to` says.
pub(super) fn moved_value<'v>(
    value: Spanned<DeValue<'v>>,
    to: &impl Fn(Range<usize>) -> Range<usize>,
) -> Spanned<DeValue<'v>> {
    let place = to(value.span());
    let value = match value.into_inner() {
        DeValue::Array(array) => DeValue::Array(array.into_iter().map(|one| moved_value(one, to)).collect()),
        DeValue::Table(table) => DeValue::Table(moved(table, to)),
        other => other,
    };
    Spanned::new(place, value)
}
