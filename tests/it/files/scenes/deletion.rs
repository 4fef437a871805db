//! Files vanish, and others come in their places.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
};

use super::Scene;

pub async fn deleted_and_made_again(scene: &mut Scene) {
    for _ in 0..5 {
        scene.write("app.log", 300).await;
        scene.delete("app.log").await;
    }
    scene.write("app.log", 100).await;
    scene.stopped().await;
    scene.started().await;
    scene.write("app.log", 100).await;
}

pub async fn deleted_and_made_again_in_the_same_inode(scene: &mut Scene) {
    for round in 1..4 {
        scene.write("app.log", 100).await;
        scene.delivered().await;
        let inode = inode(scene, "app.log");
        scene.delete("app.log").await;
        // The reader may hold the old one for a while; then there is no inode to be used again.
        make_with(scene, inode);
        let banner = scene.banner();
        scene.put("app.log", &banner).await;
        scene.write("app.log", 100 * round).await;
    }
}

pub async fn deleted_and_made_again_in_the_same_inode_while_stopped(scene: &mut Scene) {
    let banner = scene.banner();
    scene.put("app.log", &banner).await;
    scene.write("app.log", 100).await;
    scene.delivered().await;
    scene.stopped().await;
    let inode = inode(scene, "app.log");
    fs::remove_file(scene.path("app.log")).expect("it is there");
    make_with(scene, inode);
    scene.put("app.log", &banner).await;
    scene.write("app.log", 400).await;
    scene.started().await;
    scene.write("app.log", 10).await;
}

fn inode(scene: &Scene, name: &str) -> u64 {
    scene.path(name).metadata().expect("it is there").ino()
}

/// Makes an empty `app.log`, with this inode if the file system gives it to one of the next files.
fn make_with(scene: &Scene, inode: u64) {
    let outside = scene.dir.parent().and_then(|logs| logs.parent()).expect("a site has logs");
    let others: Vec<_> = (0..50).map(|number| outside.join(format!("{}-{number}", scene.name))).collect();
    for path in &others {
        let made = File::create(path).and_then(|file| file.metadata()).expect("the site can be written");
        if made.ino() == inode {
            break;
        }
    }
    let found = others.iter().find(|path| path.metadata().is_ok_and(|file| file.ino() == inode));
    if let Some(path) = found.or(others.first()) {
        fs::rename(path, scene.path("app.log")).expect("the site can be written");
    }
    for path in &others {
        // Those behind the one that was looked for were never made, and one has moved.
        let _ = fs::remove_file(path);
    }
}
