//! Files are compressed after some of them was read.

use std::process::Command;

use super::Scene;

pub async fn compressed_while_it_is_read(scene: &mut Scene) {
    for round in 0..3 {
        scene.write("app.log", 2_000).await;
        let name = format!("app.log.{round}");
        scene.rename("app.log", &name);
        compress(scene, if round % 2 == 0 { &["gzip"] } else { &["zstd", "-q", "--rm"] }, &name);
    }
    scene.write("app.log", 100).await;
}

pub async fn compressed_while_stopped_after_some_of_it_was_read(scene: &mut Scene) {
    let programs: [&[&str]; 2] = [&["gzip"], &["zstd", "-q", "--rm"]];
    for name in ["a.log", "b.log"] {
        let banner = scene.banner();
        scene.put(name, &banner).await;
        scene.write(name, 300).await;
    }
    scene.delivered().await;
    scene.stopped().await;
    for (name, program) in ["a.log", "b.log"].iter().zip(programs) {
        scene.write(name, 200).await;
        scene.rename(name, &format!("{name}.1"));
        compress(scene, program, &format!("{name}.1"));
        scene.write(name, 50).await;
    }
    scene.started().await;
    scene.write("a.log", 50).await;
}

fn compress(scene: &Scene, program: &[&str], name: &str) {
    let done = Command::new(program[0]).args(&program[1..]).arg(scene.path(name)).status();
    assert!(done.is_ok_and(|status| status.success()), "{program:?} {name}");
}
