//! A flame graph: each function as wide as its share of the samples, above those that called it, as a picture without scripts.

use std::{collections::BTreeMap, fmt::Write};

use super::Profile;

const WIDTH: f64 = 1200.0;
const ROW: f64 = 17.0;
/// About how wide a letter is.
const LETTER: f64 = 6.6;
/// Narrower ones are not drawn.
const WIDTH_MIN: f64 = 0.3;

/// A function with those that it called.
#[derive(Default)]
struct Node<'a> {
    samples: u64,
    called: BTreeMap<&'a str, Node<'a>>,
}

impl Node<'_> {
    fn depth(&self) -> usize {
        1 + self.called.values().map(Node::depth).max().unwrap_or(0)
    }
}

pub(super) fn svg(profile: &Profile) -> String {
    let mut root = Node::default();
    for stack in &profile.stacks {
        root.samples += stack.samples;
        let mut node = &mut root;
        for function in &stack.functions {
            node = node.called.entry(function).or_default();
            node.samples += stack.samples;
        }
    }
    let height = ROW * root.depth() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"monospace\" font-size=\"11\">\n"
    );
    let all = root.samples.max(1);
    draw(&mut out, "all", &root, 0.0, height - ROW, WIDTH / all as f64, all);
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, name: &str, node: &Node<'_>, x: f64, y: f64, scale: f64, all: u64) {
    let width = node.samples as f64 * scale;
    if width < WIDTH_MIN {
        return;
    }
    let (samples, share) = (node.samples, node.samples as f64 * 100.0 / all as f64);
    let hue = name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 50;
    let room = (width / LETTER) as usize;
    let shown: String = if room < 3 { String::new() } else { name.chars().take(room).collect() };
    // Writing to a string can't fail.
    let _ = writeln!(
        out,
        "<g><title>{} ({samples} samples, {share:.1}%)</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" \
         fill=\"hsl({hue},80%,65%)\"/><text x=\"{:.1}\" y=\"{}\">{}</text></g>",
        escaped(name),
        ROW - 1.0,
        x + 2.0,
        y + 12.0,
        escaped(&shown),
    );
    let mut at = x;
    for (name, called) in &node.called {
        draw(out, name, called, at, y - ROW, scale, all);
        at += called.samples as f64 * scale;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
