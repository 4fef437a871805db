//! `logdrive tasks edit`: the value in an editor, and back.

use std::{fs, io::Write, process::Command};

use anyhow::{Context, ensure};

use super::write::Pen;

/// Opens the key's value in an editor, and writes what comes of it. What is refused stays in its file.
pub(super) async fn edit(pen: &Pen<'_>, key: &str) -> anyhow::Result<()> {
    let before = pen.etcd.get(key).await?;
    let path = std::env::temp_dir().join(format!("logdrive-tasks-{}.json", std::process::id()));
    // Never a file that somebody else has laid there.
    let mut file = fs::File::create_new(&path).with_context(|| format!("can't make {}", path.display()))?;
    file.write_all(before.as_ref().map_or(b"[]\n", |entry| entry.value.as_slice()))?;
    drop(file);
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok());
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    // An editor may have arguments of its own, as in `code --wait`.
    let status = Command::new("sh").args(["-c", &format!("{editor} \"$0\"")]).arg(&path).status();
    let status = status.with_context(|| format!("can't start {editor}; set EDITOR"))?;
    ensure!(status.success(), "{editor} ended with {status}; nothing is written, and {} is left", path.display());
    let value = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
    let written = pen.write(key, before.as_ref(), Some(&value), "edit", false).await;
    written.with_context(|| format!("what you wrote is left in {}", path.display()))?;
    fs::remove_file(&path)?;
    Ok(())
}
