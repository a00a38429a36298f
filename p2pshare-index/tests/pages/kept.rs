//! The reference of the API is about the API that is served.

use p2pshare_index::PageOptions;

use crate::with_pages;

#[tokio::test]
async fn the_reference_has_every_call() {
    let index = with_pages(PageOptions::default()).await;
    let page = index.page("/docs").await;
    let document: serde_json::Value =
        index.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert!(page.contains(&format!(">{path}</")), "{path}");
    }
    assert!(page.len() < 400_000, "{}", page.len());
}
