//! What a source file names: its modules, its imports, and every path in it.

/// A word or a mark of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Mark(char),
}

/// A path as it is written: `crate::wire::packet`, `super::Gap`, `spec::check`.
pub(crate) type Path = Vec<String>;

/// A name that a `use` brings in, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The module inside the file that has the `use`; empty for the file's own.
    pub(crate) inside: Path,
    pub(crate) name: String,
    pub(crate) path: Path,
    /// A `pub use` hands a name on and needs nothing itself.
    pub(crate) is_reexport: bool,
}

/// What a file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// Modules that it declares and that are compiled outside tests.
    pub(crate) modules: Vec<Path>,
    /// Modules that are compiled for tests alone and have files of their own.
    pub(crate) tests: Vec<String>,
    pub(crate) imports: Vec<Import>,
    /// Paths outside of `use`, with the module inside the file where each stands.
    pub(crate) paths: Vec<(Path, Path)>,
    /// Modules of which everything is imported.
    pub(crate) globs: Vec<(Path, Path)>,
}

/// Reads `text`; what is compiled for tests alone is passed over.
pub(crate) fn read(text: &str) -> Source {
    let tokens = tokens(text);
    let mut reader =
        Reader { tokens: &tokens, at: 0, inside: Vec::new(), source: Source::default() };
    reader.items(false);
    reader.source
}

/// Words and marks, without comments and without what is quoted.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut tokens) = (0, Vec::new());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        match c {
            '/' if next == Some('/') => {
                at = chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n);
            }
            '/' if next == Some('*') => at = end_of_comment(&chars, at),
            'r' | 'b' if end_of_raw(&chars, at).is_some() => {
                at = end_of_raw(&chars, at).unwrap_or(chars.len());
            }
            '"' => at = end_of_quoted(&chars, at),
            // A lifetime has no second quote.
            '\'' if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => {
                let from = if next == Some('\\') { at + 3 } else { at + 2 };
                let rest = chars.get(from..).unwrap_or_default();
                at = rest.iter().position(|c| *c == '\'').map_or(chars.len(), |n| from + n + 1);
            }
            ':' if next == Some(':') => {
                tokens.push(Token::Path);
                at += 2;
            }
            c if is_word(c) => {
                let end = chars[at..].iter().position(|c| !is_word(*c)).unwrap_or(chars.len() - at);
                tokens.push(Token::Word(chars[at..at + end].iter().collect()));
                at += end;
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Mark(c));
                }
                at += 1;
            }
        }
    }
    tokens
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from + 2, 1);
    while depth > 0 && at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

