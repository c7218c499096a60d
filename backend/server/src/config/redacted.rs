//! The configuration file for other eyes. Comes in: the file. Goes out: YAML with the same settings and
//! `<secret>` in place of everything that looks like one. What cannot be parsed is not shown at all.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

/// A key with one of these in its name has a secret for its value, unless it names a file.
const SECRET_KEYS: [&str; 10] = [
    "secret",
    "password",
    "passphrase",
    "token",
    "credential",
    "authorization",
    "api_key",
    "api-key",
    "apikey",
    "cookie",
];
const STRUCK_OUT: &str = "<secret>";

/// The settings in the file at `path`.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).map(|text| redact(&text)).unwrap_or_default()
}

fn redact(text: &str) -> String {
    let Ok(mut value) = serde_saphyr::from_str::<Value>(text) else { return String::new() };
    strike_out(&mut value, false);
    let mut out = String::new();
    write_yaml(&mut out, &value, 0);
    out
}

fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|part| key.contains(part)) && !key.ends_with("_file")
}

fn strike_out(value: &mut Value, secret: bool) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries.iter_mut() {
                strike_out(value, secret || is_secret_key(key));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strike_out(item, secret)),
        Value::Null => {}
        value if secret => *value = STRUCK_OUT.into(),
        Value::String(text) => *text = without_user(text),
        Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A URL without user and password.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{STRUCK_OUT}@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

fn write_yaml(out: &mut String, value: &Value, level: usize) {
    let indent = "  ".repeat(level);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let _ = write!(out, "{indent}{}:", scalar(&key.as_str().into()));
                write_nested(out, value, level);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{indent}-");
                write_nested(out, item, level);
            }
        }
        value => {
            let _ = writeln!(out, "{indent}{}", scalar(value));
        }
    }
}

fn write_nested(out: &mut String, value: &Value, level: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            write_yaml(out, value, level + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write_yaml(out, value, level + 1);
        }
        value => {
            let _ = writeln!(out, " {}", scalar(value));
        }
    }
}

/// Plain where nothing else could be meant, else quoted as in JSON, which YAML reads too.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(plain)
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if word { text.clone() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_and_the_rest_stays_the_same() {
        let text = "listen: 127.0.0.1:3000\nstore:\n  url: s3://bucket/x\n  secret_access_key: hush1\n  \
                    secret_access_key_file: /run/key\nedge:\n  keys:\n    - id: edge\n      secret: \"hush2\"\n\
                    scrape_configs:\n  - job_name: a\n    basic_auth: {username: u, password: hush3}\n    \
                    static_configs: [{targets: ['http://me:hush4@host:1/metrics?x=@']}]\n    \
                    authorization:\n      type: Bearer\n      credentials: hush5\n";
        let shown = redact(text);
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("secret_access_key_file: /run/key"), "{shown}");
        assert!(shown.contains("http://<secret>@host:1/metrics?x=@"), "{shown}");
        let again: Value = serde_saphyr::from_str(&shown).expect("YAML");
        assert_eq!(again["store"]["url"], "s3://bucket/x");
        assert_eq!(again["scrape_configs"][0]["job_name"], "a");
        assert_eq!(redact("a: [unclosed"), "");
    }
}
