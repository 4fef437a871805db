//! Lines without end, over-long ones, odd names.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use super::Scene;

pub async fn a_line_goes_on_after_it_was_sent_unended(scene: &mut Scene) {
    for _ in 0..3 {
        scene.write("app.log", 3).await;
        let line = scene.line(60);
        scene.put("app.log", &line[..30]).await;
        scene.pause(2_000).await;
        scene.put("app.log", &line[30..]).await;
        scene.pause(1_000).await;
        scene.put("app.log", b"\n").await;
    }
    let line = scene.line(10);
    scene.put("app.log", &line).await;
}

pub async fn a_line_goes_on_while_stopped(scene: &mut Scene) {
    let (at_once, late) = (scene.line(60), scene.line(60));
    scene.put("app.log", &at_once[..40]).await;
    scene.put("late.log", &late[..40]).await;
    scene.delivered_but(&[&at_once, &late]).await;
    scene.stopped().await;
    scene.put("app.log", &[&at_once[40..], b"\n"].concat()).await;
    scene.write("app.log", 10).await;
    scene.started().await;
    scene.put("late.log", &[&late[40..], b"\n"].concat()).await;
    scene.write("late.log", 10).await;
}

pub async fn longer_than_the_limit(scene: &mut Scene) {
    for bytes in [60_000, 65_535, 65_536, 70_000, 200_000] {
        let line = scene.line(bytes);
        scene.put("app.log", &[&line[..], b"\n"].concat()).await;
        scene.write("app.log", 5).await;
    }
    let line = scene.line(300_000);
    scene.put("app.log", &line[..150_000]).await;
    scene.stopped().await;
    scene.put("app.log", &line[150_000..]).await;
    scene.put("app.log", b"\n").await;
    scene.started().await;
}

pub async fn one_file_under_many_names(scene: &mut Scene) {
    let odd = OsStr::from_bytes(b"odd-\xff\xfe.log");
    scene.write("app.log", 100).await;
    fs::hard_link(scene.path("app.log"), scene.dir.join(odd)).expect("the site can be written");
    symlink(scene.path("app.log"), scene.path("link.log")).expect("the site can be written");
    symlink(&scene.dir, scene.path("circle")).expect("the site can be written");
    scene.write("link.log", 100).await;
    fs::remove_file(scene.path("app.log")).expect("it is there");
    scene.stopped().await;
    scene.rename("circle", "round");
    scene.started().await;
    let text = scene.lines(100);
    let mut file = fs::OpenOptions::new().append(true).open(scene.dir.join(odd)).expect("it is there");
    std::io::Write::write_all(&mut file, &text).expect("the site can be written");
}

pub async fn directories_that_come_and_go(scene: &mut Scene) {
    for round in 0..3 {
        let directory = scene.path(&format!("deep/er-{round}/still"));
        fs::create_dir_all(&directory).expect("the site can be written");
        scene.write(&format!("deep/er-{round}/still/app.log"), 100).await;
    }
    scene.delivered().await;
    fs::remove_dir_all(scene.path("deep/er-0")).expect("it is there");
    scene.rename("deep/er-1", "deep/moved");
    scene.write("deep/moved/still/app.log", 100).await;
    scene.stopped().await;
    scene.rename("deep", "elsewhere");
    scene.started().await;
    scene.write("elsewhere/moved/still/app.log", 100).await;
}
