//! Filling pages in, so that no text becomes markup.

use std::fmt::{self, Display, Write};

/// The template with each `{{name}}` replaced by its text, escaped. What is [`Markup`] is put in as it is.
///
/// Templates are part of the program: a name that nothing is given for shows, and a test sees it.
pub(super) fn fill(template: &str, values: &[(&str, &dyn Fill)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            page.push_str("{{");
            rest = after;
            continue;
        };
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => value.write(&mut page),
            None => page.extend(["{{", name, "}}"]),
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// What can be put into a template.
pub(super) trait Fill {
    fn write(&self, page: &mut String);
}

impl<T: Display> Fill for T {
    fn write(&self, page: &mut String) {
        // Writing to a string does not fail.
        let _ = write!(page, "{}", Escaped(self));
    }
}

/// HTML that this program made.
pub(super) struct Markup(pub(super) String);

impl Fill for Markup {
    fn write(&self, page: &mut String) {
        page.push_str(&self.0);
    }
}

/// Shows text so that HTML takes it for nothing else, inside an element or inside a quoted attribute.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escape(f), "{}", self.0)
    }
}

struct Escape<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let text = "<script>\"&'</script>";
        let filled = fill("<b title=\"{{x}}\">{{x}}</b>", &[("x", &text)]);
        let escaped = "&lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;";
        assert_eq!(filled, format!("<b title=\"{escaped}\">{escaped}</b>"));
    }

    #[test]
    fn a_value_is_no_template() {
        let filled = fill("{{a}} {{b}} {{c}} {{", &[("a", &"{{b}}"), ("b", &Markup("<i>".into()))]);
        assert_eq!(filled, "{{b}} <i> {{c}} {{");
    }
}