fn end_of_quoted(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where a raw string ends that begins at `from`, if one does.
fn end_of_raw(chars: &[char], from: usize) -> Option<usize> {
    if from > 0 && (chars[from - 1].is_alphanumeric() || chars[from - 1] == '_') {
        return None;
    }
    let mut at = from + usize::from(chars[from] == 'b');
    if chars.get(at) != Some(&'r') {
        return None;
    }
    at += 1;
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    at += hashes;
    if chars.get(at) != Some(&'"') {
        return None;
    }
    let is_end = |at: &usize| {
        chars[*at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (at + 1..chars.len()).find(is_end).map(|end| end + 1 + hashes)
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The modules inside the file that are open.
    inside: Path,
    source: Source,
}

impl Reader<'_> {
    fn is_mark(&self, ahead: usize, mark: char) -> bool {
        self.tokens.get(self.at + ahead) == Some(&Token::Mark(mark))
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.tokens.get(self.at + ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Reads up to the brace that closes what is open, or to the end.
    fn items(&mut self, is_block: bool) {
        let mut is_pub = false;
        while self.at < self.tokens.len() {
            if is_block && self.is_mark(0, '}') {
                self.at += 1;
                return;
            }
            if self.is_mark(0, '{') {
                self.at += 1;
                self.items(true);
            } else if self.is_mark(0, '#') && self.is_for_tests() {
                self.skip_item();
            } else if self.word(0) == Some("use") && !self.is_mark(1, '<') {
                self.at += 1;
                self.import(is_pub);
                is_pub = false;
            } else if self.word(0) == Some("mod") && self.word(1).is_some() {
                self.module();
            } else if self.word(0) == Some("pub") {
                is_pub = true;
                self.at += 1;
                if self.is_mark(0, '(') {
                    self.skip_to(')');
                }
            } else if self.word(0).is_some() {
                is_pub = false;
                self.path();
            } else {
                self.at += 1;
            }
        }
    }

    /// Whether an attribute begins here that keeps the next item for tests.
    fn is_for_tests(&self) -> bool {
        let words: Vec<&str> = (1..5).filter_map(|ahead| self.word(ahead)).collect();
        words.starts_with(&["cfg", "test"]) && self.is_mark(1, '[')
    }

    /// Passes over attributes and the item after them.
    fn skip_item(&mut self) {
        if self.is_test_file() {
            // `#[cfg(test)] mod tests;`: the tokens are `# [ cfg ( test ) ] mod tests ;`.
            let name = self.word(8).unwrap_or_default().to_owned();
            self.source.tests.push(name);
        }
        while self.at < self.tokens.len() {
            match &self.tokens[self.at] {
                Token::Mark('[') => self.skip_to(']'),
                Token::Mark('(') => self.skip_to(')'),
                Token::Mark('{') => return self.skip_to('}'),
                Token::Mark(';') => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }

    fn is_test_file(&self) -> bool {
        self.word(7) == Some("mod") && self.is_mark(9, ';')
    }

    /// Passes over what is opened here and closed by `end`.
    fn skip_to(&mut self, end: char) {
        let Some(Token::Mark(open)) = self.tokens.get(self.at).cloned() else { return };
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if *token == Token::Mark(open) {
                depth += 1;
            } else if *token == Token::Mark(end) {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
        }
    }

    fn module(&mut self) {
        let name = self.word(1).unwrap_or_default().to_owned();
        self.at += 2;
        let mut path = self.inside.clone();
        path.push(name.clone());
        if self.is_mark(0, '{') {
            self.at += 1;
            self.source.modules.push(path);
            self.inside.push(name);
            self.items(true);
            self.inside.pop();
        } else if self.is_mark(0, ';') {
            self.source.modules.push(path);
        }
    }

    /// A path that stands outside of `use`.
    fn path(&mut self) {
        let mut path = Vec::new();
        while let Some(word) = self.word(0) {
            path.push(word.to_owned());
            self.at += 1;
            if self.tokens.get(self.at) != Some(&Token::Path) || self.word(1).is_none() {
                break;
            }
            self.at += 1;
        }
        if path.len() > 1 {
            self.source.paths.push((self.inside.clone(), path));
        }
    }

    /// The tree of a `use`, up to its semicolon.
    fn import(&mut self, is_reexport: bool) {
        self.tree(&[], is_reexport);
        while self.at < self.tokens.len() && !self.is_mark(0, ';') {
            self.at += 1;
        }
    }

    fn tree(&mut self, before: &[String], is_reexport: bool) {
        let mut path = before.to_vec();
        loop {
            if self.is_mark(0, '{') {
                self.at += 1;
                while self.at < self.tokens.len() && !self.is_mark(0, '}') {
                    self.tree(&path, is_reexport);
                    if self.is_mark(0, ',') {
                        self.at += 1;
                    }
                }
                self.at += 1;
                return;
            }
            if self.is_mark(0, '*') {
                self.at += 1;
                self.source.globs.push((self.inside.clone(), path));
                return;
            }
            let Some(word) = self.word(0) else { break };
            // `a::{self}` is `a`.
            if word != "self" || path.is_empty() {
                path.push(word.to_owned());
            }
            self.at += 1;
            if self.tokens.get(self.at) != Some(&Token::Path) {
                break;
            }
            self.at += 1;
        }
        let Some(mut name) = path.last().cloned() else {
            // A `use` that this reader does not know: go on behind it.
            self.at += 1;
            return;
        };
        if self.word(0) == Some("as") {
            name = self.word(1).unwrap_or_default().to_owned();
            self.at += 2;
        }
        self.source.imports.push(Import { inside: self.inside.clone(), name, path, is_reexport });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(path: &Path) -> String {
        path.join("::")
    }

    #[test]
    fn comments_and_quotes_name_nothing() {
        let text = r###"
            //! crate::a::b
            /* crate::a::b /* crate::a::c */ */
            const A: &str = "crate::a::b \" crate::a::b";
            const B: &str = r#"crate::a::b " "#;
            const C: char = '"'; // a quote that opens nothing
            fn f<'a>(x: &'a str) -> char { '\'' }
        "###;
        assert_eq!(read(text), Source::default());
    }

    #[test]
    fn a_use_tree_is_read_name_by_name() {
        let text = "pub(crate) use a::{self, b::{C, D as E}, *}; use crate::f;";
        let source = read(text);
        let read: Vec<(String, String, bool)> = source
            .imports
            .iter()
            .map(|i| (i.name.clone(), words(&i.path), i.is_reexport))
            .collect();
        let is = |name: &str, path: &str, reexport| (name.to_owned(), path.to_owned(), reexport);
        let expected = [
            is("a", "a", true),
            is("C", "a::b::C", true),
            is("E", "a::b::D", true),
            is("f", "crate::f", false),
        ];
        assert_eq!(read, expected);
        assert_eq!(source.globs, [(Vec::new(), vec!["a".to_owned()])]);
    }

    #[test]
    fn code_for_tests_is_passed_over() {
        let text = "mod a; #[cfg(test)] mod tests; #[cfg(test)] mod t { use crate::b::C; } \
                    #[cfg(test)] #[allow(x)] fn f(y: [u8; 2]) { crate::d::e() } mod g { mod h {} }";
        let source = read(text);
        assert_eq!(source.modules.iter().map(words).collect::<Vec<_>>(), ["a", "g", "g::h"]);
        assert_eq!(source.tests, ["tests"]);
        assert!(source.imports.is_empty() && source.paths.is_empty());
    }

    #[test]
    fn paths_in_code_are_read() {
        let source = read("fn f() -> crate::a::B { super::c(); D::e::<F>(); impl G + use<'_> }");
        let paths: Vec<String> = source.paths.iter().map(|(_, path)| words(path)).collect();
        assert_eq!(paths, ["crate::a::B", "super::c", "D::e"]);
    }
}
