//! The scenes: what happens to files.

mod compressed; // files are compressed after some of them was read
mod deletion; // files vanish, and others come in their places
mod lines; // lines without end, over-long ones, odd names
mod logrotate; // what people use for it
mod rotation; // files are renamed
mod truncation; // files shrink, with a copy left or without

use std::{path::Path, pin::Pin};

use super::scene::{Scene, Shared};

/// A scene that is being played.
type Played = Pin<Box<dyn Future<Output = Scene>>>;

/// A scene's name, and what happens in it.
pub type Play = (&'static str, fn(Scene) -> Played);

macro_rules! scenes {
    ($($room:ident::$name:ident,)*) => {
        const ALL: &[Play] = &[$((stringify!($name), |mut scene| Box::pin(async move {
            $room::$name(&mut scene).await;
            scene.leave().await;
            scene
        }))),*];
    };
}

scenes! {
    rotation::renamed_and_made_again_while_it_is_written,
    rotation::renamed_three_times_between_two_looks,
    rotation::renamed_three_times_while_stopped,
    rotation::written_after_it_was_renamed,
    rotation::moved_into_another_directory,
    rotation::the_oldest_deleted_at_each_rotation,
    truncation::copied_and_truncated_with_the_same_beginning_each_time,
    truncation::truncated_and_written_longer_at_once,
    truncation::truncated_while_stopped_and_written_longer,
    deletion::deleted_and_made_again,
    deletion::deleted_and_made_again_in_the_same_inode,
    deletion::deleted_and_made_again_in_the_same_inode_while_stopped,
    lines::a_line_goes_on_after_it_was_sent_unended,
    lines::a_line_goes_on_while_stopped,
    lines::longer_than_the_limit,
    lines::one_file_under_many_names,
    lines::directories_that_come_and_go,
    logrotate::by_renaming,
    logrotate::by_renaming_with_dates,
    truncation::copied_and_truncated_under_load_with_the_same_beginning_each_time,
    truncation::copied_and_truncated_while_stopped,
    logrotate::by_renaming_and_compressing,
    logrotate::by_renaming_and_compressing_the_next_time,
    logrotate::by_copying_and_truncating,
    logrotate::by_copying_truncating_and_compressing,
    compressed::compressed_while_it_is_read,
    compressed::compressed_while_stopped_after_some_of_it_was_read,
}

/// All scenes, or with `IT_SCENES` those whose names contain it.
pub fn chosen() -> Vec<Play> {
    let wanted = std::env::var("IT_SCENES").unwrap_or_default();
    ALL.iter().filter(|(name, _)| name.contains(&wanted)).copied().collect()
}

/// Plays them at the same time.
pub async fn play(chosen: Vec<Play>, logs: &Path, seed: u64, shared: Shared) -> Vec<Scene> {
    let scenes = (seed..).zip(chosen).map(|(seed, (name, play))| play(Scene::new(name, logs, seed, shared.clone())));
    futures::future::join_all(scenes.collect::<Vec<_>>()).await
}
