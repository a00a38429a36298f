//! What OpenAPI is told of the types with a text form.
#![cfg(feature = "openapi")]
#![allow(clippy::unwrap_used, reason = "a helper of a test panics as the test does")]

use std::fmt::Display;
use std::str::FromStr;

use p2pshare_core::auth::IndexPublicKey;
use p2pshare_core::identity::{GroupName, IndexKeyId, PeerAddr, PeerId, Reach, Username};
use p2pshare_core::path::SharePath;
use p2pshare_core::time::Timestamp;
use utoipa::{PartialSchema, ToSchema};

fn assert_example_is_one<T>()
where
    T: ToSchema + FromStr + Display,
    T::Err: Display,
{
    let schema = serde_json::to_value(T::schema()).unwrap();
    let name = T::name();
    assert_eq!(schema["type"], "string", "{name}");
    assert!(schema["pattern"].is_string() && schema["description"].is_string(), "{name}");
    let example = schema["examples"][0].as_str().unwrap();
    let parsed = example.parse::<T>().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(parsed.to_string(), example);
    assert!(example.len() as u64 <= schema["maxLength"].as_u64().unwrap(), "{name}");
}

#[test]
fn the_documented_examples_are_valid() {
    assert_example_is_one::<SharePath>();
    assert_example_is_one::<Username>();
    assert_example_is_one::<GroupName>();
    assert_example_is_one::<PeerId>();
    assert_example_is_one::<PeerAddr>();
    assert_example_is_one::<IndexPublicKey>();
    assert_example_is_one::<IndexKeyId>();
    assert_example_is_one::<Reach>();
}

#[test]
fn a_time_is_a_number() {
    let schema = serde_json::to_value(Timestamp::schema()).unwrap();
    assert_eq!((&schema["type"], &schema["format"]), (&"integer".into(), &"int64".into()));
}
