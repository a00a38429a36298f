//! Schemas: in a few words, in full, and by example.

use serde_json::{Map, Value};

use super::{prose, text, write as put};
use crate::http::pages::template::Escaped;

/// Schemas inside schemas that are written out in an example.
const DEPTH: u32 = 8;

/// All schemas that have a name.
pub(super) fn all(document: &Value) -> String {
    let mut html = String::new();
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let name = Escaped(name);
        put(
            &mut html,
            format_args!(
                "<article class=\"schema\" id=\"schema-{name}\"><h3><code>{name}</code> \
                 <a class=\"anchor\" href=\"#schema-{name}\" aria-label=\"Link to {name}\">#</a></h3>"
            ),
        );
        if let Some(about) = schema["description"].as_str() {
            put(&mut html, format_args!("<p>{}</p>", prose(about)));
        }
        write(&mut html, schema);
        html.push_str("</article>");
    }
    html
}

/// What a schema allows, properties and choices included.
fn write(html: &mut String, schema: &Value) {
    for choice in choices(schema) {
        html.push_str("<div class=\"choice\">");
        if let Some(about) = choice["description"].as_str() {
            put(html, format_args!("<p>{}</p>", prose(about)));
        }
        write_properties(html, choice);
        if properties(choice).is_none() {
            put(html, format_args!("<p>{}</p>", kind(choice)));
        }
        html.push_str("</div>");
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        write(html, part);
    }
    write_properties(html, schema);
    let is_whole =
        !choices(schema).is_empty() || schema["allOf"].is_array() || properties(schema).is_some();
    if !is_whole {
        put(html, format_args!("<p>{}</p>", kind(schema)));
    }
}

fn write_properties(html: &mut String, schema: &Value) {
    let Some(properties) = properties(schema) else {
        return;
    };
    let required = schema["required"].as_array();
    html.push_str("<dl class=\"properties\">");
    for (name, property) in properties {
        let must = required.is_some_and(|required| required.iter().any(|one| one == name));
        let must = if must { "" } else { " <span class=\"may\">optional</span>" };
        put(
            html,
            format_args!(
                "<dt><code>{}</code>{must} <span class=\"kind\">{}</span></dt>",
                Escaped(name),
                kind(property)
            ),
        );
        put(html, format_args!("<dd>{}", prose(text(&property["description"]))));
        if self::properties(property).is_some() {
            write_properties(html, property);
        }
        html.push_str("</dd>");
    }
    html.push_str("</dl>");
}

/// A schema in a few words, as HTML.
pub(super) fn kind(schema: &Value) -> String {
    let named = reference(schema).map(|name| {
        let name = Escaped(name);
        format!("<a href=\"#schema-{name}\"><code>{name}</code></a>")
    });
    if let Some(named) = named {
        return named;
    }
    let several = choices(schema);
    if !several.is_empty() {
        let is_value = |one: &&&Value| one["type"] != "null";
        let kinds: Vec<String> = several.iter().filter(is_value).map(|one| kind(one)).collect();
        return kinds.join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().map(|value| format!("<code>{}</code>", Escaped(value)));
        return values.collect::<Vec<_>>().join(" or ");
    }
    if let Some([part]) = schema["allOf"].as_array().map(Vec::as_slice) {
        return kind(part);
    }
    let plain = match simple(schema) {
        "array" => format!("list of {}", kind(&schema["items"])),
        "string" => "text".to_owned(),
        "" => "any JSON".to_owned(),
        other => Escaped(other).to_string(),
    };
    format!("{plain}{}", bounds(schema))
}

/// What more a schema asks of a value.
fn bounds(schema: &Value) -> String {
    let number = |name: &str| schema[name].as_i64();
    let mut bounds = Vec::new();
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => bounds.push(format!("{least} to {most}")),
        // That it is not negative goes without saying.
        (Some(0) | None, None) => {}
        (Some(least), None) => bounds.push(format!("at least {least}")),
        (None, Some(most)) => bounds.push(format!("at most {most}")),
    }
    match (number("minLength"), number("maxLength")) {
        (Some(least), Some(most)) => bounds.push(format!("{least} to {most} characters")),
        (None, Some(most)) => bounds.push(format!("at most {most} characters")),
        (Some(least), None) => bounds.push(format!("at least {least} characters")),
        (None, None) => {}
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        bounds.push(format!("matching <code class=\"pattern\">{}</code>", Escaped(pattern)));
    }
    if bounds.is_empty() { String::new() } else { format!(", {}", bounds.join(", ")) }
}

