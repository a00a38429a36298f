//! How a content id looks in the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::ContentId;

impl PartialSchema for ContentId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("BLAKE3 hash of the content, as `b3sum` prints it."))
            .pattern(Some("^[0-9a-f]{64}$"))
            .examples([Self::of(b"").to_string()])
            .into()
    }
}

impl ToSchema for ContentId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_string_with_a_pattern() {
        let schema = serde_json::to_value(ContentId::schema()).unwrap();
        assert_eq!(schema["type"], "string");
        assert_eq!(schema["pattern"], "^[0-9a-f]{64}$");
        assert_eq!(ContentId::name(), "ContentId");
    }
}
