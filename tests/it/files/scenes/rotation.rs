//! Files are renamed, and others come in their places.

use std::io::Write;

use super::Scene;

pub async fn renamed_and_made_again_while_it_is_written(scene: &mut Scene) {
    for round in 0..6 {
        scene.write("app.log", 600).await;
        scene.rename("app.log", &format!("app.log.{round}"));
    }
    scene.stopped().await;
    scene.started().await;
    scene.write("app.log", 100).await;
}

pub async fn renamed_three_times_between_two_looks(scene: &mut Scene) {
    for _ in 0..3 {
        let (text, banner) = (scene.lines(300), scene.banner());
        for kept in (1..9).rev().filter(|kept| scene.path(&format!("app.log.{kept}")).exists()).collect::<Vec<_>>() {
            scene.rename(&format!("app.log.{kept}"), &format!("app.log.{}", kept + 1));
        }
        let mut file = scene.open("app.log");
        file.write_all(&banner).and_then(|()| file.write_all(&text)).expect("the site can be written");
        scene.rename("app.log", "app.log.1");
    }
}

pub async fn renamed_three_times_while_stopped(scene: &mut Scene) {
    scene.write("app.log", 400).await;
    scene.stopped().await;
    scene.write("app.log", 50).await;
    for number in [1, 2, 3] {
        scene.rename("app.log", &format!("app.log.{number}"));
        let banner = scene.banner();
        scene.put("app.log", &banner).await;
        scene.write("app.log", 50).await;
    }
    scene.started().await;
    scene.write("app.log", 50).await;
}

pub async fn written_after_it_was_renamed(scene: &mut Scene) {
    let mut old = scene.open("app.log");
    for round in 0..3 {
        scene.write("app.log", 100).await;
        scene.rename("app.log", &format!("app.log.{round}"));
        scene.write("app.log", 100).await;
        let text = scene.lines(100);
        old.write_all(&text).expect("the site can be written");
        scene.pause(300).await;
        old = scene.open("app.log");
    }
    scene.stopped().await;
    let text = scene.lines(100);
    scene.rename("app.log", "app.log.3");
    old.write_all(&text).expect("the site can be written");
    scene.started().await;
    let text = scene.lines(100);
    old.write_all(&text).expect("the site can be written");
}

pub async fn moved_into_another_directory(scene: &mut Scene) {
    std::fs::create_dir(scene.path("old")).expect("the site can be written");
    for round in 0..4 {
        scene.write("app.log", 200).await;
        scene.rename("app.log", &format!("old/{round}"));
    }
    scene.stopped().await;
    scene.write("app.log", 50).await;
    scene.rename("app.log", "old/4");
    scene.started().await;
    scene.write("old/4", 50).await;
}

pub async fn the_oldest_deleted_at_each_rotation(scene: &mut Scene) {
    for round in 0..6 {
        scene.write("app.log", 300).await;
        if round >= 2 {
            scene.delete("app.log.2").await;
        }
        if round >= 1 {
            scene.rename("app.log.1", "app.log.2");
        }
        scene.rename("app.log", "app.log.1");
    }
}