/// A value that fits a schema.
pub(super) fn example(schema: &Value, document: &Value) -> Value {
    sample(schema, document, DEPTH)
}

fn sample(schema: &Value, document: &Value, depth: u32) -> Value {
    if let Some(given) = schema["examples"].get(0).or_else(|| schema.get("example")) {
        return given.clone();
    }
    let Some(deeper) = depth.checked_sub(1) else {
        return Value::Null;
    };
    if let Some(name) = reference(schema) {
        return sample(&document["components"]["schemas"][name], document, deeper);
    }
    if let Some(value) = schema["enum"].get(0) {
        return value.clone();
    }
    if let Some(choice) = choices(schema).into_iter().find(|one| one["type"] != "null") {
        return sample(choice, document, deeper);
    }
    let of_parts = schema["allOf"].as_array().into_iter().flatten();
    let of_parts = of_parts.map(|part| sample(part, document, deeper));
    match simple(schema) {
        "integer" | "number" => number(schema),
        "boolean" => Value::Bool(false),
        "string" => Value::String("…".to_owned()),
        "array" => Value::Array(vec![sample(&schema["items"], document, deeper)]),
        _ => {
            let mut object = Map::new();
            object.extend(of_parts.filter_map(|part| part.as_object().cloned()).flatten());
            for (name, property) in properties(schema).into_iter().flatten() {
                object.insert(name.clone(), sample(property, document, deeper));
            }
            Value::Object(object)
        }
    }
}

fn number(schema: &Value) -> Value {
    // The one kind of number that nobody would guess.
    if text(&schema["description"]).starts_with("Milliseconds since 1970") {
        return Value::from(1_764_000_000_000_i64);
    }
    schema.get("minimum").cloned().unwrap_or_else(|| Value::from(1))
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema["properties"].as_object().filter(|properties| !properties.is_empty())
}

/// What a value can be one of.
fn choices(schema: &Value) -> Vec<&Value> {
    let of = |name: &str| schema[name].as_array().into_iter().flatten();
    of("oneOf").chain(of("anyOf")).collect()
}

/// The name of the schema that this one refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

/// The type, or the first that is not null.
fn simple(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(types) => {
            types.iter().filter_map(Value::as_str).find(|one| *one != "null").unwrap_or("")
        }
        other => text(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_told_in_words() {
        for (schema, told) in [
            (json!({ "type": "string", "maxLength": 5 }), "text, at most 5 characters"),
            (json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 9 }), "integer, 1 to 9"),
            (json!({ "type": "array", "items": { "type": "boolean" } }), "list of boolean"),
            (
                json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/A" }] }),
                "<a href=\"#schema-A\"><code>A</code></a>",
            ),
            (
                json!({ "type": "string", "pattern": "<x>" }),
                "text, matching <code class=\"pattern\">&lt;x&gt;</code>",
            ),
            (json!({}), "any JSON"),
        ] {
            assert_eq!(kind(&schema), told);
        }
    }

    #[test]
    fn an_example_ends_although_a_schema_does_not() {
        let document = json!({ "components": { "schemas": {
            "A": { "type": "object", "properties": { "a": { "$ref": "#/components/schemas/A" } } },
        } } });
        let example = example(&json!({ "$ref": "#/components/schemas/A" }), &document);
        assert!(example["a"].is_object());
    }

    /// A body that is made from an example is taken by the type that it is for.
    #[test]
    fn examples_are_valid() {
        use p2pshare_core::api::{ChangeUser, CreateInvite, Login, Register};

        let document = serde_json::to_value(crate::document()).unwrap();
        let of = |name: &str| {
            let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
            example(&reference, &document)
        };
        serde_json::from_value::<Register>(of("Register")).unwrap();
        serde_json::from_value::<Login>(of("Login")).unwrap();
        serde_json::from_value::<CreateInvite>(of("CreateInvite")).unwrap();
        serde_json::from_value::<ChangeUser>(of("ChangeUser")).unwrap();
    }
}
