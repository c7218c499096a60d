//! What is wrong with a configuration, and where: file, line, column, the line itself and a suggestion.

use std::path::{Path, PathBuf};

use serde_saphyr::Error as YamlError;
use thiserror::Error;

/// Why a configuration was refused.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a configuration at all.
    #[error("`{}` has {size} bytes, more than the {limit} a configuration may have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A value, a key or the syntax is wrong.
    #[error("{text}")]
    Invalid {
        /// The whole report.
        text: String,
    },
}

impl ConfigError {
    pub(super) fn parse(path: &Path, text: &str, error: YamlError) -> ConfigError {
        let error = error.without_snippet();
        let place = error.location().map(|at| (at.line() as usize, at.column() as usize));
        let (message, hint) = explain(error);
        ConfigError::Invalid { text: report(path, text, place, &message, hint.as_deref()) }
    }

    pub(super) fn invalid(path: &Path, text: &str, place: &[String], message: String) -> ConfigError {
        let line = locate(text, place);
        let message = format!("{}: {message}", dotted(place));
        ConfigError::Invalid { text: report(path, text, line, &message, None) }
    }
}

/// The message in our words, and a hint where one can be given.
fn explain(error: &YamlError) -> (String, Option<String>) {
    match error {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            let hint = match nearest(field, expected) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known keys here: {}", expected.join(", ")),
            };
            (format!("unknown key `{field}`"), Some(hint))
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            let hint = match nearest(variant, expected) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known values: {}", expected.join(", ")),
            };
            (format!("unknown value `{variant}`"), Some(hint))
        }
        YamlError::SerdeMissingField { field, .. } => (format!("the key `{field}` is missing"), None),
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("the key `{key}` stands here a second time"), None)
        }
        other => {
            let text = other.to_string();
            // The library repeats the place in its own words; ours stands in front already.
            let text = text.split(" at line ").next().unwrap_or(&text).trim_end();
            (text.to_owned(), None)
        }
    }
}

/// The candidate nearest to `word`, if it is near enough to be what was meant.
fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let limit = (word.len() / 3).clamp(1, 3);
    let distances = candidates.iter().map(|name| (edit_distance(word, name), *name));
    distances.min().filter(|(distance, _)| *distance <= limit).map(|(_, name)| name)
}

/// Optimal string alignment distance, so that two swapped letters count once (Damerau 1964).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substitution = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitution.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

fn report(
    path: &Path,
    text: &str,
    place: Option<(usize, usize)>,
    message: &str,
    hint: Option<&str>,
) -> String {
    let mut out = match place {
        Some((line, column)) if line > 0 => format!("{}:{line}:{column}: {message}", path.display()),
        _ => format!("{}: {message}", path.display()),
    };
    if let Some((line, column)) = place
        && let Some(content) = line.checked_sub(1).and_then(|index| text.lines().nth(index))
        && !holds_secret(content)
    {
        let number = line.to_string();
        let pad = " ".repeat(number.len());
        let caret = " ".repeat(column.saturating_sub(1));
        out.push_str(&format!("\n {pad} |\n {number} | {content}\n {pad} | {caret}^"));
    }
    if let Some(hint) = hint {
        out.push_str(&format!("\n  hint: {hint}"));
    }
    out
}

/// True for a line that may hold a secret, which an error must not repeat.
fn holds_secret(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["secret", "password", "credentials", "token", "access_key"].iter().any(|word| line.contains(word))
}

/// `scrape_configs[1].job_name`
fn dotted(place: &[String]) -> String {
    let mut out = String::new();
    for part in place {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str(&format!("[{part}]"));
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(part);
        }
    }
    out
}

/// Line and column of the value at `place`, found by reading the YAML a second time as plain nodes.
fn locate(text: &str, place: &[String]) -> Option<(usize, usize)> {
    let mut node: node::Node = serde_saphyr::from_str(text).ok()?;
    let mut found = None;
    for part in place {
        let Some(child) = node.child(part) else { break };
        found = Some((child.line, child.column));
        node = child;
    }
    found
}

/// A YAML tree that remembers where every value stands.
mod node {
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
    use serde_saphyr::Spanned;

    #[derive(Debug, Default)]
    pub(super) struct Node {
        pub(super) line: usize,
        pub(super) column: usize,
        children: Vec<(String, Node)>,
    }

    impl Node {
        /// The child of this name or index.
        pub(super) fn child(self, name: &str) -> Option<Node> {
            self.children.into_iter().find(|(key, _)| key == name).map(|(_, node)| node)
        }

        fn located(spanned: Spanned<Node>) -> Node {
            let line = spanned.referenced.line() as usize;
            let column = spanned.referenced.column() as usize;
            Node { line, column, children: spanned.value.children }
        }
    }

    impl<'de> Deserialize<'de> for Node {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
            deserializer.deserialize_any(NodeVisitor)
        }
    }

    struct NodeVisitor;

    impl<'de> Visitor<'de> for NodeVisitor {
        type Value = Node;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any YAML value")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
            let mut children = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, Spanned<Node>>()? {
                children.push((key, Node::located(value)));
            }
            Ok(Node { children, ..Node::default() })
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
            let mut children = Vec::new();
            while let Some(value) = seq.next_element::<Spanned<Node>>()? {
                children.push((children.len().to_string(), Node::located(value)));
            }
            Ok(Node { children, ..Node::default() })
        }

        fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
            Ok(Node::default())
        }

        fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
            Ok(Node::default())
        }

        fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
            Ok(Node::default())
        }

        fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
            Ok(Node::default())
        }

        fn visit_str<E>(self, _: &str) -> Result<Node, E> {
            Ok(Node::default())
        }

        fn visit_unit<E>(self) -> Result<Node, E> {
            Ok(Node::default())
        }

        fn visit_none<E>(self) -> Result<Node, E> {
            Ok(Node::default())
        }
    }
}
