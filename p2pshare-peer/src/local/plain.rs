//! What is wrong with what was sent, in words for people: which field, and what it must be.

use serde::de::DeserializeOwned;

/// What a parser says it expected, and what that is in plain words. Whole numbers are told by their size.
const EXPECTED: [(&str, &str); 6] = [
    ("a string", "a text"),
    ("a borrowed string", "a text"),
    ("a boolean", "true or false"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("struct ", "an object"),
];

/// Reads JSON; tells what is wrong with it.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        of_json(&path, error.inner())
    })?;
    reader.end().map_err(|_| "there is something behind the JSON".to_owned())?;
    Ok(value)
}

/// The same of JSON that was read.
pub(super) fn value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        of_json(&path, error.inner())
    })
}

fn of_json(path: &str, error: &serde_json::Error) -> String {
    if !error.is_data() {
        return "it is not JSON".to_owned();
    }
    let text = error.to_string();
    // Where in the text it is means nothing to somebody who has filled in a form.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    of_field(path, text)
}

/// What a query or a path is told to be wrong with, without the words around it.
pub(super) fn of_parts(text: &str) -> String {
    let known = ["Failed to deserialize query string: ", "Invalid URL: "];
    known.iter().find_map(|known| text.strip_prefix(known)).unwrap_or(text).to_owned()
}

fn of_field(path: &str, text: &str) -> String {
    let named = |rest: &str| rest.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = text.strip_prefix("missing field ") {
        return format!("{} is missing", named(rest));
    }
    if let Some(rest) = text.strip_prefix("unknown field ") {
        return format!("there is no field {}", named(rest));
    }
    let whole = matches!(path, "." | "");
    let subject = if whole { "it" } else { path };
    let is_wrong = text.starts_with("invalid type: ") || text.starts_with("invalid value: ");
    match text.split_once(", expected ").filter(|_| is_wrong) {
        Some((_, expected)) => format!("{subject} must be {}", plain(expected)),
        // What our own types say is plain already.
        None if whole => text.to_owned(),
        None => format!("{path}: {text}"),
    }
}

fn plain(expected: &str) -> String {
    let number = expected.strip_prefix(['u', 'i']).and_then(|bits| bits.parse::<u32>().ok());
    match (number, expected.as_bytes().first()) {
        (Some(bits), Some(b'u')) if bits < 64 => {
            format!("a whole number from 0 to {}", (1_u64 << bits) - 1)
        }
        (Some(_), Some(b'u')) => "a whole number, 0 or more".to_owned(),
        (Some(_), _) => "a whole number".to_owned(),
        (None, _) => EXPECTED
            .iter()
            .find(|(known, _)| expected.starts_with(known))
            .map_or(expected, |(_, plain)| plain)
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::identity::Username;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Asked {
        user: Username,
        uses: u16,
        more: Option<Vec<String>>,
    }

    #[test]
    fn the_field_is_named_and_what_it_must_be() {
        for (sent, told) in [
            (r#"{"uses": 1}"#, "user is missing"),
            (r#"{"user": "bob", "uses": 1, "x": 1}"#, "there is no field x"),
            (r#"{"user": "bob", "uses": 70000}"#, "uses must be a whole number from 0 to 65535"),
            (r#"{"user": "bob", "uses": "1"}"#, "uses must be a whole number from 0 to 65535"),
            (r#"{"user": 3, "uses": 1}"#, "user must be a text"),
            (r#"{"user": "bob", "uses": 1, "more": "x"}"#, "more must be a list"),
            (r#"{"user": "bob", "uses": 1, "more": [1]}"#, "more[0] must be a text"),
            ("3", "it must be an object"),
            ("{", "it is not JSON"),
            ("", "it is not JSON"),
            (r#"{"user": "bob", "uses": 1} 2"#, "there is something behind the JSON"),
        ] {
            assert_eq!(json::<Asked>(sent.as_bytes()).unwrap_err(), told, "{sent}");
        }
        let name = json::<Asked>(br#"{"user": "A b", "uses": 1}"#).unwrap_err();
        assert!(name.starts_with("user: ") && !name.contains("line"), "{name}");
    }
}
