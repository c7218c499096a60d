//! Quoted strings with Go's escapes: `"…"`, `'…'`, and raw ones in backticks.

/// The contents of the string at the start of `text` and the bytes it takes, quotes included. On failure the
/// message and how many bytes were looked at.
pub(super) fn unquote(text: &str, quote: char) -> Result<(String, usize), (String, usize)> {
    let body = &text[1..];
    if quote == '`' {
        let Some(end) = body.find('`') else {
            return Err(("unterminated raw string".to_owned(), text.len()));
        };
        return Ok((body[..end].to_owned(), end + 2));
    }
    // Bytes, because \xff and \377 may build characters out of pieces.
    let mut out = Vec::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => {
                let text =
                    String::from_utf8(out).map_err(|_| ("string is not valid UTF-8".to_owned(), at + 2))?;
                return Ok((text, at + 2));
            }
            '\n' => break,
            '\\' => {
                let length = escape(&body[at + 1..], quote, &mut out)
                    .ok_or_else(|| ("unknown escape sequence".to_owned(), at + 3))?;
                for _ in 0..body[at + 1..at + 1 + length].chars().count() {
                    chars.next();
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(("unterminated quoted string".to_owned(), text.len()))
}

/// Reads what follows a backslash; returns how many bytes that was.
fn escape(text: &str, quote: char, out: &mut Vec<u8>) -> Option<usize> {
    let first = text.chars().next()?;
    let simple = match first {
        'a' => Some(7),
        'b' => Some(8),
        'f' => Some(12),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(11),
        '\\' => Some(b'\\'),
        c if c == quote => u8::try_from(c).ok(),
        _ => None,
    };
    if let Some(byte) = simple {
        out.push(byte);
        return Some(1);
    }
    let (skip, digits, radix) = match first {
        '0'..='7' => (0, 3, 8),
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        _ => return None,
    };
    let number = text.get(skip..skip + digits)?;
    if !number.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = u32::from_str_radix(number, radix).ok()?;
    if digits <= 3 {
        out.push(u8::try_from(value).ok()?);
    } else {
        out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(skip + digits)
}
