//! Image URLs: parsed from what the user drops, pastes or types (`text/uri-list`, HTML, plain text), and decoded if they
//! are `data:` URLs.

use crate::app::domain::percent_decoding::percent_decoded;

/// Maximum length of an image name, in characters.
const MAX_NAME_LENGTH: usize = 60;

/// The URL of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageUrl {
    /// A `data:` URL, which contains the image.
    Data(String),
    /// An `http:` or `https:` URL.
    Web(String),
}

impl ImageUrl {
    /// Parses a URL; `None` if it is not a URL of one of these schemes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let starts = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        match text {
            _ if starts("data:") => Some(Self::Data(text.into())),
            _ if text.contains(char::is_whitespace) => None,
            _ if starts("//") && text.len() > 2 => Some(Self::Web(format!("https:{text}"))),
            _ if (starts("https://") || starts("http://")) && !text.ends_with("//") => Some(Self::Web(text.into())),
            _ => None,
        }
    }

    /// Parses what the user typed. `https://` may be omitted.
    pub fn parse_typed(text: &str) -> Option<Self> {
        let host = text.trim().split(['/', '?', '#']).next().unwrap_or_default();
        let bare = || (host.contains('.') && !host.contains(':')).then(|| format!("https://{}", text.trim()));
        Self::parse(text).or_else(|| Self::parse(&bare()?))
    }

    /// A name for the image: the last segment of the path.
    pub fn name(&self) -> String {
        let Self::Web(url) = self else { return "image from a data URL".into() };
        let (_, rest) = url.split_once("//").unwrap_or_default();
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(rest);
        String::from_utf8_lossy(&percent_decoded(last)).chars().take(MAX_NAME_LENGTH).collect()
    }
}

/// The image URLs in a drop or in the clipboard, the most specific first. If the user drags an image inside a link, the
/// list contains the link and the HTML contains the image, so there may be several.
pub fn image_urls(uri_list: &str, html: &str, plain: &str) -> Vec<ImageUrl> {
    let listed = uri_list.lines().filter(|line| !line.starts_with('#')).find_map(ImageUrl::parse);
    let embedded = first_image(html).and_then(|source| ImageUrl::parse(&source));
    let mut found: Vec<ImageUrl> = Vec::new();
    for url in [listed, embedded, ImageUrl::parse(plain)].into_iter().flatten() {
        if !found.contains(&url) {
            found.push(url);
        }
    }
    found
}

/// The `src` of the first `<img>`.
fn first_image(html: &str) -> Option<String> {
    // Lowercase ASCII has the same length, so indices are valid in both.
    let lower = html.to_ascii_lowercase();
    let mut from = 0;
    while let Some(found) = lower[from..].find("<img") {
        from += found + "<img".len();
        if lower[from..].starts_with(|c: char| c.is_whitespace() || c == '/')
            && let Some(source) = attribute(&html[from..], "src")
        {
            return Some(source);
        }
    }
    None
}

/// The value of an attribute of a tag. `rest` starts behind the name of the tag.
fn attribute(rest: &str, name: &str) -> Option<String> {
    let mut rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    while !rest.is_empty() && !rest.starts_with('>') {
        let end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c)).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end.max(rest.chars().next().map_or(0, char::len_utf8)));
        let mut value = "";
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            (value, rest) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => after[1..].split_once(quote)?,
                _ => after.split_at(after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len())),
            };
        }
        if key.eq_ignore_ascii_case(name) {
            return Some(without_entities(value));
        }
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    }
    None
}

/// Replaces the HTML entities that occur in URLs, such as `&amp;`.
fn without_entities(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out += &rest[..at];
        rest = &rest[at..];
        let entity = rest[1..].split_once(';').and_then(|(entity, after)| {
            let number = |digits: &str, base| u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
            let c = match entity {
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                "lt" => '<',
                "gt" => '>',
                _ => match entity.strip_prefix('#')? {
                    hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16)?,
                    digits => number(digits, 10)?,
                },
            };
            Some((c, after))
        });
        match entity {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// Decodes a `data:` URL.
///
/// # Errors
/// Returns a sentence for the user if the URL is incomplete or not valid base64.
pub fn decode_data_url(url: &str) -> Result<Vec<u8>, String> {
    let damaged = || "The data URL is damaged or incomplete. Copy it again.".to_owned();
    let (head, body) = url.split_once(',').ok_or_else(damaged)?;
    let bytes = percent_decoded(body);
    if head.trim_end().to_ascii_lowercase().ends_with(";base64") {
        base64(&bytes).ok_or_else(damaged)
    } else {
        Ok(bytes)
    }
}

/// Decodes base64 (RFC 4648) with either alphabet. White space and missing padding are accepted.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    let end = text.iter().rposition(|b| *b != b'=' && !b.is_ascii_whitespace()).map_or(0, |last| last + 1);
    for &byte in text[..end].iter().filter(|b| !b.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    // Six remaining bits are an incomplete byte.
    (held < 6).then_some(bytes)
}

/// A sentence for the user: why an image could not be fetched, and what to do instead. `why` is the answer of
/// `public/fetch.html`.
pub fn fetch_error(url: &str, why: &str) -> String {
    let short: String = url.chars().take(MAX_NAME_LENGTH).collect();
    let dots = if short.len() < url.len() { "…" } else { "" };
    let instead = "Save the image and drop the file here, or copy the image and paste it.";
    let problem = match why.split_once(' ').unwrap_or((why, "")) {
        ("status", status) => format!("the site returned status {status}. Check the URL"),
        ("type", "") => "the file has no content type, so it is not known to be an image".into(),
        ("type", kind) => {
            format!("the file is {kind}, not an image. Open the image itself and copy its URL")
        }
        ("size", limit) => format!("it is larger than {limit} MB"),
        ("frame", _) => "the frame that fetches images did not load. Check the connection and try again".into(),
        ("time", _) => "the site did not answer in time".into(),
        _ => "the site does not allow other pages to read its images, or cannot be reached".into(),
    };
    format!("{short}{dots} could not be fetched: {problem}. {instead}")
}
