//! Several files' tables as one: tables are joined key by key, lists of tables one behind the other.
//!
//! Anything else may stand in one file only, so the order of files decides nothing but the order of such lists.

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{check::join, problem::Problem};

/// Adds to `table` what one more file says. `path` is where the table stands: empty at the top.
pub(super) fn merge<'t>(table: &mut DeTable<'t>, more: DeTable<'t>, path: &str, problems: &mut Vec<Problem>) {
    for (key, value) in more {
        let name = key.get_ref().clone();
        let first = table.get_key_value(name.as_ref()).map(|(key, _)| key.span());
        let (Some(first), Some(there)) = (first, table.get_mut(name.as_ref())) else {
            table.insert(key, value);
            continue;
        };
        let path = join(path, &name);
        match (there.get_mut(), value.into_inner()) {
            (DeValue::Table(there), DeValue::Table(more)) => merge(there, more, &path, problems),
            (DeValue::Array(there), DeValue::Array(more)) if are_tables(there) && are_tables(&more) => {
                more.into_iter().for_each(|one| there.push(one));
            }
            _ => problems.push(
                Problem::new(Some(key.span()), format!("{path} is set in another file, too"))
                    .other(first, "this is the other one")
                    .hint("leave it out of one of the two"),
            ),
        }
    }
}

fn are_tables(array: &DeArray<'_>) -> bool {
    array.iter().map(Spanned::get_ref).all(DeValue::is_table)
}
