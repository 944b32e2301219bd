//! Charts as SVG: title, legend and plot, one below the other; helpers for text.

use super::{Chart, axes, legend, marks};

/// Font size of the title in px.
pub(super) const TITLE: f32 = 13.0;
/// Font size of all other text in px.
pub(super) const TEXT: f32 = 11.0;
/// Average width of a letter, relative to the font size.
const LETTER: f32 = 0.56;

pub(super) const INK: &str = "var(--ink, #14181d)";
pub(super) const SOFT: &str = "var(--soft, #586371)";
pub(super) const HAIR: &str = "var(--hair, #d8dee4)";
pub(super) const EDGE: &str = "var(--edge, #7b8794)";
pub(super) const GROUND: &str = "var(--ground, #ffffff)";

impl Chart {
    /// The chart as SVG for an area of `width` times `height` px. Its colors are those of the page; see [`standalone_svg`] for a
    /// file.
    pub fn svg(&self, width: f32, height: f32) -> String {
        // `max` also replaces NaN.
        let (width, height) = (width.max(160.0), height.max(120.0));
        let mut top = 0.0;
        let mut body = String::new();
        for line in wrap(&self.title, width, TITLE * 1.15) {
            top += 18.0;
            body += &format!(
                r#"<text x="0" y="{}" font-size="{TITLE}" font-weight="600" fill="{INK}">{}</text>"#,
                top - 4.0,
                escape(&line)
            );
        }
        match self.ranges() {
            None => {
                let (x, y) = (width / 2.0, (top + height) / 2.0);
                body += &text([x, y], "middle", SOFT, "no data");
            }
            Some(ranges) => {
                body += &legend::draw(self, width, &mut top);
                let area = axes::PlotArea::new(self, ranges, top, [width, height]);
                body += &axes::draw(self, &area);
                body += &marks::draw(&area, &self.marks);
            }
        }
        let (title, words) = (escape(&self.title), escape(&self.description));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" font-family="inherit" font-size="{TEXT}"><title>{title}</title><desc>{words}</desc>{body}</svg>"#
        )
    }
}

/// Converts an SVG of [`Chart::svg`] for a file: on white, with the colors of the light theme.
pub fn standalone_svg(svg: &str) -> String {
    let mut parts = svg.split("\"var(--");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(')').unwrap_or((part, ""));
        out += &format!("\"{}{rest}", name.split_once(", ").map_or(name, |n| n.1));
    }
    out.replacen("\"inherit\"", "\"system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif\"", 1).replacen(
        "</desc>",
        "</desc><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
        1,
    )
}

/// A line of text. `anchor` is the part of the text at the point: start, middle or end.
pub(super) fn text([x, y]: [f32; 2], anchor: &str, fill: &str, content: &str) -> String {
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{fill}">{}</text>"#, escape(content))
}

/// A line of text with an outline, readable on any background.
pub(super) fn label([x, y]: [f32; 2], anchor: &str, content: &str) -> String {
    format!(
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{INK}" stroke="{GROUND}" stroke-width="3" stroke-linejoin="round" paint-order="stroke">{}</text>"#,
        escape(content)
    )
}

/// The estimated width of text in px. Fonts are not measured, so that the layout is the same everywhere.
pub(super) fn text_width(text: &str, size: f32) -> f32 {
    text.chars().count() as f32 * size * LETTER
}

/// Truncates text to at most `width` px.
pub(super) fn truncated(text: &str, width: f32, size: f32) -> String {
    let letters = (width / (size * LETTER)).max(1.0) as usize;
    if text.chars().count() <= letters {
        return text.into();
    }
    text.chars().take(letters - 1).chain(['…']).collect()
}

/// Wraps text at spaces into lines of at most `width` px.
fn wrap(text: &str, width: f32, size: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(word, size) + size * LETTER <= width => {
                *line += &format!(" {word}")
            }
            _ => lines.push(truncated(word, width, size)),
        }
    }
    lines
}

/// Escapes text for XML and removes characters that XML does not allow.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() && !"\t\n\r".contains(c) => {}
            c => out.push(c),
        }
    }
    out
}
