//! Text that came from elsewhere: how it is shown safely, and how types with a text form are read and written.

use std::fmt::{self, Display, Formatter, Write};

/// Shows `text` on a terminal without letting it play tricks.
///
/// Control characters, line separators, marks that turn the direction of writing and characters without width are
/// written as escapes such as `\n` and `\u{202e}`; everything else is written as it is.
pub fn visible(text: &str) -> impl Display + '_ {
    Visible(text)
}

struct Visible<'a>(&'a str);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' | '\r' | '\t' => write!(f, "{}", c.escape_default())?,
                c if is_deceptive(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// True for C0, DEL, C1 and the two Unicode line separators.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_deceptive(c: char) -> bool {
    is_control(c)
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Reads and writes a type through its text form: `Serialize` by `Display`, `Deserialize` by `FromStr`.
macro_rules! serde_as_text {
    ($ty:ty) => {
        impl serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $ty {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

/// Describes a type with a text form to OpenAPI: a string of at most `$max` characters with a pattern, a description
/// and an example.
#[cfg(feature = "openapi")]
macro_rules! schema_as_text {
    ($ty:ty, $max:expr, $pattern:expr, $description:expr, $example:expr) => {
        impl utoipa::PartialSchema for $ty {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .max_length(Some($max))
                    .pattern(Some($pattern))
                    .description(Some($description))
                    .examples([$example])
                    .into()
            }
        }

        impl utoipa::ToSchema for $ty {}
    };
}
#[cfg(feature = "openapi")]
pub(crate) use schema_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_shown_as_it_is() {
        for text in ["", "a b/c.txt", "žluťoučký kůň", "文件 🎉", "C:\\x"] {
            assert_eq!(visible(text).to_string(), text);
        }
    }

    #[test]
    fn tricks_become_escapes() {
        assert_eq!(visible("a\u{1b}[31m").to_string(), "a\\u{1b}[31m");
        assert_eq!(visible("one\ntwo\r").to_string(), "one\\ntwo\\r");
        assert_eq!(visible("photo\u{202e}gpj.exe").to_string(), "photo\\u{202e}gpj.exe");
        assert_eq!(visible("a\u{200b}b\u{2066}\u{9b}").to_string(), "a\\u{200b}b\\u{2066}\\u{9b}");
    }
}
