//! Detects what kind of file the user opened.

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A model in safetensors format.
    Model,
    /// An image.
    Image,
    /// Reference values computed with PyTorch, to check the backend against.
    Fixture,
}

/// Whether a file is a gzip or zip archive, by its first bytes. Archives contain training images.
pub fn is_archive(start: &[u8]) -> bool {
    [&[0x1f, 0x8b, 8][..], b"PK\x03\x04", b"PK\x05\x06"].iter().any(|magic| start.starts_with(magic))
}

/// Detects the kind of a file by its name and its first bytes. A safetensors file starts with a length and JSON; that of a
/// fixture lists the tensor `input.x`.
pub fn detect(name: &str, start: &[u8]) -> FileKind {
    let has_extension = name.to_ascii_lowercase().ends_with(".safetensors");
    let has_header = start.get(5..9) == Some(&[0, 0, 0, b'{']);
    if !has_extension && !has_header {
        return FileKind::Image;
    }
    let input = br#""input.x""#;
    if start.windows(input.len()).any(|window| window == input) { FileKind::Fixture } else { FileKind::Model }
}
