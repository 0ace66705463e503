//! Version tokens as text: in HTTP headers, in JSON and on the command line.
//!
//! A token is opaque bytes to everyone but its resolver. As text it is base64 of the URL-safe
//! alphabet without padding, so it needs no quoting in a shell, a header or a query.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

/// Text that no token was ever shown as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version token: expected what an earlier answer showed as its context")]
pub struct BadToken(pub String);

pub fn encode(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(token)
}

/// # Errors
/// If the text is not base64. Whether the bytes mean anything, only the resolver can tell.
pub fn decode(text: &str) -> Result<Bytes, BadToken> {
    URL_SAFE_NO_PAD.decode(text).map(Bytes::from).map_err(|_| BadToken(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_as_text_and_other_text_is_refused() {
        let token = Bytes::from_static(&[0, 255, 62, 63, 7]);
        assert_eq!(decode(&encode(&token)), Ok(token));
        assert_eq!(decode("a b"), Err(BadToken("a b".to_string())));
    }
}
