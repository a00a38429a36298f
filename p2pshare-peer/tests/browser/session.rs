//! A peer whose user works on the page.

use super::{
    browser::Browser,
    support::{Index, PASSWORD, Peer, Process},
};

/// A user's peer that serves its page, and the browser that it is open in.
pub(crate) struct Session {
    pub(crate) browser: Browser,
    pub(crate) peer: Peer,
    pub(crate) serving: Process,
    /// Where the page is, without a path.
    pub(crate) origin: String,
}

impl Session {
    /// Starts a peer where nobody is logged in, and opens its page by the link that it prints. `None` if there is no
    /// browser.
    pub(crate) async fn open(index: &Index, user: &str) -> Option<Self> {
        let browser = Browser::open().await?;
        let peer = Peer::new(index, user);
        let mut serving = serve(&peer);
        let url = url_of(&mut serving);
        let origin = url[..url.find("/?").expect("a link with a token")].to_owned();
        browser.go(&url).await;
        Some(Self { browser, peer, serving, origin })
    }

    /// The same with a user who has registered on the page.
    pub(crate) async fn registered(index: &Index, user: &str) -> Option<Self> {
        let session = Self::open(index, user).await?;
        session.register().await;
        Some(session)
    }

    /// Makes the account on the page.
    pub(crate) async fn register(&self) {
        let page = &self.browser;
        page.press("Make one").await;
        page.see("Make an account").await;
        page.fill("User name", &self.peer.user).await;
        page.fill("Password", PASSWORD).await;
        page.press("Make an account").await;
        page.until_true("one is logged in", LOGGED_IN, &[]).await;
    }

    /// Fails if the browser complains or has asked another server for anything.
    pub(crate) async fn expect_clean(&self) {
        self.browser.expect_clean(&self.origin, &[]).await;
    }
}

/// Whether the page shows whose it is.
pub(crate) const LOGGED_IN: &str = "return Boolean(document.querySelector('.who')?.textContent) && isSettled() && !sees('Password')";

/// Starts a peer with a page on a free port. Its user has a home of their own, where downloads go.
fn serve(peer: &Peer) -> Process {
    serve_at(peer, "127.0.0.1:0")
}

/// The same with its page at this address.
pub(crate) fn serve_at(peer: &Peer, page: &str) -> Process {
    let inbox = peer.path("Inbox");
    std::fs::create_dir_all(&inbox).expect("a folder");
    let mut command = peer.command(["serve", "--listen", "127.0.0.1:0", "--ui", page]);
    command.arg("--inbox").arg(inbox).arg("--json").env("HOME", peer.home());
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DOWNLOAD_DIR");
    Process::start(command)
}

/// The link to the page, which works once.
pub(crate) fn url_of(serving: &mut Process) -> String {
    let event = serving.wait_for_event("ui");
    event["url"].as_str().expect("a URL").to_owned()
}
