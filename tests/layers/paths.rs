//! Finds the paths by which a Rust source file refers to modules of its own crate.

/// A path to a module or an item of the crate, without `crate`.
#[derive(Debug, PartialEq)]
pub struct Reference {
    /// Starts at 1.
    pub line: usize,
    pub path: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Separator,
    Sign(char),
}

/// The references in `source`, the file of the module `module`.
pub fn references(module: &[String], source: &str) -> Vec<Reference> {
    let tokens = tokens(source);
    let mut scan = Scan { tokens: &tokens, at: 0, scope: Scope::new(module), found: Vec::new() };
    while let Some(token) = scan.token(0) {
        match token {
            Token::Word(word) if word == "use" => {
                scan.at += 1;
                scan.use_tree(&[]);
            }
            Token::Word(word) if word == "mod" => scan.module(),
            Token::Word(word) if is_root(word) && scan.token(1) == Some(&Token::Separator) => scan.inline_path(),
            Token::Sign('{') => {
                scan.scope.depth += 1;
                scan.at += 1;
            }
            Token::Sign('}') => {
                scan.scope.close();
                scan.at += 1;
            }
            _ => scan.at += 1,
        }
    }
    scan.found
}

/// Whether a path that starts with `word` is relative to the crate.
fn is_root(word: &str) -> bool {
    matches!(word, "crate" | "super" | "self")
}

/// The current module, which is nested if the file contains inline modules.
struct Scope {
    module: Vec<String>,
    /// Depth of braces.
    depth: usize,
    /// The depths outside the inline modules that are open.
    inline: Vec<usize>,
}

impl Scope {
    fn new(module: &[String]) -> Self {
        Self { module: module.to_vec(), depth: 0, inline: Vec::new() }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.inline.last() == Some(&self.depth) {
            self.inline.pop();
            self.module.pop();
        }
    }

    /// Resolves `crate`, `super` and `self`. Other paths belong to other crates or to items that were imported.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let mut resolved = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "super" | "self" => self.module.clone(),
            _ => return None,
        };
        for word in path {
            match word.as_str() {
                "crate" | "self" => {}
                "super" => drop(resolved.pop()),
                _ => resolved.push(word.clone()),
            }
        }
        Some(resolved)
    }
}

struct Scan<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    scope: Scope,
    found: Vec<Reference>,
}

impl Scan<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn add(&mut self, path: &[String]) {
        let line = self.tokens[self.at.min(self.tokens.len() - 1)].1;
        if let Some(path) = self.scope.resolve(path) {
            self.found.push(Reference { line, path });
        }
    }

    /// `mod name {` opens an inline module.
    fn module(&mut self) {
        if let (Some(Token::Word(name)), Some(Token::Sign('{'))) = (self.token(1).cloned(), self.token(2)) {
            self.scope.inline.push(self.scope.depth);
            self.scope.module.push(name);
        }
        self.at += 1;
    }

    fn inline_path(&mut self) {
        let mut path = Vec::new();
        while let Some(Token::Word(word)) = self.token(0).cloned() {
            path.push(word);
            if self.token(1) != Some(&Token::Separator) || !matches!(self.token(2), Some(Token::Word(_))) {
                break;
            }
            self.at += 2;
        }
        self.add(&path);
        self.at += 1;
    }

    /// Reads one branch of a `use` declaration, up to the `,`, `}` or `;` behind it.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.token(0).cloned() {
                Some(Token::Word(word)) if word == "as" => self.at += 2,
                Some(Token::Word(word)) => {
                    path.push(word);
                    if self.token(1) != Some(&Token::Separator) {
                        self.add(&path);
                    }
                    self.at += 1;
                }
                Some(Token::Sign('*')) => {
                    self.add(&path);
                    self.at += 1;
                }
                Some(Token::Sign('{')) => {
                    self.at += 1;
                    self.use_branches(&path);
                }
                Some(Token::Separator) => self.at += 1,
                _ => return,
            }
        }
    }

    fn use_branches(&mut self, prefix: &[String]) {
        loop {
            match self.token(0) {
                Some(Token::Sign('}')) | None => {
                    self.at += 1;
                    return;
                }
                Some(Token::Sign(',')) => self.at += 1,
                _ => self.use_tree(prefix),
            }
        }
    }
}

/// The tokens of a source file with their lines, without comments and literals.
fn tokens(source: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| literal(rest));
        let length = if let Some(length) = skipped {
            length
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push((Token::Word(rest[..length].to_owned()), line));
            length
        } else if rest.starts_with("::") {
            tokens.push((Token::Separator, line));
            2
        } else {
            if !first.is_whitespace() {
                tokens.push((Token::Sign(first), line));
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of the comment that `rest` starts with.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then(|| rest.find("*/").map_or(rest.len(), |end| end + 2))
}

/// The length of the string or character literal that `rest` starts with.
fn literal(rest: &str) -> Option<usize> {
    let unprefixed = rest.strip_prefix('b').unwrap_or(rest);
    let prefix = rest.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix + 1 + hashes + 1 + length);
    }
    if let Some(body) = unprefixed.strip_prefix('"') {
        return Some(prefix + 1 + closed_by('"', body)?);
    }
    // A lifetime is not closed after one character.
    let body = unprefixed.strip_prefix('\'')?;
    let is_character = body.starts_with('\\') || body.chars().nth(1) == Some('\'');
    if is_character { Some(prefix + 1 + closed_by('\'', body)?) } else { None }
}

/// The length of `body` up to and including the quote that closes it.
fn closed_by(quote: char, body: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + quote.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Reference, references};

    fn found(module: &str, source: &str) -> Vec<(usize, String)> {
        let module: Vec<String> = module.split("::").map(String::from).collect();
        let text = |Reference { line, path }| (line, path.join("::"));
        references(&module, source).into_iter().map(text).collect()
    }

    #[test]
    fn use_trees_are_expanded() {
        let source = "use std::fs;\npub use crate::{a::{self, B as C},\n    d::*};\nuse super::e;\n";
        let expected = [(2, "a::self"), (2, "a::B"), (3, "d"), (4, "m::e")].map(|(n, p)| (n, p.replace("::self", "")));
        assert_eq!(found("m::n", source), expected);
    }

    #[test]
    fn inline_paths_are_found() {
        let source = "fn f(x: &'static crate::a::B) -> super::c::D {\n    self::e::g::<u8>()\n}\n";
        let expected = [(1, "a::B"), (1, "m::c::D"), (2, "m::n::e::g")].map(|(n, p)| (n, p.to_owned()));
        assert_eq!(found("m::n", source), expected);
    }

    #[test]
    fn comments_and_literals_are_ignored() {
        let source = "//! [`crate::a`]\n/* crate::b */ const A: &str = \"crate::c \\\" crate::d\";\nconst B: &str = r#\"crate::\"e\"#;\n\
                      const C: [char; 2] = ['\"', '\\''];\nuse crate::f;\n";
        assert_eq!(found("m", source), [(5, "f".to_owned())]);
    }

    #[test]
    fn super_in_an_inline_module_is_the_file() {
        let source = "mod inner {\n    use super::super::a;\n    fn f() {}\n}\nuse super::b;\n";
        assert_eq!(found("m::n", source), [(2, "m::a".to_owned()), (5, "m::b".to_owned())]);
    }
}
