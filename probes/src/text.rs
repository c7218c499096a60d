//! Small helpers for text that came from elsewhere.

/// The longest start of `text` that has at most `bytes_max` bytes and does not cut a character.
pub(crate) fn clip(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// A URL without user, password, query and fragment: what may be stored of an address a server redirected to.
pub(crate) fn bare_url(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) => {
            parsed.set_query(None);
            parsed.set_fragment(None);
            // Fails only for URLs that cannot have a user, which then have none.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.into()
        }
        Err(_) => clip(url.split(['?', '#']).next().unwrap_or_default(), 256).to_owned(),
    }
}
