//! A chart as SVG: title, legend, plot, one below the other; and the small change of drawing, text above all.

use super::{Chart, axes, legend, marks};

/// Sizes of text in px, and how wide a letter is on average, as a part of that.
pub(super) const TITLE: f32 = 13.0;
pub(super) const TEXT: f32 = 11.0;
const LETTER: f32 = 0.56;

pub(super) const INK: &str = "var(--ink, #14181d)";
pub(super) const SOFT: &str = "var(--soft, #586371)";
pub(super) const HAIR: &str = "var(--hair, #d8dee4)";
pub(super) const EDGE: &str = "var(--edge, #7b8794)";
pub(super) const GROUND: &str = "var(--ground, #ffffff)";

impl Chart {
    /// The chart as SVG, laid out for `width` times `height` px: that large, text has its true size and nothing overlaps.
    /// Its colors follow the page that it is put into; see [`standalone_svg`] for a file.
    pub fn svg(&self, width: f32, height: f32) -> String {
        // `max` also does away with what is no number.
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
                let frame = axes::PlotArea::new(self, ranges, top, [width, height]);
                body += &axes::draw(self, &frame);
                body += &marks::draw(&frame, &self.marks);
            }
        }
        let (title, words) = (escape(&self.title), escape(&self.description));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" font-family="inherit" font-size="{TEXT}"><title>{title}</title><desc>{words}</desc>{body}</svg>"#
        )
    }
}

/// An SVG of [`Chart::svg`] for a file: the page's colors replaced by those of its light theme, on white.
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

/// A line of text in its usual size; `anchor` is the part of it that stands at the point: start, middle or end.
pub(super) fn text([x, y]: [f32; 2], anchor: &str, fill: &str, content: &str) -> String {
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{fill}">{}</text>"#, escape(content))
}

/// The same, readable over whatever lies below.
pub(super) fn label([x, y]: [f32; 2], anchor: &str, content: &str) -> String {
    format!(
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{INK}" stroke="{GROUND}" stroke-width="3" stroke-linejoin="round" paint-order="stroke">{}</text>"#,
        escape(content)
    )
}

/// About how wide text is, in px: no font is asked, so that the layout is the same everywhere.
pub(super) fn wide(text: &str, size: f32) -> f32 {
    text.chars().count() as f32 * size * LETTER
}

/// `text` cut off so that it is at most `width` px wide.
pub(super) fn fit(text: &str, width: f32, size: f32) -> String {
    let letters = (width / (size * LETTER)).max(1.0) as usize;
    if text.chars().count() <= letters {
        return text.into();
    }
    text.chars().take(letters - 1).chain(['…']).collect()
}

/// Lines of at most `width` px, broken at spaces.
fn wrap(text: &str, width: f32, size: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if wide(line, size) + wide(word, size) + size * LETTER <= width => *line += &format!(" {word}"),
            _ => lines.push(fit(word, width, size)),
        }
    }
    lines
}

/// Text as XML takes it; characters that XML has not are left out.
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
