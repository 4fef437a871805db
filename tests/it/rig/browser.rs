//! A real browser without a window.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The page at `url` after its scripts ran for `ms` milliseconds of the page's own time: its DOM as text.
/// A picture of it is kept in `target/pages/NAME.png`, for a person to look at.
pub fn open(url: &str, name: &str, profile: &Path) -> String {
    open_tall(url, name, profile, 900)
}

/// As [`open`], with a picture of this height.
pub fn open_tall(url: &str, name: &str, profile: &Path, height: u64) -> String {
    let picture = picture(name);
    std::fs::create_dir_all(picture.parent().expect("it was joined")).expect("the target directory can be written");
    chromium(url, profile, height, &format!("--screenshot={}", picture.display()));
    chromium(url, profile, height, "--dump-dom")
}

/// Where the picture of a page is kept.
pub fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages").join(format!("{name}.png"))
}

fn chromium(url: &str, profile: &Path, height: u64, what: &str) -> String {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--window-size=1280,{height}"))
        .args(["--virtual-time-budget=8000", "--timeout=60000"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args([what, url])
        .output()
        .expect("chromium is installed (Debian package chromium)");
    assert!(output.status.success(), "chromium failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
