//! Cuts query text into tokens. Comes in: any text; goes out: tokens with byte ranges, or the first error.
//! Keywords are plain identifiers here, for all of them may also be metric names; the parser decides.
//! Vocabulary: Prometheus `promql/parser/lex.go`.

use crate::duration::parse_duration;
use crate::error::{ParseError, Span};
use crate::format::quoted;

mod string;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// Letters, digits, `_` and, outside brackets, `:`.
    Identifier(String),
    /// A number, `Inf` and `NaN` included.
    Number(f64),
    /// A duration with units, in milliseconds.
    Duration(i64),
    /// Contents of a quoted string, unescaped.
    String(String),
    /// Operators and brackets, as written.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

impl TokenKind {
    /// How errors name the token.
    pub(crate) fn describe(&self) -> String {
        match self {
            TokenKind::Identifier(name) => format!("identifier {}", quoted(name)),
            TokenKind::Number(value) => format!("number {}", quoted(&crate::format::float_g(*value))),
            TokenKind::Duration(ms) => {
                format!("duration {}", quoted(&crate::duration::format_duration(*ms)))
            }
            TokenKind::String(text) => format!("string {}", quoted(text)),
            TokenKind::Symbol(symbol) => match *symbol {
                "(" => "left parenthesis".to_owned(),
                ")" => "right parenthesis".to_owned(),
                "{" => "left brace".to_owned(),
                "}" => "right brace".to_owned(),
                "[" => "left bracket".to_owned(),
                "]" => "right bracket".to_owned(),
                symbol => quoted(symbol),
            },
            TokenKind::End => "end of input".to_owned(),
        }
    }
}

/// Symbols, longest first.
const SYMBOLS: [&str; 26] = [
    "==", "!=", "=~", "!~", "<=", ">=", "</", ">/", "+", "-", "*", "/", "%", "^", "=", "<", ">", "@", "(",
    ")", "{", "}", "[", "]", ",", ":",
];

/// All tokens of `query`, the last one [`TokenKind::End`].
pub(crate) fn tokens(query: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { query, position: 0, open: Vec::new() };
    let mut out = Vec::new();
    loop {
        let token = lexer.next_token()?;
        let end = token.kind == TokenKind::End;
        out.push(token);
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    query: &'a str,
    position: usize,
    /// Brackets not yet closed, innermost last.
    open: Vec<(char, usize)>,
}

impl<'a> Lexer<'a> {
    fn next_token(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks();
        let start = self.position;
        let Some(first) = self.rest().chars().next() else {
            if let Some(&(bracket, _)) = self.open.last() {
                let name = match bracket {
                    '(' => "unclosed left parenthesis",
                    '{' => "unexpected end of input inside braces",
                    _ => "unexpected end of input in duration expression",
                };
                return Err(self.error(self.span(start), name));
            }
            return Ok(Token { kind: TokenKind::End, span: self.span(start) });
        };
        let kind = match first {
            '"' | '\'' | '`' => self.string(first)?,
            c if c.is_ascii_digit() => self.number()?,
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            c if c.is_ascii_alphabetic() || c == '_' => self.identifier(),
            ':' if !self.in_brackets() && self.rest()[1..].starts_with(is_name_char) => self.identifier(),
            _ => self.symbol(first)?,
        };
        Ok(Token { kind, span: self.span(start) })
    }

    fn rest(&self) -> &'a str {
        &self.query[self.position..]
    }

    fn span(&self, start: usize) -> Span {
        Span { start, end: self.position }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.query, span, message)
    }

    fn in_brackets(&self) -> bool {
        self.open.iter().any(|(bracket, _)| *bracket == '[')
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.position += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.position += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.position += length;
        &rest[..length]
    }

    fn identifier(&mut self) -> TokenKind {
        let colons = !self.in_brackets();
        let name = self.take_while(|c| is_name_char(c) || (colons && c == ':'));
        match name.to_ascii_lowercase().as_str() {
            "inf" => TokenKind::Number(f64::INFINITY),
            "nan" => TokenKind::Number(f64::NAN),
            _ => TokenKind::Identifier(name.to_owned()),
        }
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol)) else {
            let span = Span { start, end: start + first.len_utf8() };
            return Err(self.error(span, format!("unexpected character: {first:?}")));
        };
        self.position += symbol.len();
        match symbol {
            "(" | "{" | "[" => self.open.push((first, start)),
            ")" | "}" | "]" => self.close(symbol, start)?,
            _ => {}
        }
        Ok(TokenKind::Symbol(symbol))
    }

    fn close(&mut self, symbol: &str, start: usize) -> Result<(), ParseError> {
        let opening = match symbol {
            ")" => '(',
            "}" => '{',
            _ => '[',
        };
        match self.open.last() {
            Some((bracket, _)) if *bracket == opening => {
                self.open.pop();
                Ok(())
            }
            _ => {
                let name = TokenKind::Symbol(match symbol {
                    ")" => ")",
                    "}" => "}",
                    _ => "]",
                })
                .describe();
                Err(self.error(self.span(start), format!("unexpected {name} '{symbol}'")))
            }
        }
    }

    /// A number or a duration. Underscores may stand between digits; hexadecimal starts with `0x`.
    fn number(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let hexadecimal = self.rest().starts_with("0x") || self.rest().starts_with("0X");
        if hexadecimal {
            self.position += 2;
            self.take_while(|c| c.is_ascii_hexdigit() || c == '_');
        } else {
            self.take_while(|c| c.is_ascii_digit() || c == '_');
            if self.rest().starts_with('.') {
                self.position += 1;
                self.take_while(|c| c.is_ascii_digit() || c == '_');
            }
            self.exponent();
        }
        // Whatever letters follow belong to it: a unit, or nonsense that must not pass silently.
        self.take_while(is_name_char);
        let text = &self.query[start..self.position];
        let value = if hexadecimal { parse_hexadecimal(text) } else { parse_number(text) };
        if let Some(value) = value {
            return Ok(TokenKind::Number(value));
        }
        match parse_duration(text) {
            Some(ms) => Ok(TokenKind::Duration(ms)),
            None => {
                let message = format!("bad number or duration syntax: {}", quoted(text));
                Err(self.error(self.span(start), message))
            }
        }
    }

    fn exponent(&mut self) {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(['e', 'E']) else { return };
        let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            self.position += rest.len() - digits.len();
            self.take_while(|c| c.is_ascii_digit() || c == '_');
        }
    }

    fn string(&mut self, quote: char) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let (text, length) = string::unquote(self.rest(), quote).map_err(|(message, at)| {
            self.error(Span { start, end: (start + at).min(self.query.len()) }, message)
        })?;
        self.position += length;
        Ok(TokenKind::String(text))
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A decimal number; underscores only between digits.
fn parse_number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digit = |index: Option<usize>| index.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
    let misplaced =
        (0..bytes.len()).any(|i| bytes[i] == b'_' && !(digit(i.checked_sub(1)) && digit(i.checked_add(1))));
    if misplaced || !bytes.iter().all(|b| b.is_ascii_digit() || b"._eE+-".contains(b)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn parse_hexadecimal(text: &str) -> Option<f64> {
    let digits = text[2..].replace('_', "");
    #[expect(clippy::cast_precision_loss, reason = "the language's numbers are floats")]
    u64::from_str_radix(&digits, 16).ok().map(|value| value as f64)
}

#[cfg(test)]
mod tests;
