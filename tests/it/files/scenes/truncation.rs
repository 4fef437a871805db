//! Files shrink, with a copy left or without.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use super::Scene;

/// Makes a file empty, as `copytruncate` and `: > file` do.
pub fn truncate(scene: &Scene, name: &str) {
    let file = OpenOptions::new().write(true).open(scene.path(name)).expect("it is there");
    file.set_len(0).expect("the site can be written");
}

pub async fn copied_and_truncated_with_the_same_beginning_each_time(scene: &mut Scene) {
    for round in 0..4 {
        let banner = scene.banner();
        scene.put("app.log", &banner).await;
        scene.write("app.log", 300).await;
        // Such copies are not collected, so what is truncated has to be delivered.
        scene.delivered().await;
        copy_and_truncate(scene, &format!("app.log.{round}.left"));
    }
    scene.write("app.log", 300).await;
}

fn copy_and_truncate(scene: &Scene, copy: &str) {
    fs::copy(scene.path("app.log"), scene.path(copy)).expect("the site can be written");
    truncate(scene, "app.log");
}

pub async fn copied_and_truncated_under_load_with_the_same_beginning_each_time(scene: &mut Scene) {
    for round in 0..5 {
        let banner = scene.banner();
        scene.put("app.log", &banner).await;
        scene.write("app.log", 400).await;
        copy_and_truncate(scene, &format!("app.log.{round}"));
    }
    scene.write("app.log", 300).await;
}

pub async fn copied_and_truncated_while_stopped(scene: &mut Scene) {
    let banner = scene.banner();
    scene.put("app.log", &banner).await;
    scene.write("app.log", 200).await;
    scene.delivered().await;
    scene.stopped().await;
    scene.write("app.log", 100).await;
    copy_and_truncate(scene, "app.log.1");
    scene.put("app.log", &banner).await;
    scene.write("app.log", 500).await;
    scene.started().await;
    scene.write("app.log", 10).await;
}

pub async fn truncated_and_written_longer_at_once(scene: &mut Scene) {
    for round in 1..5 {
        let banner = scene.banner();
        scene.put("app.log", &banner).await;
        scene.write("app.log", 100 * round).await;
        scene.delivered().await;
        truncate(scene, "app.log");
        let text = scene.lines(100 * round + 150);
        let mut file = scene.open("app.log");
        file.write_all(&banner).and_then(|()| file.write_all(&text)).expect("the site can be written");
        scene.delivered().await;
        truncate(scene, "app.log");
    }
}

pub async fn truncated_while_stopped_and_written_longer(scene: &mut Scene) {
    let banner = scene.banner();
    scene.put("app.log", &banner).await;
    scene.write("app.log", 100).await;
    scene.write("other.log", 100).await;
    scene.delivered().await;
    scene.stopped().await;
    truncate(scene, "app.log");
    scene.put("app.log", &banner).await;
    scene.write("app.log", 500).await;
    truncate(scene, "other.log");
    scene.started().await;
    scene.write("other.log", 20).await;
}
