//! Cutting names and queries into words.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A word is cut off after this many characters.
pub const MAX_WORD_CHARS: usize = 64;

/// The words of a text: compatibility forms made plain (NFKC), case folded, diacritics removed, cut at everything that
/// is neither letter nor digit and at the borders between letters and digits.
///
/// ```
/// # use p2pshare_core::index::search::words;
/// let found: Vec<_> = words("Café_del-Mar (2004) №7 Straße.FLAC").collect();
/// assert_eq!(found, ["cafe", "del", "mar", "2004", "no", "7", "strasse", "flac"]);
/// ```
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = fold(text);
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = 0;
    let mut digits = false;
    for c in folded.chars() {
        let ends = !c.is_alphanumeric() || (chars > 0 && c.is_numeric() != digits);
        if ends && chars > 0 {
            words.push(std::mem::take(&mut word));
            chars = 0;
        }
        if c.is_alphanumeric() {
            digits = c.is_numeric();
            chars += 1;
            if chars <= MAX_WORD_CHARS {
                word.push(c);
            }
        }
    }
    if chars > 0 {
        words.push(word);
    }
    words.into_iter()
}

/// Folding can make new compatibility or combining forms, so it is repeated until nothing changes; the bound is for a
/// future Unicode that would never settle.
fn fold(text: &str) -> String {
    let mut current = fold_once(text);
    for _ in 0..3 {
        let next = fold_once(&current);
        if next == current {
            break;
        }
        current = next;
    }
    current
}

fn fold_once(text: &str) -> String {
    let compatible: String = text.nfkc().collect();
    caseless::default_case_fold_str(&compatible)
        .nfd()
        .filter(|c| !is_combining_mark(*c))
        .nfc()
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn letters_and_digits_part() {
        assert_eq!(cut("S01E02x264"), ["s", "01", "e", "02", "x", "264"]);
        assert_eq!(cut("  --  "), Vec::<String>::new());
    }

    #[test]
    fn scripts_fold_alike() {
        assert_eq!(cut("ＦＵＬＬwidth"), ["fullwidth"]);
        assert_eq!(cut("Ἀθῆναι"), cut("αθηναι"));
        assert_eq!(cut("naïve"), cut("nai\u{308}ve"));
        assert_eq!(cut("ﬁle"), ["file"]);
    }

    #[test]
    fn a_word_is_bounded() {
        assert_eq!(cut(&"a".repeat(500)), ["a".repeat(MAX_WORD_CHARS)]);
    }

    proptest! {
        #[test]
        fn cutting_again_changes_nothing(text in any::<String>()) {
            for word in words(&text) {
                prop_assert_eq!(cut(&word), vec![word]);
            }
        }
    }
}
