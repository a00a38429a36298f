//! The commands on the first page, whatever a client says it connected to.

use p2pshare_core::{
    api::Registration,
    index::{Index, IndexConfig},
};
use p2pshare_index::{HttpOptions, PageOptions, ServerOptions, router};
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    common::{TestIndex, index, start_router},
    named, with_pages,
};

/// The page as somebody sees it who sends these lines.
async fn with_head(index: &TestIndex, lines: &str) -> String {
    let mut socket = TcpStream::connect(index.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nconnection: close\r\n{lines}\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn commands_have_the_address_that_was_used() {
    let index = with_pages(PageOptions::default()).await;
    let page = with_head(&index, "host: Files.Example.org:7400\r\n").await;
    for command in ["register YOUR-NAME", "login YOUR-NAME"] {
        let whole = format!("p2pshare-peer --index http://files.example.org:7400 {command}");
        assert!(page.contains(&whole), "{page}");
    }
    assert!(!page.contains("this machine only"));
    let own = index.page("/").await;
    assert!(own.contains(&format!("--index http://{} register", index.address)), "{own}");
    assert!(own.contains("this machine only"));

    let spoken = Client::builder().http2_prior_knowledge().build().unwrap();
    let page = spoken.get(format!("http://{}/", index.address)).send().await.unwrap();
    assert!(page.text().await.unwrap().contains(&format!("--index http://{} ", index.address)));
}

#[tokio::test]
async fn no_host_becomes_markup_or_a_command() {
    let index = with_pages(PageOptions::default()).await;
    for host in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "a.example;reboot",
        "a.example$(reboot)",
        "a.example`reboot`",
        "a.example|reboot",
        "a.example&reboot",
        "a.example' 'reboot",
        "a.example\treboot",
        "user:pass@a.example",
        "a.example/reboot",
        "a.example#sha256=00",
        "a.example:1:2",
        "{{key}}",
        "",
        "a.example, b.example",
    ] {
        let page = with_head(&index, &format!("host: {host}\r\n")).await;
        // What is no host at all is refused before.
        if page.starts_with("HTTP/1.1 400") {
            continue;
        }
        assert!(page.starts_with("HTTP/1.1 200"), "{host}: {page}");
        assert!(page.contains("--index https://ADDRESS-OF-THIS-INDEX register"), "{host}: {page}");
        assert!(page.contains("did not say which address"), "{host}");
        for part in ["reboot", "alert", "a.example", "{{"] {
            assert!(!page.contains(part), "{host}: {part}");
        }
    }
    let two = with_head(&index, "host: a.example\r\nhost: b.example\r\n").await;
    assert!(!two.contains("a.example") && !two.contains("b.example"), "{two}");
    let none = with_head(&index, "host: a.example\r\nx-forwarded-proto: https\r\n").await;
    assert!(none.contains("--index http://a.example "), "a stranger does not tell the scheme");
}

#[tokio::test]
async fn the_operator_has_the_last_word() {
    let pages = PageOptions {
        public_url: Some("https://files.example.org".parse().unwrap()),
        ..PageOptions::default()
    };
    let index = with_pages(pages).await;
    let page = with_head(&index, "host: evil.example\r\n").await;
    assert!(page.contains("--index https://files.example.org register"), "{page}");
    assert!(!page.contains("evil"));
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_pinned() {
    let fingerprint = "ab".repeat(32);
    let pages = PageOptions {
        https: true,
        fingerprint: Some(fingerprint.clone()),
        ..PageOptions::default()
    };
    let index = with_pages(pages).await;
    let page = with_head(&index, "host: files.example.org:7400\r\n").await;
    let url = format!("https://files.example.org:7400#sha256={fingerprint}");
    assert!(page.contains(&format!("p2pshare-peer --index {url} register")), "{page}");
}

/// The name of an index is its operator's, and still text.
#[tokio::test]
async fn a_name_is_text() {
    let name = "<b>Friends</b> & \"co\" \u{202e}fdp.exe";
    let page = named(PageOptions::default(), name).await.page("/").await;
    assert!(
        page.contains("<h1>&lt;b&gt;Friends&lt;/b&gt; &amp; &quot;co&quot; \\u{202e}fdp.exe</h1>"),
        "{page}"
    );
    assert!(!page.contains("<b>") && !page.contains('\u{202e}'));
}

#[tokio::test]
async fn the_way_in_is_that_of_the_policy() {
    let page = async |registration| {
        let index: Index = index(IndexConfig { registration, ..IndexConfig::default() });
        let http = HttpOptions { pages: Some(PageOptions::default()), ..HttpOptions::default() };
        let index =
            start_router(index.clone(), router(index, http), ServerOptions::default()).await;
        index.page("/").await
    };
    let open = page(Registration::Open).await;
    assert!(open.contains("Anybody may join") && open.contains("register YOUR-NAME</code>"));
    let invite = page(Registration::Invite).await;
    assert!(invite.contains("needs an invite") && invite.contains(">--invite CODE<"));
    let closed = page(Registration::Closed).await;
    assert!(closed.contains("Operators make the accounts") && !closed.contains(" register "));
}
