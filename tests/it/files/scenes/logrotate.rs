//! What people use to rotate: the real `logrotate`.

use std::{process::Command, time::Duration};

use super::Scene;

pub async fn by_renaming(scene: &mut Scene) {
    rotate_often(scene, "create\n").await;
}

pub async fn by_renaming_with_dates(scene: &mut Scene) {
    rotate_often(scene, "create\ndateext\ndateformat -%Y%m%d-%s\n").await;
}

pub async fn by_renaming_and_compressing(scene: &mut Scene) {
    rotate_often(scene, "create\ncompress\n").await;
}

pub async fn by_renaming_and_compressing_the_next_time(scene: &mut Scene) {
    rotate_often(scene, "create\ncompress\ndelaycompress\n").await;
}

pub async fn by_copying_and_truncating(scene: &mut Scene) {
    rotate_often(scene, "copytruncate\n").await;
}

pub async fn by_copying_truncating_and_compressing(scene: &mut Scene) {
    rotate_often(scene, "copytruncate\ncompress\ndateext\ndateformat -%Y%m%d-%s\n").await;
}

/// Writes and rotates, while somebody reads and while nobody does.
async fn rotate_often(scene: &mut Scene, how: &str) {
    for _ in 0..4 {
        scene.write("app.log", 300).await;
        rotate(scene, how);
        // Names of rotated files hold the second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    scene.write("app.log", 300).await;
    scene.stopped().await;
    rotate(scene, how);
    scene.write("app.log", 50).await;
    scene.started().await;
    scene.write("app.log", 50).await;
}

fn rotate(scene: &Scene, how: &str) {
    let outside = scene.dir.parent().and_then(|logs| logs.parent()).expect("a site has logs");
    let (config, state) = (outside.join(format!("{}.conf", scene.name)), outside.join(format!("{}.state", scene.name)));
    let log = scene.path("app.log");
    let text = format!("\"{}\" {{\nrotate 20\nmissingok\nsu root root\n{how}}}\n", log.display());
    std::fs::write(&config, text).expect("the site can be written");
    let output = Command::new("logrotate").args(["--force", "--state"]).arg(&state).arg(&config).output();
    let output = output.expect("scripts/needs brings logrotate");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
