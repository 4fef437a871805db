//! Role: answers. Questions come in as text, by HTTP or on the command line, and go to any [`Store`]; answers go out
//! as JSON, as a page, or as lines on a terminal.
//!
//! Promises: every answer says whether it is complete; every question has a limit of size, of hits, of time and of how
//! many are asked at once; text from logs is only ever shown as text, on the page and on the terminal. The role
//! knows no store but by the trait.
//!
//! [`Store`]: crate::store::Store

mod answer;
mod api;
mod assets;
mod question;
pub mod remote;
pub mod terminal;

pub use api::router;
